package own

import (
	"bytes"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/catalog"
	"pullprint/connector/console/view"
	"pullprint/connector/console/view/viewtest"
	"pullprint/connector/decision"
	"pullprint/connector/evaluate"
	"pullprint/connector/job"
	"pullprint/connector/job/paper"
	"pullprint/connector/notice"
	"pullprint/connector/release"
	"pullprint/connector/tap"
	"pullprint/policy/pin"
	"pullprint/policy/quota"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
)

// newPages are pages that nothing is asked of but to be written.
func newPages(t *testing.T) *Pages {
	t.Helper()
	site, err := view.New(view.Options{DefaultZone: func() *time.Location { return time.UTC }, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Deps{Site: site, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ownReason is a reason of the program as a decision stores it.
func ownReason(code string) release.Reason {
	own, _ := reasons.Of(code)
	return release.Reason{Code: code, Text: own.Text, Remedy: own.Remedy}
}

// homes are the data of a person's own page: with everything that it can show, and with nothing.
func homes() (full, empty myPage) {
	soon, r := time.Now().Add(time.Hour), ownReason(reasons.QuotaExhausted)
	rec := job.Record{
		Ref: graph.Ref{Printer: "p", Job: "1"}, Queue: "§queue", Created: time.Now(), HoldUntil: soon, State: job.Held,
	}
	waits := release.Quote{
		Record: rec, Reason: r, Price: "3 pages", Cost: 3 * quota.Unit, Short: &release.BalanceText{},
		Printed: release.Printed{Sheets: 3, Copies: 2, Duplex: true},
	}
	full = myPage{
		Jobs: []myJob{{Quote: waits, Title: "§title"}, {Quote: waits}}, More: 2, Remote: true, Notices: true, Enrol: true, Phone: true,
		Balances: []evaluate.Balance{{Limit: 9 * quota.Unit, Reserved: quota.Unit, Left: quota.Unit, Renews: soon}},
		Shared:   []release.BalanceText{{Account: "§account", Rest: quota.Unit, Of: 2 * quota.Unit, Renews: soon}},
		Lent:     []lent{{ID: "§id", Name: "§name", UserName: "§user", Until: soon}},
		Lends:    []lent{{ID: "§id", Until: soon}},
		Canceled: true, NowLent: true, Ended: true, PIN: &pin.State{Set: true, Changed: time.Now()},
	}
	past := func(state job.State, at paper.State, device string) {
		rec.State, rec.Paper, rec.Release = state, &job.Paper{State: at}, &job.Release{Device: device}
		rec.Decision = decision.Decision{Reason: r.Code, Text: r.Text, Remedy: r.Remedy}
		full.Past = append(full.Past, myJob{Quote: release.Quote{Record: rec}, Title: "§title"})
	}
	for state := range outcomes {
		past(job.Released, state, "§device")
		past(job.Completed, state, "")
	}
	past(job.Aborted, "", "")
	past(job.Gone, "", "")
	past(job.Releasing, "", "")
	return full, empty
}

// ownPages are all pages, by the names of their templates.
func ownPages(in view.Words) map[string]view.Page {
	full, empty := homes()
	one, badges := full, full
	one.Jobs, badges.Remote = one.Jobs[:1], false
	jammed := release.Place{Unavailable: true, Why: "paper jam"}
	jammed.ID, jammed.Location = "§device", "§place"
	at := place{jammed, 1}
	named := graph.Named{}
	named.ID, named.DisplayName, named.UserPrincipalName = "§id", "§name", "§user"
	var kinds []noticeChoice
	for _, kind := range notice.Kinds {
		kinds = append(kinds, noticeChoice{kind, in.Text(notice.Description(kind)), true, true})
	}
	data := map[string]any{
		"me": full, "me one": one, "me by badge": badges, "me empty": empty,
		"mecancel":       full.Jobs[0],
		"meprint":        printPage{Jobs: full.Jobs, More: 2, Places: []place{at}},
		"meprint one":    printPage{Jobs: one.Jobs, Places: []place{at}},
		"meprint none":   printPage{Jobs: one.Jobs},
		"meprinted":      printedPage{"§place", []told{{Title: "§title"}}, []told{{"§title", full.Jobs[0].Reason}}},
		"melend":         lendPage{Name: "§name", Found: []graph.Named{named}, More: true, Hours: lendFor},
		"melend none":    lendPage{None: true},
		"menotices":      noticesPage{Kinds: kinds, Saved: true},
		"me pin":         myPage{PIN: &pin.State{}},
		"me pin locked":  myPage{PIN: &pin.State{LockedUntil: time.Now()}},
		"me pin closed":  myPage{PIN: &pin.State{LockedForGood: true}},
		"mepin":          pinPage{MinLength: 6, MaxLength: 12},
		"mepin done":     pinPage{Done: true},
		"mebadge":        badgePage{},
		"mebadge sure":   badgePage{Code: "§code", Place: "§place", Shown: time.Now()},
		"mebadge enrols": badgePage{Done: true},
		"teams":          "/me",
	}
	pages := map[string]view.Page{}
	for name, d := range data {
		pages[name] = view.Page{In: in, Title: "§title", Caller: "§user", Person: true, Data: d}
	}
	return pages
}

// A person's own pages are written in one language, whatever they show.
func TestPagesInOneLanguage(t *testing.T) {
	p := newPages(t)
	write := func(name string, page view.Page) string {
		template, _, _ := strings.Cut(name, " ")
		var text bytes.Buffer
		if err := p.Site.Execute(&text, template, page); err != nil {
			t.Fatal(name, err)
		}
		return text.String()
	}
	english := ownPages(p.Site.Words("en"))
	for _, code := range catalog.Languages() {
		if code == "en" {
			continue
		}
		for name, page := range ownPages(p.Site.Words(code)) {
			viewtest.OneLanguage(t, name, code, write(name, page), write(name, english[name]))
		}
	}
}

// An error is told in the language of the pages, also one that is told in English elsewhere.
func TestErrorsInOneLanguage(t *testing.T) {
	p := newPages(t)
	told := func(code string, err error) string {
		rec := httptest.NewRecorder()
		p.failMe(rec, visitor{in: p.Site.Words(code)}, err)
		return rec.Body.String()
	}
	for _, err := range []error{
		release.ErrNoJob, release.ErrNoDevice, tap.ErrTooOften, errors.New("too strange"),
		fmt.Errorf("%w: hours: too many", job.ErrInvalid),
	} {
		for _, code := range catalog.Languages() {
			if code != "en" {
				viewtest.OneLanguage(t, err.Error(), code, told(code, err), told("en", err))
			}
		}
	}
}

// The numbers of a page have the plural forms of its language.
func TestPlurals(t *testing.T) {
	p := newPages(t)
	for want, c := range map[string]struct {
		code, key string
		n         int
	}{
		"8 godzin": {"pl", "%d hours", 8}, "7 dni": {"pl", "%d days", 7},
		"7 Tage": {"de", "%d days", 7}, "7 days": {"en", "%d days", 7},
		"Et 1 autre.": {"fr", "And %d more.", 1},
		"2 weitere warten; drucken Sie sie danach.": {"de", "%d more wait; print them afterwards.", 2},
		"1 more waits; print it afterwards.":        {"en", "%d more wait; print them afterwards.", 1},
	} {
		if got := p.Site.Words(c.code).Text(c.key, c.n); got != want {
			t.Errorf("%s: %q, want %q", c.code, got, want)
		}
	}
}
