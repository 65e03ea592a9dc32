package station

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"pullprint/connector/console/view"
	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/connector/release"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// element is one element of a page, in order.
type element struct {
	name  string
	attrs map[string]string
	form  string // the action of the form around it
}

func (g element) has(attr string) bool { _, ok := g.attrs[attr]; return ok }

// stops reports whether Tab stops there.
func (g element) stops() bool {
	switch g.name {
	case "a":
		return g.has("href") && g.attrs["tabindex"] != "-1"
	case "input":
		return g.attrs["type"] != "hidden" && g.attrs["tabindex"] != "-1"
	case "button", "select", "textarea", "summary", "iframe", "object", "audio", "video":
		return g.attrs["tabindex"] != "-1"
	}
	return g.has("tabindex") || g.has("contenteditable")
}

// sends reports whether Enter or a click there sends a form.
func (g element) sends() bool {
	kind := g.attrs["type"]
	return g.name == "button" && (kind == "" || kind == "submit") || g.name == "input" && (kind == "submit" || kind == "image")
}

// takesText reports whether Enter there sends the form around it.
func (g element) takesText() bool {
	return g.name == "input" && g.attrs["type"] != "hidden" && !g.sends() || g.name == "select"
}

func elementsOf(t *testing.T, page []byte) (list []element) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	form := ""
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		switch tok := tok.(type) {
		case xml.EndElement:
			if tok.Name.Local == "form" {
				form = ""
			}
		case xml.StartElement:
			g := element{tok.Name.Local, map[string]string{}, form}
			for _, a := range tok.Attr {
				g.attrs[a.Name.Local] = a.Value
			}
			if g.name == "form" {
				form = g.attrs["action"]
			}
			list = append(list, g)
		}
	}
}

// dangerous reports whether a form releases or deletes, or does anything that a
// station does not need.
func dangerous(action string) bool {
	for _, safe := range []string{"/jobs", "/enrol", "/leave", "/login", "/options", "/pin", "/name", "/code"} {
		if strings.HasSuffix(action, safe) {
			return false
		}
	}
	return true
}

// stationPages are the pages of a station with everything that can be on them.
func stationPages() map[string]view.Page {
	j := func(id, owner string, r release.Reason, v *decision.Settings) release.Quote {
		q := release.Quote{
			Record: job.Record{
				Ref: graph.Ref{Printer: "p", Job: id}, Owner: owner, Queue: "Follow-Me",
				Created: time.Now(),
			}, Reason: r, Variant: v,
		}
		q.Price = "3 pages"
		if q.Verdict = string(policy.Redirect); r.Code != "" {
			q.Verdict = string(policy.Keep)
		}
		return q
	}
	poor := release.Reason{Code: "quota.exhausted", Text: "Too dear.", Remedy: "Wait."}
	full := stationPage{
		Device: "west", Ticket: "ticket-of-the-page",
		Jobs: []release.Quote{
			j("1", "ada", release.Reason{}, nil), j("2", "ada", poor, &decision.Settings{ColorMode: "grayscale"}), j("3", "ada", poor, nil),
		},
		Others:   []othersJobs{{Name: "grace@contoso.com", Jobs: []release.Quote{j("4", "grace", release.Reason{}, nil)}}},
		Balances: []release.BalanceText{{Left: "1 page", Limit: "30 pages"}},
	}
	done, deleted, empty := full, full, full
	done.Outcome = &release.Outcome{
		Released: []release.Released{{}},
		Kept: []release.Refused{
			{Ref: graph.Ref{Printer: "p", Job: "2"}, Queue: "Follow-Me", Reason: poor}, {Queue: "Follow-Me"}, {Queue: "Follow-Me"},
		},
		Aborted: []release.Refused{{Queue: "Follow-Me", Reason: release.Reason{Text: "No."}}},
	}
	done.Refusals = refusals(done)
	deleted.Canceled = []release.Refused{{Queue: "Follow-Me"}}
	empty.Outcome, empty.Jobs, empty.Others = &release.Outcome{}, nil, nil
	return map[string]view.Page{
		"station":          {Data: stationPage{Device: "west"}},
		"station wrong":    {Wrong: "It did not work.", Data: stationPage{Device: "west"}},
		"station enrolled": {Data: stationPage{Device: "west", Enrolled: true}},
		"jobs":             {Data: full},
		"jobs wrong":       {Wrong: "Gone.", Data: full},
		"done":             {Data: done},
		"done deleted":     {Data: deleted},
		"done empty":       {Data: empty},
		"enrol":            {Data: stationPage{Device: "west"}},
		"enrol code":       {Data: stationPage{Device: "west", Code: "BCDF-GHJK"}},
		"station names":    {Data: stationPage{Device: "west", Names: true}},
		"name":             {Data: stationPage{Device: "west", Names: true, NoCards: true, PINPage: "https://x/me/pin"}},
		"name wrong":       {Wrong: "Gone.", Data: stationPage{Device: "west", Names: true, NoCards: true}},
		"pin":              {Data: stationPage{Device: "west", AsksPIN: true, Ticket: "t", PINPage: "https://x/me/pin"}},
		"pin name":         {Data: stationPage{Device: "west", AsksPIN: true, Ticket: "t", NoCards: true}},
		"usecode":          {Data: stationPage{Device: "west"}, Refresh: typeWithin},
		"newpin":           {Data: stationPage{Device: "west", AsksPIN: true, Code: "BCDF-GHJK"}, Refresh: typeWithin},
		"station pin set":  {Data: stationPage{Device: "west", PINSet: true}},
		"jobs name":        {Data: stationPage{Device: "west", Ticket: "t", NoCards: true}},
	}
}

// On no page of a station can a reader that types press what releases or deletes:
// not by Enter in a field, not by the focus that a page begins with, not by Tab, which
// stops at fields and what sends them, and not by Alt and digits, as some type a character; and the
// field for the badge has the focus.
func TestReaderPressesNothing(t *testing.T) {
	p := newPages(t)
	for name, data := range stationPages() {
		template, _, _ := strings.Cut(name, " ")
		var text bytes.Buffer
		if err := p.Site.Execute(&text, template, data); err != nil {
			t.Fatal(name, err)
		}
		s, _ := data.Data.(stationPage)
		focus, badges, acts := "", 0, 0
		keys := map[string]bool{}
		for _, g := range elementsOf(t, text.Bytes()) {
			if g.has("autofocus") {
				focus += g.attrs["name"]
			}
			if g.attrs["id"] == "badge" && g.name == "input" {
				badges++
			}
			for _, never := range []string{"formaction", "form", "onclick", "contenteditable"} {
				if g.has(never) {
					t.Errorf("%s: %s has %s", name, g.name, never)
				}
			}
			if g.takesText() && dangerous(g.form) {
				t.Errorf("%s: Enter in the field %s sends %s", name, g.attrs["name"], g.form)
			}
			if g.attrs["name"] == "visit" && g.attrs["value"] != s.Ticket {
				t.Errorf("%s: another ticket: %q", name, g.attrs["value"])
			}
			if send := g.sends() && (strings.HasSuffix(g.form, "/jobs") ||
				strings.HasSuffix(g.form, "/enrol")); g.stops() && !g.takesText() &&
				!send {
				t.Errorf("%s: Tab stops at %s %v", name, g.name, g.attrs)
			}
			if g.sends() && dangerous(g.form) {
				acts++
				if !strings.Contains(" "+g.attrs["class"]+" ", " acts ") || g.has("autofocus") || !g.has("accesskey") {
					t.Errorf("%s: a button of %s: %v", name, g.form, g.attrs)
				}
			}
			if key, ok := g.attrs["accesskey"]; ok {
				if len(key) != 1 || key < "a" || key > "z" || keys[key] {
					t.Errorf("%s: %s has the access key %q", name, g.name, key)
				}
				keys[key] = true
			}
			if g.name == "a" && !g.has("accesskey") {
				t.Errorf("%s: the keyboard can't follow %s", name, g.attrs["href"])
			}
		}
		want := "badge"
		switch template {
		case "enrol":
			if s.Code == "" {
				want = "code"
			}
		case "pin", "newpin":
			want = "pin"
		}
		if focus != want || badges != 1 {
			t.Errorf("%s: the focus is on %q, and there are %d fields for a badge", name, focus, badges)
		}
		if (acts > 0) != (len(s.Jobs)+len(s.Others) > 0) || strings.Count(text.String(), "/release") < acts/2 {
			t.Errorf("%s: %d buttons act", name, acts)
		}
		if forms := acts + 2 + len(s.Jobs) + 1; acts > 0 && strings.Count(text.String(), `value="ticket-of-the-page"`) != forms {
			t.Errorf("%s: %d forms, and not as many tickets", name, acts)
		}
	}
}

// However many jobs there are, no two controls of a page have the same access key.
func TestAccessKeysOfManyJobs(t *testing.T) {
	p := newPages(t)
	data := stationPages()["jobs"]
	s, _ := data.Data.(stationPage)
	s.Jobs = nil
	for i := range 40 {
		s.Jobs = append(s.Jobs, release.Quote{Record: job.Record{Ref: graph.Ref{Printer: "p", Job: "own-" + strconv.Itoa(i)}}})
	}
	data.Data = s
	var text bytes.Buffer
	if err := p.Site.Execute(&text, "jobs", data); err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, g := range elementsOf(t, text.Bytes()) {
		if key := g.attrs["accesskey"]; g.has("accesskey") {
			if key == "" || keys[key] {
				t.Errorf("%q is on two", key)
			}
			keys[key] = true
		}
	}
	if style, err := view.StyleSheet(); err != nil ||
		!bytes.Contains(style, []byte(`[accesskey]::after { content: "Alt+" attr(accesskey)`)) {
		t.Errorf("the keys are not told: %v", err)
	}
	if len(keys) != 26 {
		t.Errorf("%d keys", len(keys))
	}
}

// A refusal is told once, however many jobs and lists it is in.
func TestRefusalsOnce(t *testing.T) {
	p := newPages(t)
	var text bytes.Buffer
	if err := p.Site.Execute(&text, "done", stationPages()["done"]); err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]int{"Too dear.": 2, "2 jobs from Follow-Me": 1, "Still waiting": 1, "Refused:": 1} {
		if n := strings.Count(text.String(), what); n != want {
			t.Errorf("%q stands there %d times, want %d", what, n, want)
		}
	}
}

// Jobs that came out at another device are told of so.
func TestPrintingElsewhere(t *testing.T) {
	p := newPages(t)
	data := stationPages()["done"]
	s, _ := data.Data.(stationPage)
	s.Elsewhere = map[string]string{"east-printer": "hq-2-east"}
	s.Outcome = &release.Outcome{Released: []release.Released{
		{Destination: "East-printer"}, {Destination: "west-printer"}, {Destination: "east-printer"},
	}}
	data.Data = s
	var text bytes.Buffer
	if err := p.Site.Execute(&text, "done", data); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2 jobs are printing at hq-2-east, not here<", "<h1>1 job is printing</h1>"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("without %q: %s", want, text.String())
		}
	}
}

// What is left of an owner's budget stands with the owner's jobs, and not as that of who
// prints them.
func TestBalancesOfOthers(t *testing.T) {
	p := newPages(t)
	data := stationPages()["jobs"]
	s, _ := data.Data.(stationPage)
	s.Others[0].Balances = []release.BalanceText{{Rest: 455 * quota.Unit, Of: 500 * quota.Unit}}
	data.Data = s
	var text bytes.Buffer
	if err := p.Site.Execute(&text, "jobs", data); err != nil {
		t.Fatal(err)
	}
	own, others, _ := strings.Cut(text.String(), "<h2>Jobs of")
	if strings.Contains(own, "455") || !strings.Contains(others, "grace@contoso.com has 455 pages left of 500 pages") {
		t.Error(text.String())
	}
}
