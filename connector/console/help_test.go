package console

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/console/view"
	"pullprint/connector/health"
)

// Pages of the console link to the documentation where admin.docs_url says that it is, and nowhere without.
func TestHelpLinks(t *testing.T) {
	help := map[string]string{
		"console": "runbook.md#pullprintgraphunreachable", "job": "policy.md#reasons-of-the-program-itself",
		"job empty": "policy.md#why-a-job-was-decided-so", "person": "readers.md#badges", "audit": "security.md#a-curious-help-desk",
		"badges": "readers.md#badges", "accounts": "policy.md#budgets", "account": "policy.md#budgets",
		"policy": "operations.md#the-console", "policy empty": "policy.md#how-a-decision-is-made",
	}
	for _, docs := range []string{"", "https://docs.contoso.com/print/"} {
		p := newPages(t, func(o *testParts) { o.view.DocsURL = docs })
		in := p.Site.Words("de")
		for name, data := range deskData(in) {
			if c, ok := data.(consolePage); ok {
				c.Health.Wrong = []healthLine{{Name: "graph", Text: "no answer", Help: help["console"]}}
				data = c
			}
			template, _, _ := strings.Cut(name, " ")
			var text bytes.Buffer
			if err := p.Site.Execute(&text, template, view.Page{In: in, Now: time.Now(), Data: data}); err != nil {
				t.Fatal(name, err)
			}
			link := `<a class="helplink" href="` + docs + help[name] + `" target="_blank" rel="noopener">Hilfe</a>`
			switch {
			case docs == "" && strings.Contains(text.String(), "helplink"):
				t.Errorf("%s has a link to documentation that is nowhere", name)
			case docs != "" && help[name] != "" && !strings.Contains(text.String(), link):
				t.Errorf("%s lacks %s", name, link)
			}
		}
	}
}

// What is wrong has a section that says what to do, whichever check says so; what is well has none.
func TestHelpOnHealth(t *testing.T) {
	p := newPages(t)
	bad := func(context.Context) error { return errors.New("not well") }
	p.Health = health.New(health.Check{Name: "token", Ready: bad}, health.Check{Name: "new", Ready: bad},
		health.Check{Name: "store", Ready: func(context.Context) error { return nil }})
	p.Swept = func() time.Time { return time.Now().Add(-time.Hour) }
	locked := deviceLine{DeviceEntry: apiclient.DeviceEntry{ID: "west", LockedUntil: time.Now().Add(time.Minute)}}
	h := p.health(t.Context(), p.Site.Words("en"), []deviceLine{locked})
	want := map[string]string{
		"token": helpOn["token"], "new": helpOnOthers, "sweep": helpOn["sweep"], "reader west": "readers.md#over-http",
	}
	for _, l := range h.Wrong {
		if l.Help == "" || l.Help != want[l.Name] {
			t.Errorf("%+v", l)
		}
	}
	if len(h.Wrong) != len(want) || len(h.Well) != 1 || h.Well[0].Help != "" {
		t.Errorf("%+v", h)
	}
}
