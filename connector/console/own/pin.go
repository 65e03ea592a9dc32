package own

import (
	"context"
	"errors"
	"net/http"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/console/view"
	"pullprint/policy/pin"
)

// pinPath is where people set their PINs.
const pinPath = "/me/pin"

// A person may set maxPINs PINs within pinsIn: more than anybody who mistypes needs, and few runs of the
// slow hash.
const (
	maxPINs = 10
	pinsIn  = time.Hour
)

// pinPage asks for a new PIN.
type pinPage struct {
	MinLength, MaxLength int
	// Done is set when a PIN was just set.
	Done bool

	wrong string // why it is asked for once more
}

// pinState is what a person's own page says of their PIN; nil where none is asked for.
func (p *Pages) pinState(ctx context.Context, person string) (*pin.State, error) {
	if !p.AskPINs {
		return nil, nil //nolint:nilnil // it is no error
	}
	s, err := p.PINs.StateOf(ctx, person, time.Now())
	return &s, err
}

// beginPIN asks for a new PIN.
func (p *Pages) beginPIN(rw http.ResponseWriter, req *http.Request) {
	if who, ok := p.enter(rw, req); ok {
		p.showPIN(rw, req, who, http.StatusOK, pinPage{Done: req.URL.Query().Has("done")})
	}
}

// showPIN shows the form without what was typed: it is never sent back.
func (p *Pages) showPIN(rw http.ResponseWriter, req *http.Request, who visitor, status int, data pinPage) {
	data.MinLength, data.MaxLength = pin.MinLength, pin.MaxLength
	shown := p.page(req.Context(), who, who.in.Text("Your PIN"), data)
	shown.Wrong = data.wrong
	p.Site.Show(rw, status, "mepin", shown)
}

// setPIN sets the PIN of whoever is signed in. The sign-in proves who they are: whoever forgot their PIN
// needs no other.
func (p *Pages) setPIN(rw http.ResponseWriter, req *http.Request) {
	who, ok := p.enter(rw, req)
	if !ok {
		return
	}
	ask := func(status int, wrong string) { p.showPIN(rw, req, who, status, pinPage{wrong: wrong}) }
	ctx, now, text := context.WithoutCancel(req.Context()), time.Now(), req.PostFormValue("pin")
	if wrong := view.RefusedPIN(who.in, text, req.PostFormValue("again")); wrong != "" {
		ask(http.StatusUnprocessableEntity, wrong)
		return
	}
	if !p.pins.Allows(who.Person, now) {
		ask(http.StatusTooManyRequests, who.in.Text("You have set your PIN too often. Try again in an hour."))
		return
	}
	err := p.Jobs.StoreAction(ctx, apiclient.Action{Action: view.ActionSetPIN, Actor: who.Person, Owner: who.Person})
	if err == nil {
		err = p.PINs.Set(ctx, who.Person, text, who.Person, now)
	}
	switch {
	case err == nil:
		http.Redirect(rw, req, pinPath+"?done=1", http.StatusSeeOther)
	case errors.Is(err, pin.ErrBusy), errors.Is(err, pin.ErrConflict):
		ask(http.StatusServiceUnavailable, who.in.Text("Many people set their PINs now. Try again in a few seconds."))
	default:
		p.failMe(rw, who, err)
	}
}
