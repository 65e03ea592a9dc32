package station

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"pullprint/connector/console/view"
	"pullprint/connector/tap"
)

// stationJobs ends the visit of whoever is there, and shows the jobs of whose badge
// it is. A browser may have gone on to another page already: what was typed counts.
func (p *Pages) stationJobs(rw http.ResponseWriter, req *http.Request) {
	rw = awayFromCard(rw, req)
	p.readCard(rw, req, func(device string) { p.idle(rw, http.StatusOK, device, unknownBadge) })
}

// noJob is the answer to an unknown badge as well as to one without held jobs, so that
// nobody learns which badges exist.
const noJob = "No job is waiting for this badge here."

// unknownBadge is noJob on all pages but that for enrolling a badge.
const unknownBadge = noJob + " A new badge has to be enrolled first."

// readCard is stationJobs; nothing answers when no job waits for the badge.
func (p *Pages) readCard(rw http.ResponseWriter, req *http.Request, nothing func(device string)) {
	device, ok := p.at(rw, req)
	if !ok {
		return
	}
	number, one := shownBadge(req)
	ctx := context.WithoutCancel(req.Context())
	empty, goesOn, ambiguous := one && number == "", false, false
	if one && !empty {
		var err error
		if goesOn, ambiguous, err = p.Taps.IsTailOfTyped(ctx, device, number); err != nil {
			p.failAt(rw, device, err)
			return
		}
	}
	if (empty || goesOn && !ambiguous) && p.continued(rw, req, device) {
		return
	}
	if empty {
		p.idle(rw, http.StatusOK, device, "")
		return
	}
	card, err := p.Visits.endForCard(ctx, device)
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
	case who.Code != "" && p.OwnPage != "":
		s.Claim = who.Code
		p.offer(ctx, rw, s, card)
	case who.Claims != nil:
		p.ask(ctx, rw, device, *who.Claims, card)
	case len(s.Jobs)+len(s.Others) == 0:
		nothing(device)
	default:
		p.begin(ctx, rw, s, who, card)
	}
}

// continued goes on with the visit that a form names, if it is still that of its device: nobody else has shown a
// card. When it returns true, it has answered.
func (p *Pages) continued(rw http.ResponseWriter, req *http.Request, device string) bool {
	used := req.PostFormValue("visit")
	if used != "" && (p.claimAgain(rw, req, device, used) || p.pinAgain(rw, req, device, used)) {
		return true
	}
	owner, ticket, err := p.goOn(context.WithoutCancel(req.Context()), device, used)
	switch {
	case errors.Is(err, tap.ErrBadgeInvalid):
		p.idle(rw, http.StatusOK, device, unknownBadge)
	case err != nil:
		p.failAt(rw, device, err)
	case ticket != "":
		p.visit(rw, req, stationPage{Device: device, Ticket: ticket}, owner)
	default:
		return false
	}
	return true
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
// another card was shown meanwhile. It returns the ticket of the page, which is empty where there is none.
func (p *Pages) begin(
	ctx context.Context, rw http.ResponseWriter, s stationPage, who tap.Visitor, card string,
) (ticket string) {
	ticket, ok, err := p.Visits.begin(ctx, s.Device, who, card)
	switch {
	case err != nil:
		p.failAt(rw, s.Device, err)
	case !ok:
		p.idle(rw, http.StatusOK, s.Device, visitEnded)
	default:
		s.Ticket = ticket
		p.jobs(rw, s, "")
		return ticket
	}
	return ""
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
	err := p.Taps.StillValid(ctx, device, who)
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
	p.show(rw, http.StatusOK, "jobs", view.Page{
		Title: "Your jobs", Wrong: wrong, Refresh: stayFor, Then: Path(s.Device), Data: s,
	})
}
