package notify

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pullprint/connector/catalog"
	"pullprint/connector/notice"
	"pullprint/policy/quota"
	"pullprint/policy/reasons"
)

// reader is a directory in which everybody reads one language, or that does not answer.
type reader struct {
	language string
	err      error
}

func (r reader) Language(context.Context, string) (string, error) { return r.language, r.err }

func load(t *testing.T) *Texts {
	t.Helper()
	texts, err := LoadTexts("")
	if err != nil {
		t.Fatal(err)
	}
	texts.Zone = func() *time.Location { return time.FixedZone("there", 5*3600) }
	texts.Link = "https://print.example.com/me"
	return texts
}

// A message is in the language of its person, else in the first of the others that is there; a
// directory that does not answer keeps nobody waiting for a message.
func TestLanguageOfPerson(t *testing.T) {
	texts := load(t)
	at := time.Date(2026, 3, 10, 9, 21, 0, 0, time.UTC)
	for _, c := range []struct {
		people People
		others []string
		want   []string
	}{
		{reader{"de-CH", nil}, []string{"fr"}, []string{"2 Druckaufträge wurden nicht gedruckt", "Di, 10. März 14:21"}},
		{reader{"pl", nil}, nil, []string{"2 zadania drukowania nie zostały wydrukowane", "Kolejka: Follow-Me"}},
		{reader{"", nil}, []string{"", "it"}, []string{"2 lavori di stampa non sono stati stampati"}},
		{reader{"zh", nil}, []string{"nl", "fr"}, []string{"2 afdruktaken zijn niet afgedrukt"}},
		{reader{"", errors.New("no answer")}, []string{"fr"}, []string{"2 travaux d’impression"}},
		{nil, nil, []string{"2 print jobs were not printed", "https://print.example.com/me"}},
	} {
		texts.People, texts.Languages = c.people, func() []string { return c.others }
		n := Example(notice.Aborted, at)
		m, err := texts.render(t.Context(), &n, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range c.want {
			if !strings.Contains(m.Subject+"\n"+m.Text, s) {
				t.Errorf("%v lacks %q: %s\n%s", c.people, s, m.Subject, m.Text)
			}
		}
	}
}

// The program's own reasons are told in the language of the person, with the cause and the way to
// another printer; what a policy says stays as it is.
func TestReasonsInLanguage(t *testing.T) {
	texts := load(t)
	texts.People = reader{"de", nil}
	own, _ := reasons.Of(reasons.HoldExpired)
	for _, c := range []struct{ kind, reason, text, remedy, want string }{
		{
			notice.Kept, reasons.DeviceUnavailable, "This printer can't print at the moment: paper jam.",
			"Go to East or North: your job is still waiting.",
			"Warum: Dieser Drucker kann im Moment nicht drucken: Papierstau.\n" +
				"Was Sie tun können: Gehen Sie zu East oder North: Ihr Auftrag wartet weiter.",
		},
		{notice.HoldExpired, reasons.HoldExpired, own.Text, own.Remedy, "Warum: Der Auftrag wurde nicht rechtzeitig freigegeben."},
		{
			notice.Aborted, "copies.too-many", "More than 50 copies.", "Print fewer.",
			"Warum: More than 50 copies.\nWas Sie tun können: Print fewer.",
		},
		{
			notice.Failed, "", "The printer could not finish the job: paper jam.", "",
			"Warum: Der Drucker konnte den Auftrag nicht zu Ende drucken: Papierstau.",
		},
	} {
		n := Example(c.kind, time.Now())
		n.Reason, n.Text, n.Remedy = c.reason, c.text, c.remedy
		m, err := texts.render(t.Context(), &n, 1)
		if err != nil || !strings.Contains(m.Text, c.want) {
			t.Errorf("%v: no %q in:\n%s", err, c.want, m.Text)
		}
	}
}

// No message mixes English into another language, and none has a verb that nothing was put into.
func TestMessagesInOneLanguage(t *testing.T) {
	src, err := os.ReadFile("../catalog/texts/de.json")
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(src, &keys); err != nil {
		t.Fatal(err)
	}
	texts := load(t)
	for _, code := range catalog.Languages() {
		texts.People = reader{code, nil}
		in := texts.catalog.Choose(code)
		for _, kind := range notice.Kinds {
			for _, count := range []int{1, 2, 5} {
				n := Example(kind, time.Now())
				n.Text, n.Remedy = "", "" // those of a policy
				if own, ok := notice.WordsOf(kind); ok {
					n.Text, n.Remedy = own.Text, own.Remedy
				}
				m, err := texts.render(t.Context(), &n, count)
				if err != nil || strings.Contains(m.Subject+m.Text, "%!") {
					t.Fatalf("%v: %s, %s: %s\n%s", err, code, kind, m.Subject, m.Text)
				}
				for key := range keys {
					plain, _, _ := strings.Cut(key, "%")
					if plain = strings.TrimSpace(plain); code != "en" && len(plain) > 8 && strings.Contains(m.Subject+m.Text, plain) &&
						!strings.Contains(in.Text(key), plain) {
						t.Errorf("%s, %s: %q is English", code, kind, plain)
					}
				}
			}
		}
	}
}

// Amounts are in the currency of the policy, else in pages.
func TestAmounts(t *testing.T) {
	texts := load(t)
	texts.People = reader{"de", nil}
	n := Example(notice.BudgetLow, time.Now())
	amount := 2*quota.Unit + quota.Unit/2
	n.Left = &amount
	for currency, want := range map[string]string{"": "Noch 2,5 Seiten von 3 Seiten", "EUR": "Noch 2,50 EUR von 3,00 EUR"} {
		texts.Currency = func() string { return currency }
		if m, err := texts.render(t.Context(), &n, 1); err != nil || !strings.Contains(m.Text, want) {
			t.Errorf("%v: no %q in:\n%s", err, want, m.Text)
		}
	}
}

// A file for one language is for that alone. A file that is wrong when the texts are read again leaves
// those before.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("job.aborted.de.txt", "Schade: {{.Text}}\n\n{{.Remedy}}\n")
	texts, err := LoadTexts(dir)
	if err != nil {
		t.Fatal(err)
	}
	subject := func(language string) string {
		t.Helper()
		texts.People = reader{language, nil}
		n := Example(notice.Aborted, time.Now())
		m, err := texts.render(t.Context(), &n, 1)
		if err != nil {
			t.Fatal(err)
		}
		return m.Subject
	}
	if de, en := subject("de"), subject("en"); !strings.HasPrefix(de, "Schade: ") || !strings.HasPrefix(en, "Your print job") {
		t.Errorf("%q, %q", de, en)
	}
	write("job.aborted.de.txt", "Neu\n\n{{.Nothing}}\n")
	if err := texts.Reload(); err == nil || !strings.Contains(err.Error(), "job.aborted.de.txt:3") {
		t.Errorf("%v", err)
	}
	if de := subject("de"); !strings.HasPrefix(de, "Schade: ") {
		t.Errorf("%q after a file that is wrong", de)
	}
	write("job.aborted.de.txt", "Neu: {{.Text}}\n\n{{.Remedy}}\n")
	if err := texts.Reload(); err != nil || !strings.HasPrefix(subject("de"), "Neu: ") {
		t.Errorf("%v, %q", err, subject("de"))
	}
}
