package station

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/access"
	"pullprint/connector/admin"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/console/view"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/policy/pin"
	"pullprint/trigger/graph"
)

// actionStation is a station that was set up with another token than that of its reader.
const actionStation = "set-up-station"

// stationLife is how long a station stays signed in: nobody is there to do it anew. Its
// session ends with the token all the same.
const stationLife = 365 * 24 * time.Hour

// forgetAfter is how many seconds a station shows a message, and stayFor a person's jobs, when
// nothing is done. While somebody touches the page it stays for longer (stayMost in station.js).
// All are less than visitLife. style.css has a countdown for each (closes).
const (
	forgetAfter = 20
	stayFor     = 30
)

// idleAgain is after how many seconds an idle station reloads its page, so that the field
// for the badge has the focus.
const idleAgain = 120

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
	// Place is what people call it.
	Place string
	// Name is the person's first name, languages those that they read; both may be empty.
	Name      string
	languages string
	// Help says whom to ask.
	Help string
	// Printer is whether the device can print.
	Printer release.Readiness
	// Titles are those of the jobs, as they may be shown.
	Titles map[graph.Ref]string
	// Choices are the ways to print the job Of.
	Of      release.Quote
	Choices []release.Choice
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
	// PINSet is set when somebody has just set their PIN with a code.
	PINSet bool
	// Refused is why a new PIN can't be taken, in the language of the page.
	Refused string
	// Claim is the code of an unknown card, by which its owner enrols it at OwnPage.
	Claim   string
	OwnPage string
	// Code is a one-time code that was typed and waits for a badge or a new PIN.
	Code string
	// NoCards is set where badges count for nothing, Names where people may type a name and a PIN.
	NoCards, Names bool
	// AsksPIN is set while somebody is asked for their PIN, and PINPage is where people set theirs.
	AsksPIN bool
	PINPage string
	// PhoneCode is what people type on their phones to show that they stand there.
	PhoneCode string
}

// at is the device of the path and whether this browser is its station.
func (p *Pages) at(rw http.ResponseWriter, req *http.Request) (device string, ok bool) {
	if device, ok = p.configured(rw, req); !ok {
		return device, false
	}
	if p.Taps == nil {
		none, _ := admin.ProblemOf(admin.ErrNoBadges)
		p.Site.Message(rw, none.Status, none.Title, none.Detail)
		return device, false
	}
	who, ok, err := p.Sessions.Who(req, func(c access.Caller) bool { return c.MayTapAt(device) })
	if err != nil {
		p.failAt(rw, device, err)
		return device, false
	}
	switch {
	case !ok:
		p.stationSignIn(rw, http.StatusUnauthorized, device, "")
	case p.Heard != nil && who.Device == device: // and not somebody who looks at the page from elsewhere
		p.Heard(req.Context(), device)
	}
	return device, ok
}

// MinPIN is how many digits a PIN has at least.
func (stationPage) MinPIN() int { return pin.MinLength }

// MaxPIN is how many it has at most.
func (stationPage) MaxPIN() int { return pin.MaxLength }

// Digits are those of the keypad but for 0, which is below them.
func (stationPage) Digits() []string { return strings.Split("123456789", "") }

// configured is the device of the path, if there is one of that id.
func (p *Pages) configured(rw http.ResponseWriter, req *http.Request) (device string, ok bool) {
	device = req.PathValue("device")
	if _, ok = printer.DeviceByID(p.Devices, device); !ok {
		p.Site.Message(rw, http.StatusNotFound, "There is no such device",
			"Write the id of a configured device into the address: /station/ID.")
	}
	return device, ok
}

// Path is where the station of a device is.
func Path(device string) string { return "/station/" + url.PathEscape(device) }

func (p *Pages) stationSignIn(rw http.ResponseWriter, status int, device, wrong string) {
	// Loaded anew, the page goes on when the token of the session is valid again.
	p.show(rw, status, "login", view.Page{
		Title: p.Site.Words(view.Wished(rw)).Text("Set up the station %s", device), Wrong: wrong, Refresh: idleAgain, Then: Path(device),
		Data: Path(device) + "/login",
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
		about := apiclient.Action{Action: actionStation, Actor: caller.Name, Device: device}
		if err := p.Jobs.StoreAction(req.Context(), about); err != nil {
			p.notSignedIn(rw, device, err)
			return
		}
	}
	caller.Device = device // an administrator's token sets up this station and opens nothing else
	caller.Role = ""
	if err := p.Sessions.SignIn(rw, req, caller, Path(device), stationLife); err != nil {
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
	device, ok := p.at(rw, req)
	if !ok {
		return
	}
	if status, text := said(req); text != "" {
		p.idle(rw, status, device, text)
		return
	}
	ctx, cancel := context.WithTimeout(req.Context(), view.Within)
	defer cancel()
	name, title := p.firstPage(device)
	p.show(rw, http.StatusOK, name, p.withCode(view.Page{
		Title: title, Refresh: idleAgain, Then: Path(device),
	}, stationPage{Device: device, Printer: p.readiness(ctx, device)}))
}

// withCode is the page that waits for a badge, with the code for phones if the device has one: it is loaded
// again when that has changed.
func (p *Pages) withCode(data view.Page, s stationPage) view.Page {
	if p.PhoneCode != nil {
		if code, left := p.PhoneCode(s.Device, time.Now()); code != "" {
			s.PhoneCode = code[:3] + " " + code[3:]
			data.Refresh = min(data.Refresh, int(left/time.Second)+1)
		}
	}
	data.Data = s
	return data
}

// byTicket is the handler of a page whose address has a ticket and shows it once: going back to it later
// shows the first page. again reports false when the ticket is of no such page.
func (p *Pages) byTicket(
	again func(rw http.ResponseWriter, req *http.Request, device, ticket string) bool,
) http.HandlerFunc {
	return func(rw http.ResponseWriter, req *http.Request) {
		ticket := req.URL.Query().Get("visit")
		if ticket == "" {
			p.stationAgain(rw, req)
			return
		}
		if device, ok := p.at(rw, req); ok && !again(rw, req, device, ticket) {
			p.idle(rw, http.StatusOK, device, visitEnded)
		}
	}
}

// stationAgain redirects a browser that loads the address of a form, as after a restart, to
// the first page.
func (p *Pages) stationAgain(rw http.ResponseWriter, req *http.Request) {
	home(rw, req, req.PathValue("device"))
}

// home redirects to the first page of a station.
func home(rw http.ResponseWriter, req *http.Request, device string) {
	http.Redirect(rw, req, Path(device), http.StatusSeeOther) //nolint:gosec // a path of ours, whatever the device
}

// idle shows the page that waits for a badge, with a message for forgetAfter.
func (p *Pages) idle(rw http.ResponseWriter, status int, device, wrong string) {
	refresh := idleAgain
	if wrong != "" {
		refresh = forgetAfter
	}
	name, title := p.firstPage(device)
	p.show(rw, status, name, p.withCode(view.Page{
		Title: title, Wrong: wrong, Refresh: refresh, Then: Path(device),
	}, stationPage{Device: device}))
}

// readiness is whether a device can print.
func (p *Pages) readiness(ctx context.Context, device string) release.Readiness {
	if p.Releaser == nil {
		return release.Readiness{}
	}
	return p.Releaser.Readiness(ctx, device)
}

// placed is a page with where it is, and whom to ask there.
func (p *Pages) placed(s stationPage) stationPage {
	s.Place, s.Help, s.OwnPage, s.PINPage = s.Device, p.Config.Help, p.OwnPage, p.PINPage
	if d, ok := printer.DeviceByID(p.Devices, s.Device); ok {
		s.Place, s.NoCards, s.Names = d.Place(), d.Card() == "", d.Takes(printer.ByPIN)
	}
	return s
}

// failAt shows at a station what an error means to a person, and waits for a badge.
func (p *Pages) failAt(rw http.ResponseWriter, device string, err error) {
	pr, logged := admin.ProblemOf(err)
	text := pr.Title + ". " + pr.Detail
	if logged { // the detail is for who reads the log
		p.log.Warn("page failed", zap.String("device", device), zap.Error(err))
		text = view.AtTheMoment
	}
	p.idle(rw, pr.Status, device, text)
}
