package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/access"
	"pullprint/connector/admin"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/connector/tap"
)

// actionStation is a station that was set up with another token than that of its reader.
const actionStation = "set-up-station"

// stationLife is how long a station stays signed in: nobody is there to do it anew. Its
// session ends with the token all the same.
const stationLife = 365 * 24 * time.Hour

// forgetAfter is how many seconds a station shows a person's jobs, or a message,
// when nothing is done. It is less than visitLife.
const forgetAfter = 20

// idleAgain is after how many seconds an idle station reloads its page, so that the field
// for the badge has the focus.
const idleAgain = 120

// namesWithin bounds looking up the names of owners: the person at the station waits, and
// an id is shown otherwise.
const namesWithin = time.Second

// stationPage is what the pages of a station know.
//
// To a station a card is typed text and Enter, at any moment: while a page loads,
// behind what stands in a field, on whatever has the focus. So that it acts for
// nobody but the card's owner,
//   - every page has a field for a badge, which has the focus from the start, and
//     gets it back by a click beside the buttons (the label "backdrop");
//   - Tab stops at fields and nowhere else, so that what a reader types before, between
//     or after its Tabs is on no button. A person without a pointer has Enter and the
//     access keys, which stand on the controls. These are letters: some readers send a
//     character as Alt and a code of digits;
//   - there are two fields for a badge (shownBadge): behind Tab there is one more, and
//     what stands in both acts for nobody;
//   - no form that releases or deletes has a field that takes text: Enter in a field
//     sends its own form, which only shows a badge or enrols one;
//   - a button that releases or deletes loses the focus when it was pressed, and when
//     a pointer went down on it and slid off (style.css, "acts");
//   - a page's forms work once, and while its visit lasts (visit).
//
// A script (station.js) does what HTML can't: it sends a card without an end or with
// Tab, forgets what was left in the field, brings keys that arrive elsewhere to the
// field, and loads pages without a moment in which keys are lost.
type stationPage struct {
	Device string
	// Ticket is that of the page; see visit. It is empty when nobody is there.
	Ticket string
	// Jobs are the person's own, Others those of people who let them.
	Jobs   []release.Quote
	Others []othersJobs
	// Balances are what is left on the accounts that pay for Jobs.
	Balances []release.BalanceText
	// Outcome is set after something was done, with the Refusals that the list of
	// jobs does not tell.
	Outcome *release.Outcome
	// Elsewhere are the devices of other printers than that of this device, by the printer.
	Elsewhere map[string]string
	Refusals  []refusedJobs
	Canceled  []release.Refused
	Enrolled  bool
	// Code is a one-time code that was typed and waits for a badge.
	Code string
}

// at is the device of the path and whether this browser is its station.
func (p *Pages) at(rw http.ResponseWriter, req *http.Request) (device string, ok bool) {
	if device, ok = p.configured(rw, req); !ok {
		return device, false
	}
	if p.Taps == nil {
		none, _ := admin.ProblemOf(admin.ErrNoBadges)
		p.message(rw, none.Status, none.Title, none.Detail)
		return device, false
	}
	var err error
	_, ok, err = p.Sessions.Who(req, func(c access.Caller) bool { return c.MayTapAt(device) })
	if err != nil {
		p.failAt(rw, device, err)
		return device, false
	}
	if !ok {
		p.stationSignIn(rw, http.StatusUnauthorized, device, "")
	}
	return device, ok
}

// configured is the device of the path, if there is one of that id.
func (p *Pages) configured(rw http.ResponseWriter, req *http.Request) (device string, ok bool) {
	device = req.PathValue("device")
	ok = slices.ContainsFunc(p.Devices, func(d printer.Device) bool { return d.ID == device })
	if !ok {
		p.message(rw, http.StatusNotFound, "There is no such device",
			"Write the id of a configured device into the address: /station/ID.")
	}
	return device, ok
}

func stationPath(device string) string { return "/station/" + url.PathEscape(device) }

func (p *Pages) stationSignIn(rw http.ResponseWriter, status int, device, wrong string) {
	// Loaded anew, the page goes on when the token of the session is valid again.
	p.show(rw, status, "login", page{
		Title: "Set up the station " + device, Wrong: wrong, Refresh: idleAgain, Then: stationPath(device),
		Data: stationPath(device) + "/login",
	})
}

func (p *Pages) stationLogin(rw http.ResponseWriter, req *http.Request) {
	device, ok := p.configured(rw, req)
	if !ok {
		return
	}
	caller, ok := p.Tokens.Who(access.FormToken(req))
	if !ok || !caller.MayTapAt(device) {
		p.stationSignIn(rw, http.StatusUnauthorized, device, "That is not the token of this reader.")
		return
	}
	if caller.Device == "" {
		about := admin.Action{Action: actionStation, Actor: caller.Name, Device: device}
		if err := p.Jobs.StoreAction(req.Context(), about); err != nil {
			p.notSignedIn(rw, device, err)
			return
		}
	}
	caller.Device = device // an administrator's token sets up this station and opens nothing else
	caller.Role = ""
	if err := p.Sessions.SignIn(rw, req, caller, stationPath(device), stationLife); err != nil {
		p.notSignedIn(rw, device, err)
		return
	}
	home(rw, req, device)
}

// notSignedIn shows the sign-in of a station again, with why it did not work.
func (p *Pages) notSignedIn(rw http.ResponseWriter, device string, err error) {
	pr, logged := admin.ProblemOf(err)
	if logged {
		p.log.Warn("page failed", zap.String("device", device), zap.Error(err))
	}
	p.stationSignIn(rw, pr.Status, device, pr.Title+". "+pr.Detail)
}

func (p *Pages) station(rw http.ResponseWriter, req *http.Request) {
	if device, ok := p.at(rw, req); ok {
		status, text := said(req)
		p.idle(rw, status, device, text)
	}
}

// stationAgain redirects a browser that loads the address of a form, as after a restart, to
// the first page.
func (p *Pages) stationAgain(rw http.ResponseWriter, req *http.Request) {
	home(rw, req, req.PathValue("device"))
}

// home redirects to the first page of a station.
func home(rw http.ResponseWriter, req *http.Request, device string) {
	http.Redirect(rw, req, stationPath(device), http.StatusSeeOther) //nolint:gosec // a path of ours, whatever the device
}

// idle shows the page that waits for a badge, with a message for forgetAfter.
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

// tryAgain is what a person can do about an error that they did not cause.
const tryAgain = "Nothing is lost: please show your badge again in a few seconds. If that does not help, tell your " +
	"administrator."

const atTheMoment = "It can't be done at the moment. " + tryAgain

// failAt shows at a station what an error means to a person, and waits for a badge.
func (p *Pages) failAt(rw http.ResponseWriter, device string, err error) {
	pr, logged := admin.ProblemOf(err)
	text := pr.Title + ". " + pr.Detail
	if logged { // the detail is for who reads the log
		p.log.Warn("page failed", zap.String("device", device), zap.Error(err))
		text = atTheMoment
	}
	p.idle(rw, pr.Status, device, text)
}

// stationJobs ends the visit of whoever is there, and shows the jobs of whose badge
// it is. A browser may have gone on to another page already: what was typed counts.
func (p *Pages) stationJobs(rw http.ResponseWriter, req *http.Request) {
	rw = awayFromCard(rw, req)
	p.shown(rw, req, func(device string) { p.idle(rw, http.StatusOK, device, unknownBadge) })
}

// noJob is the answer to an unknown badge as well as to one without held jobs, so that
// nobody learns which badges exist.
const noJob = "No job is waiting for this badge here."

// unknownBadge is noJob on all pages but that for enrolling a badge.
const unknownBadge = noJob + " A new badge has to be enrolled first."

// shown is stationJobs; nothing answers when no job waits for the badge.
func (p *Pages) shown(rw http.ResponseWriter, req *http.Request, nothing func(device string)) {
	device, ok := p.at(rw, req)
	if !ok {
		return
	}
	number, one := shownBadge(req)
	ctx := context.WithoutCancel(req.Context())
	goesOn, ambiguous := one && number == "", false
	if one && number != "" {
		var err error
		if goesOn, ambiguous, err = p.Taps.IsTailOfTyped(ctx, device, number); err != nil {
			p.failAt(rw, device, err)
			return
		}
	}
	if goesOn && !ambiguous {
		owner, ticket, err := p.goOn(ctx, device, req.PostFormValue("visit"))
		switch {
		case errors.Is(err, tap.ErrBadgeInvalid):
			p.idle(rw, http.StatusOK, device, unknownBadge)
			return
		case err != nil:
			p.failAt(rw, device, err)
			return
		case ticket != "":
			p.visit(rw, req, stationPage{Device: device, Ticket: ticket}, owner)
			return
		}
	}
	if one && number == "" {
		p.idle(rw, http.StatusOK, device, "")
		return
	}
	card, err := p.Visits.shown(ctx, device)
	if err != nil {
		p.failAt(rw, device, err)
		return
	}
	if !one || ambiguous {
		p.idle(rw, http.StatusOK, device, twoBadges)
		return
	}
	s := stationPage{Device: device}
	who, ok := p.identified(rw, req, &s, number)
	switch {
	case !ok:
	case len(s.Jobs)+len(s.Others) == 0:
		nothing(device)
	default:
		p.begin(ctx, rw, s, who, card)
	}
}

// identified finds whose badge was shown, and lists the jobs of that person. When it
// returns false, it has answered.
func (p *Pages) identified(rw http.ResponseWriter, req *http.Request, s *stationPage, number string,
) (tap.Visitor, bool) {
	who, err := p.Taps.Visitor(context.WithoutCancel(req.Context()), s.Device, number)
	var locked *tap.LockedError
	if errors.As(err, &locked) {
		p.idle(rw, http.StatusTooManyRequests, s.Device, tooManyUnknown)
		return tap.Visitor{}, false
	}
	if err == nil && who.Owner != "" {
		err = p.list(req.Context(), s, who.Owner)
	}
	if err != nil {
		p.failAt(rw, s.Device, err)
		return tap.Visitor{}, false
	}
	return who, true
}

// begin begins the visit of a badge's owner with a page that has their jobs, unless
// another card was shown meanwhile.
func (p *Pages) begin(ctx context.Context, rw http.ResponseWriter, s stationPage, who tap.Visitor, card string) {
	ticket, ok, err := p.Visits.begin(ctx, s.Device, who, card)
	switch {
	case err != nil:
		p.failAt(rw, s.Device, err)
	case !ok:
		p.idle(rw, http.StatusOK, s.Device, visitEnded)
	default:
		s.Ticket = ticket
		p.jobs(rw, s, "")
	}
}

// visitEnded is the answer to a form after its visit.
const visitEnded = "Your time here is over, or another badge was shown. Please show your badge again."

// twoBadges is the answer when it is not certain which badge was shown.
const twoBadges = "Two badges may have been read. Please show yours again."

// tooManyUnknown is the answer at a reader that is locked.
const tooManyUnknown = "Too many unknown badges. Please wait a minute."

// shownBadge is what stands in the fields for a badge. There are two: where a reader
// ends a number with Tab and there is no script, the next one stands in the other, and
// whoever sends the form then may be neither of both. It reports false then.
func shownBadge(req *http.Request) (number string, one bool) {
	_ = req.PostFormValue("badge") // parses the form
	for _, v := range req.PostForm["badge"] {
		switch v = strings.TrimSpace(v); {
		case v == "" || v == number:
		case number != "":
			return "", false
		default:
			number = v
		}
	}
	return number, true
}

// goOn is the visit of whoever has a page of it and showed no other badge: nothing was
// typed but Enter, or the rest of the badge that is there. Then nothing changes but
// the ticket, which is empty when the visit has ended. The error is ErrBadgeInvalid when
// it ends now, or why that can't be told.
func (p *Pages) goOn(ctx context.Context, device, used string) (owner, ticket string, err error) {
	if used == "" {
		return "", "", nil
	}
	who, u, err := p.Visits.use(ctx, device, used)
	if err != nil || u == useEnded {
		return "", "", err
	}
	switch ok, err := p.goesOn(ctx, device, used, who); {
	case err != nil:
		return "", "", err
	case !ok:
		return "", "", tap.ErrBadgeInvalid
	}
	ticket, _, err = p.Visits.turn(ctx, device, used)
	return who.Owner, ticket, err
}

// goesOn reports whether the badge of a visit still opens it, and else ends the visit,
// unless another has begun. It is asked before each act and each page of a visit: a
// badge may be revoked while its owner, or who took it, stands there.
func (p *Pages) goesOn(ctx context.Context, device, ticket string, who tap.Visitor) (bool, error) {
	err := p.Taps.StillValid(ctx, who)
	if errors.Is(err, tap.ErrBadgeInvalid) {
		return false, p.Visits.leave(ctx, device, ticket)
	}
	return err == nil, err
}

// visit shows somebody's jobs on a page of their visit.
func (p *Pages) visit(rw http.ResponseWriter, req *http.Request, s stationPage, owner string) {
	if err := p.list(req.Context(), &s, owner); err != nil {
		p.failAt(rw, s.Device, err)
		return
	}
	p.jobs(rw, s, "")
}

func (p *Pages) jobs(rw http.ResponseWriter, s stationPage, wrong string) {
	p.show(rw, http.StatusOK, "jobs", page{
		Title: "Your jobs", Wrong: wrong, Refresh: forgetAfter, Then: stationPath(s.Device), Data: s,
	})
}
