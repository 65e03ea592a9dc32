package config

import (
	"fmt"
	"strings"
	"testing"
)

// What works, and is likely a mistake, is a warning.
func TestLikelyMistakes(t *testing.T) {
	mail := func(port, tls string) string {
		const notices = "notices: {mail: {from: a@contoso.com, smtp: {address: 'smtp.contoso.com:%s', tls: %s}}}\n"
		return minimal + fmt.Sprintf(notices, port, tls)
	}
	named := func(src, id string) string { return strings.Replace(src, id, "hq-2-west", 1) }
	for _, c := range []struct{ src, key, want string }{
		{mail("587", "starttls"), "", ""},
		{mail("465", "tls"), "", ""},
		{mail("25", "starttls"), "", ""},
		{mail("2465", "tls"), "", ""},
		{mail("465", "starttls"), "notices.mail.smtp.tls", "is starttls, and port 465 is for tls"},
		{mail("465", `""`), "notices.mail.smtp.tls", "is starttls, and port 465 is for tls"},
		{mail("587", "tls"), "notices.mail.smtp.tls", "is tls, and port 587 is for starttls"},
		{named(minimal, "c05f3726-0d4b-4c21-9d6e-0a8a57b1b3a1"), "queues[0].printer_id", "not a GUID"},
		{named(office, "9a3b3956-5a0e-4c5b-9d1a-61a1c2d3e4f5"), "devices[0].printer_id", "not a GUID"},
	} {
		ws := load(t, writeOffice(t, c.src)).Warnings
		if c.key == "" && len(ws) == 0 {
			continue
		}
		if len(ws) != 1 || ws[0].Key != c.key || !strings.Contains(ws[0].Message, c.want) || ws[0].Line == 0 {
			t.Errorf("%s\n%v, want %s", c.src, ws, c.want)
		}
	}
}

// The value of an app role has each character that Entra allows, and no other.
func TestAppRoles(t *testing.T) {
	const group = "6a1f4c0e-2b3d-4e5f-8091-a2b3c4d5e6f7"
	for member, ok := range map[string]bool{
		"pullprint.admin": true, "a/b:c=d@e~{f}[g]_`|^": true, group: true, strings.Repeat("a", 120): true, "{admin}": true,
		"": false, "Print Admins": false, " admin": false, ".admin": false, `a"b`: false, `a\b`: false, "Müller": false,
		strings.Repeat("a", 121): false, "{" + group + "}": false,
	} {
		src := office + "sign_in: {public_url: https://print.example.com, roles: {read: ['" + member + "']}}\n"
		_, err := Load(writeOffice(t, src))
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "sign_in.roles.read[0]") {
			t.Errorf("%q: %v", member, err)
		}
	}
}
