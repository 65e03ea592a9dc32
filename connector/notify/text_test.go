package notify

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pullprint/connector/notice"
)

// The built-in texts say what happened, why, and what to do, for one job and for several.
func TestTexts(t *testing.T) {
	texts, err := LoadTexts("")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range notice.Kinds {
		for _, count := range []int{1, 5} {
			n := Example(kind, time.Now())
			m, err := texts.render(t.Context(), &n, count)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(m.Subject+m.Text, "<no value>") || strings.Contains(m.Text, "\n\n\n") {
				t.Errorf("%s: %q\n%s", kind, m.Subject, m.Text)
			}
		}
	}
	n := Example(notice.Aborted, time.Now())
	n.Text, n.Remedy = "More than 50 copies.", "Print fewer."
	m, err := texts.render(t.Context(), &n, 3)
	if err != nil || !strings.HasPrefix(m.Subject, "3 print jobs") || !strings.Contains(m.Text, "More than 50 copies.") ||
		!strings.Contains(m.Text, "Print fewer.") {
		t.Errorf("%v %q\n%s", err, m.Subject, m.Text)
	}
}

// A line break in a value ends no subject and begins no header; a long one is cut.
func TestOneSubject(t *testing.T) {
	texts, err := LoadTexts("")
	if err != nil {
		t.Fatal(err)
	}
	n := Example(notice.Aborted, time.Now())
	n.Text = "a\r\nBcc: eve@contoso.com\u2028x\x00" + strings.Repeat("é", 1000)
	n.Queue = "Follow\r\n-Me"
	m, err := texts.render(t.Context(), &n, 1)
	broken := strings.ContainsAny(m.Subject, "\r\n\x00\u2028") || strings.Contains(m.Text, "\r")
	if err != nil || broken || len([]rune(m.Subject)) > maxSubject {
		t.Errorf("%v %q", err, m.Subject)
	}
}

// A folder's texts take the place of those that it has; what is wrong in it is said with its file.
func TestTextsOfAFolder(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("job.aborted.txt", "Sorry: {{.Text}}\n\n{{.Remedy}}\n")
	texts, err := LoadTexts(dir)
	if err != nil {
		t.Fatal(err)
	}
	n := Example(notice.Aborted, time.Now())
	if m, err := texts.render(t.Context(), &n, 1); err != nil || !strings.HasPrefix(m.Subject, "Sorry: ") {
		t.Errorf("%v %q", err, m.Subject)
	}
	for text, name := range map[string]string{
		"{{.Text": "job.kept.txt", "{{.Nothing}}\n\nx": "job.kept.txt", "only a subject": "job.kept.txt",
		"{{range .Devices}}x{{end}}": "hold.ending.txt",
		"a\n\nb":                     "job.abortd.txt", strings.Repeat("x", maxTemplate+1): "job.kept.txt",
		"x\n{{define \"a\"}}" + strings.Repeat("y", 100) + "{{template \"a\"}}{{end}}{{template \"a\"}}": "job.kept.txt",
	} {
		write(name, text)
		if _, err := LoadTexts(dir); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%.40q in %s: %v", text, name, err)
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := LoadTexts(filepath.Join(dir, "missing")); err == nil {
		t.Error("a folder that is not there")
	}
}

// People are told times in their zone, wherever the daemon runs, and devices by the place where they stand.
func TestZoneAndPlace(t *testing.T) {
	texts, err := LoadTexts("")
	if err != nil {
		t.Fatal(err)
	}
	texts.Zone = func() *time.Location { return time.FixedZone("there", 5*3600) }
	texts.Place = func(device string) string { return "Canteen (" + device + ")" }
	for kind, want := range map[string][]string{
		notice.Aborted: {"14:21"}, notice.Kept: {"Canteen (hq-2-west)"},
		notice.HoldEnding: {"soon: Tue 10 Mar 15:21", "Canteen (hq-2-west), Canteen (hq-2-east)"},
	} {
		n := Example(kind, time.Date(2026, 3, 10, 9, 21, 0, 0, time.UTC)) // its hold ends an hour later
		m, err := texts.render(t.Context(), &n, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range want {
			if !strings.Contains(m.Subject+"\n"+m.Text, s) {
				t.Errorf("%s lacks %q: %s\n%s", kind, s, m.Subject, m.Text)
			}
		}
	}
}
