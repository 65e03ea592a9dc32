package console

import (
	"bytes"
	"context"
	"errors"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/connector/access"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/console/view"
	"pullprint/connector/decision"
	"pullprint/connector/index"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
)

// namingGraph knows everybody, or nobody while it is down.
type namingGraph struct {
	view.Graph
	down  bool
	asked atomic.Int64
}

func (g *namingGraph) Person(context.Context, string) (graph.Person, error) {
	g.asked.Add(1)
	if g.down {
		return graph.Person{}, errors.New("Graph is down")
	}
	return graph.Person{GivenName: "Ada", DisplayName: "Ada\u202e <Lovelace>"}, nil
}

func (g *namingGraph) Language(context.Context, string) (string, error) { return "", nil }

// listedJobs are some jobs of some owners.
type listedJobs struct {
	noJobs
	list []apiclient.JobEntry
}

func (l *listedJobs) ListPage(context.Context, string, apiclient.JobFilter, string, int) (apiclient.JobList, error) {
	return apiclient.JobList{Jobs: l.list}, nil
}

// The console lists owners by their names, for who may act on jobs and while the directory answers;
// and devices with where they stand.
func TestConsoleNames(t *testing.T) {
	kept := time.Date(2027, 1, 4, 14, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		who  string
		down bool
		want bool
	}{{"read", false, false}, {"operate", false, true}, {"admin", false, true}, {"admin", true, false}} {
		g := &namingGraph{down: c.down}
		p := newPages(t, func(o *testParts) {
			o.view.Graph = g
			o.jobs = &listedJobs{list: []apiclient.JobEntry{{Owner: annaID, HoldUntil: kept}, {Owner: annaID}, {Owner: ""}}}
		})
		p.Devices = []printer.Device{{ID: "west", Location: "HQ, 2nd floor"}, {ID: "east"}}
		p.DeviceEntries = func(context.Context) []apiclient.DeviceEntry {
			return []apiclient.DeviceEntry{{ID: "east"}, {ID: "west"}}
		}
		cookies := send(p, "/login", "same-origin", url.Values{"token": {testTokens[c.who]}}).Result().Cookies()
		req := httptest.NewRequest(http.MethodGet, "http://print.example.com/", nil)
		req.AddCookie(cookies[0])
		rec := httptest.NewRecorder()
		p.ServeHTTP(rec, req)
		text := rec.Body.String()
		if got := strings.Contains(text, "Ada &lt;Lovelace&gt;</a> <small"); got != c.want || !strings.Contains(text, annaID) {
			t.Errorf("%s, Graph down: %v: named %v, want %v:\n%s", c.who, c.down, got, c.want, text)
		}
		if asked := g.asked.Load(); asked > 1 || c.who == "read" && asked > 0 {
			t.Errorf("%s: asked %d times", c.who, asked)
		}
		for _, want := range []string{
			`west</td><td data-label="Location">HQ, 2nd floor</td>`, `east</td><td data-label="Location"></td>`,
			`title="2027-01-04T14:00:00Z">Mon 4 Jan`,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: without %q:\n%s", c.who, want, text)
			}
		}
	}
}

// jobOfAnna is the page of a job that was refused for its cost.
func jobOfAnna(who view.Names) jobPage {
	at := time.Date(2026, 7, 1, 22, 30, 15, 0, time.UTC)
	text, remedy := "This job costs 60 pages, and you have 49 pages left until Friday.", "Print fewer pages."
	return jobPage{Names: who, JobDetail: apiclient.JobDetail{
		Job: job.Record{
			Owner: annaID, State: job.Aborted, Created: at, HoldUntil: at,
			Decision: decision.Decision{
				Reason: reasons.QuotaExhausted, Text: text, Remedy: remedy, Accounts: []string{annaID, "center.lab"},
			},
		},
		Trace: []apiclient.Event{
			{At: at, Kind: "action", Note: "cancel", Actor: bertID},
			{At: at, Kind: "action", Note: "release", Actor: "helpdesk"},
			{At: at, Kind: "decision", Asked: decision.AskedBySignIn, Actor: bertID, Reason: reasons.QuotaExhausted, Text: text},
		},
	}}
}

// The page of a job names its owner, who asked and who pays, tells times in the zone of the stations,
// and speaks of the owner's budget as the owner's.
func TestJobPageSpeaksOfPeople(t *testing.T) {
	p := newPages(t, func(o *testParts) {
		o.view.DefaultZone = func() *time.Location { return time.FixedZone("CEST", 2*60*60) }
	})
	show := func(who view.Names) string {
		var text bytes.Buffer
		if err := p.Site.Execute(&text, "job", view.Page{Data: jobOfAnna(who), Now: time.Now()}); err != nil {
			t.Fatal(err)
		}
		return html.UnescapeString(text.String())
	}
	text := show(view.Names{annaID: "Anna", bertID: "Bert"})
	for want, n := range map[string]int{
		`Anna <small class="muted">` + annaID: 1, `Anna</a> <small class="muted">` + annaID: 1,
		`Bert <small class="muted">` + bertID + `</small> asked to cancel it`: 1,
		"asked by Bert, signed in with Entra":                                 1,
		"helpdesk asked to release it":                                        1, ", center.lab</span>": 1,
		`title="2026-07-01T22:30:15Z">Thu 2 Jul 00:30:15 CEST</time>`: 4, `title="2026-07-01T22:30:15Z">`: 5,
		"This job costs 60 pages, and its owner has 49 pages left until Friday.": 2, "you have": 0,
	} {
		if got := strings.Count(text, want); got != n {
			t.Errorf("%q is there %d times, want %d:\n%s", want, got, n, text)
		}
	}
	text = show(nil)
	for _, want := range []string{annaID + "</a></dd>", bertID + " asked to cancel it", "asked by " + bertID + ", signed in"} {
		if !strings.Contains(text, want) {
			t.Errorf("without names: no %q:\n%s", want, text)
		}
	}
}

// A wrong token at the console leads to each way to sign in that there is.
func TestWrongTokenAtConsole(t *testing.T) {
	const told = "This token isn't valid here; use one from admin.token_file or admin.tokens[].file."
	rec := send(newPages(t), "/login", "same-origin", url.Values{"token": {testTokens["wrong"]}})
	if text := html.UnescapeString(rec.Body.String()); rec.Code != http.StatusUnauthorized || !strings.Contains(text, told) ||
		strings.Contains(text, "Microsoft") {
		t.Errorf("%d %s", rec.Code, text)
	}
	v := newSite(t).browser()
	got := v.send("/login", url.Values{"token": {testTokens["wrong"]}})
	got.text = html.UnescapeString(got.text)
	v.sees(got, http.StatusUnauthorized, told, "Sign in with Microsoft")
	if back := (access.Asked{Then: "/"}).Path(); !strings.Contains(got.text, back) || !strings.Contains(got.text, "<details open>") {
		t.Error(got.text)
	}
}

// unreadJobs are not all known yet.
type unreadJobs struct{ noJobs }

func (*unreadJobs) ListPage(context.Context, string, apiclient.JobFilter, string, int) (apiclient.JobList, error) {
	return apiclient.JobList{}, index.ErrReading
}

// The console says that job records are still being read, and counts nothing of a part of them.
func TestConsoleWhileRecordsAreRead(t *testing.T) {
	p := newPages(t, func(o *testParts) { o.jobs = &unreadJobs{} })
	p.Queues = []printer.Queue{{Name: "Follow-Me"}}
	req := httptest.NewRequest(http.MethodGet, "http://print.example.com/", nil)
	req.AddCookie(send(p, "/login", "same-origin", url.Values{"token": {testTokens["read"]}}).Result().Cookies()[0])
	rec := httptest.NewRecorder()
	p.ServeHTTP(rec, req)
	if text := rec.Body.String(); rec.Code != http.StatusServiceUnavailable ||
		!strings.Contains(text, "job records are still being read") || strings.Contains(text, "held in") {
		t.Errorf("%d %s", rec.Code, text)
	}
}
