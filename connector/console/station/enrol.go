package station

import (
	"context"
	"errors"
	"net/http"
	"time"

	"pullprint/connector/console/view"
	"pullprint/connector/tap"
	"pullprint/policy/badge"
)

// typeWithin is how many seconds a person has to type a code. Then they have forgetAfter to
// show their badge, so that the next person does not enrol theirs by that code.
const typeWithin = 60

// codeFirst is noJob on the page for enrolling a badge, when no code was typed.
const codeFirst = noJob + " To enrol it, type the code that you were given first, then hold the badge to the reader."

func (p *Pages) stationEnrol(rw http.ResponseWriter, req *http.Request) {
	if device, ok := p.at(rw, req); ok {
		status, text := said(req)
		p.enrol(rw, status, stationPage{Device: device}, text)
	}
}

func (p *Pages) enrol(rw http.ResponseWriter, status int, s stationPage, wrong string) {
	refresh := typeWithin
	if s.Code != "" {
		refresh = forgetAfter
	}
	p.show(rw, status, "enrol", view.Page{
		Title: "Enrol a badge", Wrong: wrong, Refresh: refresh, Then: Path(s.Device), Data: s,
	})
}

// stationRedeem enrols a badge by a one-time code. A wrong code counts as an
// unknown badge, so that codes can't be guessed. A badge without a code, and what
// can't be a code in its field, is somebody who shows their badge.
func (p *Pages) stationRedeem(rw http.ResponseWriter, req *http.Request) {
	device, ok := p.at(rw, req)
	if !ok {
		return
	}
	away := awayFromCard(rw, req)
	withoutCode := func(device string) { p.enrol(away, http.StatusOK, stationPage{Device: device}, codeFirst) }
	code := req.PostFormValue("code")
	number, one := shownBadge(req)
	switch {
	case !one:
		p.enrol(rw, http.StatusUnprocessableEntity, stationPage{Device: device, Code: code}, twoBadges)
		return
	case code == "" && number == "":
		p.enrol(rw, http.StatusOK, stationPage{Device: device}, "")
		return
	case code == "":
		p.readCard(away, req, withoutCode)
		return
	case number == "" && badge.IsCode(code):
		p.enrol(rw, http.StatusOK, stationPage{Device: device, Code: code}, "")
		return
	case number == "":
		req.PostForm.Set("badge", code)
		p.readCard(away, req, withoutCode)
		return
	}
	// The card ends the visit of whoever was there before, as any does.
	err := p.Visits.End(context.WithoutCancel(req.Context()), device)
	if err != nil {
		p.failAt(rw, device, err)
		return
	}
	err = p.redeem(req.Context(), device, code, number)
	s := stationPage{Device: device}
	var locked *tap.LockedError
	switch {
	case err == nil:
		s.Enrolled = true
		p.show(rw, http.StatusOK, "station", view.Page{
			Title: "Show your badge", Refresh: forgetAfter, Then: Path(device), Data: s,
		})
	case errors.As(err, &locked):
		p.enrol(rw, http.StatusTooManyRequests, s, tooManyTries)
	case errors.Is(err, badge.ErrCode):
		p.enrol(rw, http.StatusUnprocessableEntity, s, wrongCode)
	case errors.Is(err, badge.ErrTaken):
		p.enrol(rw, http.StatusConflict, s, "This badge belongs to somebody else. Ask your administrator.")
	case errors.Is(err, badge.ErrNumber):
		s.Code = code
		p.enrol(rw, http.StatusUnprocessableEntity, s, "The reader did not read a badge. Please show it again.")
	default:
		p.failAt(rw, device, err)
	}
}

// redeem enrols a badge by a code, which is used up then: the same form once more, as of a
// reader that ends a number with Enter twice, has the answer of the first while the badge
// is valid and nothing else was done at the device.
func (p *Pages) redeem(ctx context.Context, device, code, number string) error {
	canonical, err := p.Badges.Canonical(number)
	if err != nil {
		canonical = number
	}
	d, first := p.results.join(device, "enrol."+hashOf(code+"\x00"+canonical))
	if first {
		defer close(d.done)
	} else {
		if !d.wait(ctx) {
			return ctx.Err()
		}
		if c := d.who.Claims; c != nil && time.Since(d.at) < visitLife && p.Taps.StillOwns(ctx, *c) == nil {
			return nil
		}
	}
	return p.Taps.Enrol(ctx, device, code+"\x00"+number, func(now time.Time) error {
		b, err := p.Badges.Redeem(context.WithoutCancel(ctx), code, number, now)
		if err == nil && first {
			c := p.Taps.ClaimOf(b.Owner, number)
			d.who, d.at = tap.Visitor{Claims: &c}, now
		}
		return err
	})
}
