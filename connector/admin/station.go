package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"go.uber.org/zap"

	"pullprint/connector"
	"pullprint/connector/held"
	"pullprint/policy"
	"pullprint/policy/badge"
)

// forgetAfter is how many seconds a station shows a person's jobs when nothing
// is done.
const forgetAfter = 20

// idleAgain is how often an idle station loads its page anew, so that the field
// for the badge has the focus.
const idleAgain = 120

// stationPage is what the pages of a station know.
type stationPage struct {
	Device string
	Visit  string
	Jobs   []connector.Quote
	// Balances are what is left on the accounts that pay.
	Purses []connector.Purse
	// Outcome is set after something was done.
	Outcome  *connector.Outcome
	Canceled []connector.Refused
	Enrolled bool
}

// at is the device of the path and whether this browser is its station.
func (p *Pages) at(rw http.ResponseWriter, req *http.Request) (device string, ok bool) {
	device = req.PathValue("device")
	if _, known := p.api.device(device); !known {
		p.message(rw, http.StatusNotFound, "There is no such device", "Write the id of a configured device into the address: /station/ID.")
		return device, false
	}
	if p.api.Taps == nil {
		p.fail(rw, noBadges())
		return device, false
	}
	_, ok, err := p.sessions.who(req, func(c Caller) bool { return c.Device == device || (c.Device == "" && c.may(RoleOperate)) })
	if err != nil {
		p.fail(rw, err)
		return device, false
	}
	if !ok {
		p.stationSignIn(rw, http.StatusUnauthorized, device, "")
	}
	return device, ok
}

func (p *Pages) stationSignIn(rw http.ResponseWriter, status int, device, wrong string) {
	p.show(rw, status, "login", page{Title: "Set up the station " + device, Wrong: wrong, Data: "/station/" + url.PathEscape(device) + "/login"})
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
	if err := p.sessions.signIn(rw, req, caller, "/station/"+url.PathEscape(device), stationLife); err != nil {
		p.fail(rw, err)
		return
	}
	http.Redirect(rw, req, "/station/"+url.PathEscape(device), http.StatusSeeOther)
}

func (p *Pages) station(rw http.ResponseWriter, req *http.Request) {
	device, ok := p.at(rw, req)
	if !ok {
		return
	}
	p.idle(rw, http.StatusOK, device, "")
}

// idle waits for a badge.
func (p *Pages) idle(rw http.ResponseWriter, status int, device, wrong string) {
	p.show(rw, status, "station", page{
		Title: "Show your badge", Wrong: wrong, Refresh: idleAgain, Then: "/station/" + url.PathEscape(device), Data: stationPage{Device: device},
	})
}

// stationJobs shows the jobs of whose badge it is.
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
	owner, err := p.api.Taps.Identify(context.WithoutCancel(req.Context()), device, number)
	var locked *connector.LockedError
	switch {
	case errors.As(err, &locked):
		p.idle(rw, http.StatusTooManyRequests, device, "Too many unknown badges. Please wait a minute.")
		return
	case err != nil:
		p.fail(rw, err)
		return
	}
	page := stationPage{Device: device}
	if owner != "" {
		if page.Jobs, page.Purses, err = p.api.Releaser.Quotes(req.Context(), owner, device); err != nil {
			p.fail(rw, err)
			return
		}
	}
	if len(page.Jobs) == 0 {
		p.idle(rw, http.StatusOK, device, "No job is waiting for this badge here. A new badge has to be enrolled first.")
		return
	}
	if page.Visit, err = p.sessions.arrive(req.Context(), device, owner); err != nil {
		p.fail(rw, err)
		return
	}
	p.jobs(rw, page)
}

func (p *Pages) jobs(rw http.ResponseWriter, s stationPage) {
	p.show(rw, http.StatusOK, "jobs", page{Title: "Your jobs", Refresh: forgetAfter, Then: "/station/" + url.PathEscape(s.Device), Data: s})
}

// stationRelease releases one job of the person there, or all.
func (p *Pages) stationRelease(rw http.ResponseWriter, req *http.Request) {
	device, owner, ok := p.person(rw, req)
	if !ok {
		return
	}
	order := connector.Order{Device: device, Owner: owner, At: time.Now()}
	if ref, one := formRef(req); one {
		order.Jobs = []held.Ref{ref}
		order.Set = formVariant(req)
	}
	out, err := p.api.Releaser.Release(context.WithoutCancel(req.Context()), order)
	if err != nil {
		p.fail(rw, err)
		return
	}
	p.done(rw, req, stationPage{Device: device, Outcome: &out}, owner)
}

// stationCancel cancels a job of the person there; one that they only may
// release stays.
func (p *Pages) stationCancel(rw http.ResponseWriter, req *http.Request) {
	device, owner, ok := p.person(rw, req)
	if !ok {
		return
	}
	ref, _ := formRef(req)
	done, err := p.api.cancel(req.Context(), connector.Cancellation{Key: held.Key(owner, ref), Owner: owner})
	if err != nil {
		p.fail(rw, err)
		return
	}
	p.done(rw, req, stationPage{Device: device, Canceled: []connector.Refused{done}}, owner)
}

// done shows what was done, and what still waits.
func (p *Pages) done(rw http.ResponseWriter, req *http.Request, s stationPage, owner string) {
	s.Visit = req.PostFormValue("visit")
	var err error
	if s.Jobs, s.Purses, err = p.api.Releaser.Quotes(req.Context(), owner, s.Device); err != nil {
		p.fail(rw, err)
		return
	}
	p.show(rw, http.StatusOK, "done", page{Title: "Done", Refresh: forgetAfter, Then: "/station/" + url.PathEscape(s.Device), Data: s})
}

// person is who stands at the station.
func (p *Pages) person(rw http.ResponseWriter, req *http.Request) (device, owner string, ok bool) {
	if device, ok = p.at(rw, req); !ok {
		return "", "", false
	}
	id := req.PostFormValue("visit")
	if req.PostFormValue("leave") != "" {
		if err := p.sessions.leave(req.Context(), id); err != nil {
			p.log.Debug("visit not ended, it ends by itself", zap.Error(err))
		}
		http.Redirect(rw, req, "/station/"+url.PathEscape(device), http.StatusSeeOther)
		return "", "", false
	}
	owner, ok, err := p.sessions.visitor(req.Context(), device, id)
	if err != nil {
		p.fail(rw, err)
		return "", "", false
	}
	if !ok {
		p.idle(rw, http.StatusOK, device, "You were away for a while. Please show your badge again.")
	}
	return device, owner, ok
}

// formVariant is how the person wants a job printed; nonsense is no change.
func formVariant(req *http.Request) policy.Settings {
	s := policy.Settings{ColorMode: req.PostFormValue("colorMode"), DuplexMode: req.PostFormValue("duplexMode")}
	if n, err := strconv.Atoi(req.PostFormValue("copies")); err == nil {
		s.Copies = n
	}
	if !s.Variant(policy.Job{Copies: max(s.Copies, 1)}) {
		return policy.Settings{}
	}
	return s
}

func formRef(req *http.Request) (held.Ref, bool) {
	ref := held.Ref{Printer: req.PostFormValue("printer"), Job: req.PostFormValue("job")}
	return ref, ref.Printer != "" && ref.Job != ""
}

func (p *Pages) stationEnrol(rw http.ResponseWriter, req *http.Request) {
	if device, ok := p.at(rw, req); ok {
		p.enrol(rw, http.StatusOK, device, "")
	}
}

func (p *Pages) enrol(rw http.ResponseWriter, status int, device, wrong string) {
	p.show(rw, status, "enrol", page{
		Title: "Enrol a badge", Wrong: wrong, Refresh: idleAgain, Then: "/station/" + url.PathEscape(device), Data: stationPage{Device: device},
	})
}

// stationRedeem enrols a badge by a one-time code. A wrong code counts as an
// unknown badge, so that codes can't be guessed.
func (p *Pages) stationRedeem(rw http.ResponseWriter, req *http.Request) {
	device, ok := p.at(rw, req)
	if !ok {
		return
	}
	code, number := req.PostFormValue("code"), req.PostFormValue("badge")
	err := p.api.Taps.Enrol(req.Context(), device, code+"\x00"+number, func(now time.Time) error {
		_, err := p.api.Badges.Redeem(context.WithoutCancel(req.Context()), code, number, now)
		return err
	})
	var locked *connector.LockedError
	switch {
	case err == nil:
		p.show(rw, http.StatusOK, "station", page{
			Title: "Show your badge", Refresh: idleAgain, Then: "/station/" + url.PathEscape(device), Data: stationPage{Device: device, Enrolled: true},
		})
	case errors.As(err, &locked):
		p.enrol(rw, http.StatusTooManyRequests, device, "Too many tries. Please wait a minute.")
	case errors.Is(err, badge.ErrCode):
		p.enrol(rw, http.StatusUnprocessableEntity, device, "That code is wrong, used already, or has expired. Ask for a new one.")
	case errors.Is(err, badge.ErrTaken):
		p.enrol(rw, http.StatusConflict, device, "This badge belongs to somebody else. Ask your administrator.")
	case errors.Is(err, badge.ErrNumber):
		p.enrol(rw, http.StatusUnprocessableEntity, device, "The reader did not read a badge. Please show it again.")
	default:
		p.fail(rw, err)
	}
}
