package doctor

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What stays, and what goes.
func TestScrub(t *testing.T) {
	s := newScrubber([]string{"T0ken-of-16-chars", "info"}, []string{"Ordinary Print Queue", "print-queue", "printer"},
		[]string{"v1.2.3-4", "0123456789ab"})
	for _, stays := range []string{
		"graph get_job: status 503 ServiceUnavailable", "AADSTS7000215", "took 12.5s of 24h0m0s", "127.0.0.1:8443", "[::]:8443",
		"listening on 0.0.0.0:8443", "2026-03-10T12:00:00.123Z",
		"v1.2.3-4", "policy 0123456789ab", "https://graph.microsoft.com/v1.0", "NATS 2.15.2", "15:04:05",
		"x509: certificate signed by unknown authority", "16MiB", "quota.exhausted", "webhook.public_url", "info",
	} {
		if got := s.text(stays); got != stays {
			t.Errorf("%q became %q", stays, got)
		}
	}
	for _, goes := range []string{
		"Ottokar", "ottokar", "anna@contoso.com", "print.contoso.com", "192.0.2.77", "2001:db8::77", "fe80::1",
		"0ddba11a-1111-4222-8333-944445555666", "77732803", "04A21BC3", "T0ken-of-16-chars",
		"Ordinary Print Queue", "print-queue", "printer", "Müller", "李", "Lohnausweis.pdf", "A1b2C3d4E5f6G7h8I9j0",
	} {
		if got := s.text("said " + goes + "."); strings.Contains(strings.ToLower(got), strings.ToLower(goes)) {
			t.Errorf("%q stays: %q", goes, got)
		}
	}
	once := s.text("Ottokar and OTTOKAR and anna@contoso.com of Ordinary Print Queue")
	if again := s.text(once); again != once {
		t.Errorf("%q became %q", once, again)
	}
	if names := regexp.MustCompile(`name-[0-9a-f]{10}`).FindAllString(once, -1); len(names) != 3 || names[0] != names[1] ||
		slices.Contains(names[2:], names[0]) {
		t.Errorf("%q", once)
	}
	if s.text("Ottokar") == newScrubber(nil, nil, nil).text("Ottokar") {
		t.Error("a name is called the same in two bundles")
	}
}
