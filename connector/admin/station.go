package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"go.uber.org/zap"

	"pullprint/connector"
	"pullprint/policy/badge"
)

// forgetAfter is how many seconds a station shows a person's jobs, or a message,
// when nothing is done. It is less than visitLife.
const forgetAfter = 20

// idleAgain is how often an idle station loads its page anew, so that the field
// for the badge has the focus.
const idleAgain = 120

// namesWithin is how long the name of somebody whose jobs are listed is looked for.
const namesWithin = time.Second

// stationPage is what the pages of a station know.
//
// To a station a card is typed text and Enter, at any moment: while a page loads,
// behind what stands in a field, on whatever has the focus. So that it acts for
// nobody but the card's owner,
//   - every page has a field for a badge, which has the focus from the start, and
//     gets it back by a click beside the buttons (the label "backdrop");
//   - Tab stops at fields and at the button that sends them, so that a reader which ends
//     with Tab and Enter sends its card and gets nowhere else. A person without a
//     pointer has the access keys, which stand on the other controls. These are
//     letters: some readers send a character as Alt and a code of digits;
//   - no form that releases or deletes has a field that takes text: Enter in a field
//     sends its own form, which only shows a badge or enrols one;
//   - a button that releases or deletes loses the focus when it was pressed, and when
//     a pointer went down on it and slid off (style.css, "acts");
//   - a page's forms work once, and while its visit lasts (visit).
type stationPage struct {
	Device string
	// Ticket is that of the page; see visit. It is empty when nobody is there.
	Ticket string
	// Jobs are the person's own, Others those of people who let them.
	Jobs   []connector.Quote
	Others []othersJobs
	// Purses are what is left on the accounts that pay.
	Purses []connector.Purse
	// Outcome is set after something was done, with the Refusals that the list of
	// jobs does not tell.
	Outcome  *connector.Outcome
	Refusals []refusedJobs
	Canceled []connector.Refused
	Enrolled bool
	// Code is a one-time code that was typed and waits for a badge.
	Code string
}

// othersJobs are jobs that somebody lets the person release.
type othersJobs struct {
	// Name is the user principal name of who it is, or else the id.
	Name string
	Jobs []connector.Quote
}

// quoteLine is a job in the list of a page; own says that the person may delete it.
// The keys are empty when the letters are used up.
type quoteLine struct {
	Page                page
	Quote               connector.Quote
	Own                 bool
	PrintKey, DeleteKey string
}

// jobKeys are the access keys of jobs, in turn: all letters but those of Leave and
// Print all.
const jobKeys = "bcdefghijkmnopqrstuvwxyz"

// lineOf is a job of a page with its access keys: two for each of the person's own
// jobs in the order of the list, then one for each of others'.
func lineOf(p page, q connector.Quote, own bool) quoteLine {
	line := quoteLine{Page: p, Quote: q, Own: own}
	s, _ := p.Data.(stationPage)
	next := 0
	for i := range s.Jobs {
		if next+2 > len(jobKeys) {
			return line
		}
		if s.Jobs[i].Ref == q.Ref {
			line.PrintKey, line.DeleteKey = jobKeys[next:next+1], jobKeys[next+1:next+2]
			return line
		}
		next += 2
	}
	for _, o := range s.Others {
		for i := range o.Jobs {
			if next == len(jobKeys) {
				return line
			}
			if o.Jobs[i].Ref == q.Ref {
				line.PrintKey = jobKeys[next : next+1]
				return line
			}
			next++
		}
	}
	return line
}

// at is the device of the path and whether this browser is its station.
func (p *Pages) at(rw http.ResponseWriter, req *http.Request) (device string, ok bool) {
	device = req.PathValue("device")
	if !p.api.hasDevice(device) {
		p.message(rw, http.StatusNotFound, "There is no such device",
			"Write the id of a configured device into the address: /station/ID.")
		return device, false
	}
	if p.api.Taps == nil {
		p.fail(rw, noBadges())
		return device, false
	}
	_, ok, err := p.sessions.who(req, func(c Caller) bool {
		return c.Device == device || (c.Device == "" && c.may(RoleOperate))
	})
	if err != nil {
		p.trouble(rw, device, err)
		return device, false
	}
	if !ok {
		p.stationSignIn(rw, http.StatusUnauthorized, device, "")
	}
	return device, ok
}

func stationPath(device string) string { return "/station/" + url.PathEscape(device) }

func (p *Pages) stationSignIn(rw http.ResponseWriter, status int, device, wrong string) {
	p.show(rw, status, "login", page{
		Title: "Set up the station " + device, Wrong: wrong, Data: stationPath(device) + "/login",
	})
}

func (p *Pages) stationLogin(rw http.ResponseWriter, req *http.Request) {
	device := req.PathValue("device")
	caller, ok := p.api.Tokens.Who(req.PostFormValue("token"))
	if !ok || (caller.Device != device && !caller.may(RoleOperate)) {
		p.stationSignIn(rw, http.StatusUnauthorized, device, "That is not the token of this reader.")
		return
	}
	if caller.Device == "" {
		if err := p.api.auditor(actionStation, caller)(req.Context(), Action{Device: device}); err != nil {
			p.fail(rw, err)
			return
		}
	}
	caller.Device = device // an administrator's token sets up this station and opens nothing else
	caller.Role = ""
	if err := p.sessions.signIn(rw, req, caller, stationPath(device), stationLife); err != nil {
		p.fail(rw, err)
		return
	}
	http.Redirect(rw, req, stationPath(device), http.StatusSeeOther)
}

func (p *Pages) station(rw http.ResponseWriter, req *http.Request) {
	if device, ok := p.at(rw, req); ok {
		p.idle(rw, http.StatusOK, device, "")
	}
}

// stationAgain leads home who loads the address of a form: a browser that begins
// again where it ended.
func (p *Pages) stationAgain(rw http.ResponseWriter, req *http.Request) {
	http.Redirect(rw, req, stationPath(req.PathValue("device")), http.StatusSeeOther)
}

// idle waits for a badge. A message is shown as long as a person's jobs are.
func (p *Pages) idle(rw http.ResponseWriter, status int, device, wrong string) {
	refresh := idleAgain
	if wrong != "" {
		refresh = forgetAfter
	}
	p.show(rw, status, "station", page{
		Title: "Show your badge", Wrong: wrong, Refresh: refresh, Then: stationPath(device),
		Data: stationPage{Device: device},
	})
}

// trouble says at a station what an error means, and waits for a badge.
func (p *Pages) trouble(rw http.ResponseWriter, device string, err error) {
	pr := problemOf(err)
	if hidden(err, pr) {
		p.log.Warn("page failed", zap.String("device", device), zap.Error(err))
	}
	p.idle(rw, pr.Status, device, pr.Title+". "+pr.Detail)
}

// stationJobs ends the visit of whoever is there, and shows the jobs of whose badge
// it is. A browser may have gone on to another page already: what was typed counts.
func (p *Pages) stationJobs(rw http.ResponseWriter, req *http.Request) {
	device, ok := p.at(rw, req)
	if !ok {
		return
	}
	number := req.PostFormValue("badge")
	if number == "" {
		p.idle(rw, http.StatusOK, device, "")
		return
	}
	ctx, now := context.WithoutCancel(req.Context()), time.Now()
	if owner, ticket, same := p.same(ctx, device, number, req.PostFormValue("visit")); same {
		p.visit(rw, req, stationPage{Device: device, Ticket: ticket}, owner)
		return
	}
	if _, _, err := p.visits.begin(ctx, device, "", now); err != nil {
		p.trouble(rw, device, err)
		return
	}
	owner, err := p.api.Taps.Identify(ctx, device, number)
	var locked *connector.LockedError
	switch {
	case errors.As(err, &locked):
		p.idle(rw, http.StatusTooManyRequests, device, "Too many unknown badges. Please wait a minute.")
		return
	case err != nil:
		p.trouble(rw, device, err)
		return
	}
	s := stationPage{Device: device}
	if owner != "" {
		if err := p.list(req.Context(), &s, owner); err != nil {
			p.trouble(rw, device, err)
			return
		}
	}
	if len(s.Jobs)+len(s.Others) == 0 {
		p.idle(rw, http.StatusOK, device, "No job is waiting for this badge here. A new badge has to be enrolled first.")
		return
	}
	if s.Ticket, ok, err = p.visits.begin(ctx, device, owner, now); err != nil {
		p.trouble(rw, device, err)
		return
	} else if !ok {
		p.idle(rw, http.StatusOK, device, visitEnded)
		return
	}
	p.jobs(rw, s, "")
}

// visitEnded is told to whoever acts after their visit.
const visitEnded = "Your time here is over, or another badge was shown. Please show your badge again."

// same reports that what was typed is the rest of the badge of whoever is there,
// who has its page: then nothing changes but the ticket.
func (p *Pages) same(ctx context.Context, device, number, used string) (owner, ticket string, ok bool) {
	if used == "" || !p.api.Taps.Rest(device, number) {
		return "", "", false
	}
	owner, u, err := p.visits.use(ctx, device, used)
	if err != nil || u == useEnded {
		return "", "", false
	}
	ticket, ok, err = p.visits.turn(ctx, device, used)
	return owner, ticket, ok && err == nil
}

// visit shows somebody's jobs on a page of their visit.
func (p *Pages) visit(rw http.ResponseWriter, req *http.Request, s stationPage, owner string) {
	if err := p.list(req.Context(), &s, owner); err != nil {
		p.trouble(rw, s.Device, err)
		return
	}
	p.jobs(rw, s, "")
}

func (p *Pages) jobs(rw http.ResponseWriter, s stationPage, wrong string) {
	p.show(rw, http.StatusOK, "jobs", page{
		Title: "Your jobs", Wrong: wrong, Refresh: forgetAfter, Then: stationPath(s.Device), Data: s,
	})
}

// list looks for the jobs that a person can release: their own, and under their
// owners those of people who let them.
func (p *Pages) list(ctx context.Context, s *stationPage, owner string) error {
	quotes, purses, err := p.api.Releaser.Quotes(ctx, owner, s.Device)
	if err != nil {
		return err
	}
	s.Purses = purses
	of := map[string]int{}
	for _, q := range quotes {
		if q.Owner == owner {
			s.Jobs = append(s.Jobs, q)
			continue
		}
		i, known := of[q.Owner]
		if !known {
			i, of[q.Owner] = len(s.Others), len(s.Others)
			s.Others = append(s.Others, othersJobs{Name: q.Owner})
		}
		s.Others[i].Jobs = append(s.Others[i].Jobs, q)
	}
	p.name(ctx, s.Others)
	return nil
}

// name puts user principal names in the place of ids, as far as badges tell them.
func (p *Pages) name(ctx context.Context, others []othersJobs) {
	if len(others) == 0 || p.api.Badges == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, namesWithin)
	defer cancel()
	err := p.api.Badges.List(ctx, "", func(b badge.Badge) error {
		i := slices.IndexFunc(others, func(o othersJobs) bool { return o.Name == b.Owner })
		if i >= 0 && b.UserPrincipalName != "" {
			others[i].Name = b.UserPrincipalName
		}
		return nil
	})
	if err != nil {
		p.log.Debug("names not read, ids are shown", zap.Error(err))
	}
}
