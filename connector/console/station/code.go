package station

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/console/view"
	"pullprint/connector/tap"
	"pullprint/policy/badge"
	"pullprint/policy/pin"
)

// What is said of a code: the same of one that nobody made, one that was used, and one that is late.
const (
	wrongCode    = "That code is wrong, used already, or has expired. Ask for a new one."
	tooManyTries = "Too many tries. Please wait a minute."
)

// stationCode asks for a code from the help desk.
func (p *Pages) stationCode(rw http.ResponseWriter, req *http.Request) {
	if device, ok := p.at(rw, req); ok {
		p.show(rw, http.StatusOK, "usecode", view.Page{
			Title: "The code you were given", Refresh: typeWithin, Then: Path(device), Data: stationPage{Device: device},
		})
	}
}

// stationUseCode does what a code is for: it begins the visit of who has forgotten their badge, as the
// badge would, or asks for a new PIN or badge. A reader may type there too: what is no code, and a badge that
// is known, is somebody who shows their badge.
func (p *Pages) stationUseCode(rw http.ResponseWriter, req *http.Request) {
	device, ok := p.at(rw, req)
	if !ok {
		return
	}
	if code := req.PostFormValue("code"); code != "" {
		p.setPIN(rw, req, stationPage{Device: device, Code: code})
		return
	}
	away, ctx := awayFromCard(rw, req), context.WithoutCancel(req.Context())
	code, one := shownBadge(req)
	if !one || !badge.IsCode(code) || p.isBadge(ctx, code) {
		p.readCard(away, req, func(device string) { p.idle(away, http.StatusOK, device, unknownBadge) })
		return
	}
	d, first := p.results.join(device, "code."+hashOf(code))
	if first {
		defer close(d.done)
	} else {
		if !d.wait(req.Context()) {
			return
		}
		if d.page.Ticket != "" { // the form came twice
			req.PostForm.Set("visit", d.page.Ticket)
			if !p.continued(away, req, device) {
				p.idle(away, http.StatusOK, device, visitEnded)
			}
			return
		}
	}
	ticket, err := p.forgot(ctx, away, device, code)
	if first {
		d.page.Ticket = ticket
	}
	if err != nil {
		p.codeFailed(rw, req, stationPage{Device: device, Code: code}, err)
	}
}

// isBadge reports whether a badge of a number was enrolled. The directory is not asked: a code and a PIN do
// not leave the house.
func (p *Pages) isBadge(ctx context.Context, number string) bool {
	_, err := p.Badges.Resolve(ctx, number, time.Now())
	return err == nil
}

// forgot answers with the first page of whose code for a forgotten badge it is, and returns its ticket. It
// ends the visit of whoever is there, as a card does. It has not answered when it returns an error; the
// code is good then as before.
func (p *Pages) forgot(ctx context.Context, rw http.ResponseWriter, device, code string) (ticket string, err error) {
	card, err := p.Visits.endForCard(ctx, device)
	if err != nil {
		return "", err
	}
	s := stationPage{Device: device}
	var who tap.Visitor
	err = p.Taps.Forgot(ctx, device, code, func(v tap.Visitor) error {
		if who = v; v.Owner == "" {
			return nil
		}
		return p.list(ctx, &s, v.Owner)
	})
	switch {
	case err != nil:
		return "", err
	case who.Claims != nil:
		return p.ask(ctx, rw, device, *who.Claims, card), nil
	}
	return p.begin(ctx, rw, s, who, card), nil
}

// codeFailed goes on with a code that opens no visit: what it is for else, or why it is for nothing.
func (p *Pages) codeFailed(rw http.ResponseWriter, req *http.Request, s stationPage, err error) {
	var other *badge.PurposeError
	var locked *tap.LockedError
	switch away := awayFromCard(rw, req); {
	case errors.As(err, &other) && other.For == badge.ForPIN:
		p.askNewPIN(rw, http.StatusOK, s, "")
	case errors.As(err, &other) && other.For == badge.ForBadge:
		p.enrol(rw, http.StatusOK, s, "")
	case errors.As(err, &locked):
		p.idle(away, http.StatusTooManyRequests, s.Device, tooManyTries)
	case errors.Is(err, badge.ErrCode):
		p.idle(away, http.StatusUnprocessableEntity, s.Device, wrongCode)
	default:
		p.failAt(away, s.Device, err)
	}
}

// askNewPIN asks for a new PIN, without what was typed: it is never sent back.
func (p *Pages) askNewPIN(rw http.ResponseWriter, status int, s stationPage, wrong string) {
	s.AsksPIN = true
	p.show(rw, status, "newpin", view.Page{
		Title: "Set your PIN", Wrong: wrong, Refresh: typeWithin, Then: Path(s.Device), Data: s,
	})
}

// setPIN sets the PIN of whose code it is. A badge that was read in the place of a PIN is a badge: one
// that was enrolled, and what has not the form of a PIN and was followed by Enter. No number is looked up
// but of who shows a badge, or else uses a code up or is counted: nobody tries numbers here.
func (p *Pages) setPIN(rw http.ResponseWriter, req *http.Request, s stationPage) {
	ctx := context.WithoutCancel(req.Context())
	text, again := strings.TrimSpace(req.PostFormValue("pin")), strings.TrimSpace(req.PostFormValue("again"))
	if text == "" && again == "" { // Enter alone
		p.askNewPIN(rw, http.StatusOK, s, "")
		return
	}
	shows := func() {
		req.PostForm.Set("badge", text)
		away := awayFromCard(rw, req)
		p.readCard(away, req, func(device string) { p.idle(away, http.StatusOK, device, unknownBadge) })
	}
	if again == "" && !pin.Possible(text) {
		shows()
		return
	}
	if s.Refused = view.RefusedPIN(p.Site.Words(view.Wished(rw)), text, again); s.Refused != "" {
		p.askNewPIN(rw, http.StatusUnprocessableEntity, s, "")
		return
	}
	if p.isBadge(ctx, text) {
		shows()
		return
	}
	switch err := p.setOnce(ctx, s, text); {
	case err == nil:
		name, title := p.firstPage(s.Device)
		p.show(rw, http.StatusOK, name, view.Page{
			Title: title, Refresh: forgetAfter, Then: Path(s.Device), Data: stationPage{Device: s.Device, PINSet: true},
		})
	case errors.Is(err, pin.ErrBusy), errors.Is(err, pin.ErrConflict):
		p.askNewPIN(rw, http.StatusServiceUnavailable, s, busyPIN)
	default:
		p.pinFailed(rw, req, s.Device, err)
	}
}

// pinFailed says why a code sets no PIN; one for something else is a wrong one here.
func (p *Pages) pinFailed(rw http.ResponseWriter, req *http.Request, device string, err error) {
	if errors.Is(err, badge.ErrCode) {
		err = badge.ErrCode
	}
	p.codeFailed(rw, req, stationPage{Device: device}, err)
}

// setOnce sets a PIN with a code. The same form once more, as of who pressed Enter twice, has the answer of
// the first while nothing else was done at the device.
func (p *Pages) setOnce(ctx context.Context, s stationPage, text string) error {
	d, first := p.results.join(s.Device, "newpin."+hashOf(s.Code+"\x00"+text))
	if first {
		defer close(d.done)
	} else if <-d.done; !d.at.IsZero() && time.Since(d.at) < visitLife {
		return nil
	}
	err := p.Taps.SetPIN(ctx, s.Device, s.Code, text, func(owner string) error {
		return p.Jobs.StoreAction(ctx, apiclient.Action{
			Action: view.ActionSetPIN, Actor: pin.ByCode, Device: s.Device, Owner: owner,
		})
	})
	if err == nil && first {
		d.at = time.Now()
	}
	return err
}
