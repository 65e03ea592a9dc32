package station

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"pullprint/connector/console/view"
	"pullprint/connector/printer"
	"pullprint/connector/tap"
	"pullprint/policy/pin"
)

// What is said of a PIN: the same whether somebody is not known, has no PIN or another one, and whoever of
// person and device is locked.
const (
	wrongPIN = "That PIN is wrong. After five wrong ones you have to wait 15 minutes."
	// wrongName is wrongPIN for who has typed a name.
	wrongName = "This name and this PIN do not belong together. After five wrong tries you have to wait 15 minutes."
	lockedPIN = "Too many wrong PINs. Please wait 15 minutes, then try again. If that does not help, ask the help desk."
	busyPIN   = "Many PINs are being checked. Please try again in a few seconds."
)

// ask asks for the PIN of who somebody says to be, unless another card was shown meanwhile. Nothing is
// read of that person before they have typed it. It returns the ticket of the page, which is empty where there
// is none.
func (p *Pages) ask(
	ctx context.Context, rw http.ResponseWriter, device string, c tap.Claim, card string,
) (ticket string) {
	ticket, ok, err := p.Visits.ask(ctx, device, c, card)
	switch {
	case err != nil:
		p.failAt(rw, device, err)
	case !ok:
		p.idle(rw, http.StatusOK, device, visitEnded)
	default:
		p.showPIN(rw, stationPage{Device: device, Ticket: ticket}, "")
		return ticket
	}
	return ""
}

func (p *Pages) showPIN(rw http.ResponseWriter, s stationPage, wrong string) {
	s.AsksPIN = true
	p.show(rw, http.StatusOK, "pin", view.Page{
		Title: "Type your PIN", Wrong: wrong, Refresh: stayFor, Then: Path(s.Device), Data: s,
	})
}

// pinAgain asks for the PIN once more on the next page. It reports false when the ticket is of no page that
// asks for one.
func (p *Pages) pinAgain(rw http.ResponseWriter, req *http.Request, device, ticket string) bool {
	_, next, err := p.Visits.claimed(context.WithoutCancel(req.Context()), device, ticket)
	switch {
	case err != nil:
		p.failAt(rw, device, err)
	case next == "":
		return false
	default:
		_, text := said(req)
		p.showPIN(rw, stationPage{Device: device, Ticket: next}, text)
	}
	return true
}

// stationEnterPIN begins the visit of who typed their PIN. A card that was shown instead is a card.
func (p *Pages) stationEnterPIN(rw http.ResponseWriter, req *http.Request) {
	device, ok := p.at(rw, req)
	if !ok {
		return
	}
	rw = awayFromCard(rw, req)
	ctx, text := context.WithoutCancel(req.Context()), strings.TrimSpace(req.PostFormValue("pin"))
	d, first := p.results.join(device, req.PostFormValue("visit"))
	if first {
		err := p.enterPIN(ctx, d, text)
		switch {
		case errors.Is(err, tap.ErrCard):
			req.PostForm.Set("badge", text)
			p.readCard(rw, req, func(device string) { p.idle(rw, http.StatusOK, device, unknownBadge) })
			return
		case err != nil:
			p.failAt(rw, device, err)
			return
		}
	}
	if !d.wait(req.Context()) {
		return
	}
	switch {
	case d.who.Owner != "":
		p.done(ctx, rw, d)
	case d.page.Ticket != "":
		p.showPIN(rw, d.page, d.wrong)
	case d.ended != "":
		p.idle(rw, http.StatusTooManyRequests, device, d.ended)
	default:
		p.idle(rw, http.StatusOK, device, visitEnded)
	}
}

// enterPIN checks a PIN for the person whom the page of a ticket asked.
func (p *Pages) enterPIN(ctx context.Context, d *formResult, text string) error {
	defer close(d.done)
	device := d.page.Device
	c, next, err := p.Visits.claimed(ctx, device, d.ticket)
	if err != nil || next == "" {
		return err
	}
	if text == "" { // Enter alone
		d.page.Ticket = next
		return nil
	}
	who, err := p.Taps.EnteredPIN(ctx, device, c, text)
	var locked *pin.LockedError
	var reader *tap.LockedError
	switch {
	case err == nil:
		if ok, err := p.Visits.prove(ctx, device, who, next); err != nil || !ok {
			return err
		}
		d.who = who
	case errors.As(err, &locked), errors.As(err, &reader):
		d.ended = lockedPIN
		return p.Visits.leave(ctx, device, next)
	case errors.Is(err, tap.ErrAgain):
		d.page.Ticket = next
	case errors.Is(err, pin.ErrWrong):
		d.page.Ticket, d.wrong = next, wrongPIN
		if c.Named {
			d.wrong = wrongName
		}
	case errors.Is(err, pin.ErrBusy), errors.Is(err, pin.ErrConflict):
		d.page.Ticket, d.wrong = next, busyPIN
	default:
		return err
	}
	return nil
}

// stationName asks who somebody is who has no badge with them.
func (p *Pages) stationName(rw http.ResponseWriter, req *http.Request) {
	device, ok := p.at(rw, req)
	if !ok {
		return
	}
	if d, _ := printer.DeviceByID(p.Devices, device); !d.Takes(printer.ByPIN) {
		home(rw, req, device)
		return
	}
	status, text := said(req)
	p.showName(rw, status, device, text)
}

func (p *Pages) showName(rw http.ResponseWriter, status int, device, wrong string) {
	p.show(rw, status, "name", view.Page{
		Title: "Type who you are", Wrong: wrong, Refresh: typeWithin, Then: Path(device), Data: stationPage{Device: device},
	})
}

// stationClaimName asks for the PIN of whose name was typed, whether anybody has that name or not. It ends
// the visit of whoever is there, as a card does; and a card that is known is one.
func (p *Pages) stationClaimName(rw http.ResponseWriter, req *http.Request) {
	device, ok := p.at(rw, req)
	if !ok {
		return
	}
	rw = awayFromCard(rw, req)
	ctx, name := context.WithoutCancel(req.Context()), strings.TrimSpace(req.PostFormValue("badge"))
	if name == "" {
		p.idle(rw, http.StatusOK, device, "")
		return
	}
	card, err := p.Visits.endForCard(ctx, device)
	if err != nil {
		p.failAt(rw, device, err)
		return
	}
	c, err := p.Taps.Claimant(ctx, device, name)
	var locked *tap.LockedError
	switch {
	case errors.Is(err, tap.ErrCard):
		p.readCard(rw, req, func(device string) { p.idle(rw, http.StatusOK, device, unknownBadge) })
	case errors.As(err, &locked):
		p.idle(rw, http.StatusTooManyRequests, device, tooManyUnknown)
	case errors.Is(err, pin.ErrBusy):
		p.showName(rw, http.StatusTooManyRequests, device, busyPIN)
	case err != nil:
		p.failAt(rw, device, err)
	default:
		p.ask(ctx, rw, device, c, card)
	}
}

// firstPage is the template and the title of the page that waits for somebody: for a badge, or at a device
// that takes none for a name.
func (p *Pages) firstPage(device string) (name, title string) {
	if d, _ := printer.DeviceByID(p.Devices, device); d.Card() == "" {
		return "name", "Type who you are"
	}
	return "station", "Show your badge"
}
