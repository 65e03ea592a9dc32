package own

import (
	"context"
	"errors"
	"net/http"
	"time"

	"pullprint/connector/access"
	"pullprint/connector/admin/apiclient"
	"pullprint/policy/badge"
	"pullprint/policy/pin"
)

// badgePath is where people enrol their own badges.
const badgePath = "/me/badge"

// actionSelfEnrol is a badge that its owner enrolled, by name of the audit.
const actionSelfEnrol = "self-enrol"

// Badges enrol the cards that people have codes for; *badge.Registry is one.
type Badges interface {
	Claimed(ctx context.Context, text string, now time.Time) (badge.Claim, error)
	Claim(ctx context.Context, text string, e badge.Enrolment) (badge.Badge, error)
}

// badgePage asks for the code of a card, or, once it is known, whether the card is the person's.
type badgePage struct {
	Code  string
	Place string
	Shown time.Time
	// Done is set when the card is enrolled.
	Done bool

	wrong string // why it is asked for once more
}

// beginBadge asks for the code that a station shows of an unknown card.
func (p *Pages) beginBadge(rw http.ResponseWriter, req *http.Request) {
	if who, ok := p.enter(rw, req); ok {
		p.showBadge(rw, req, who, http.StatusOK, badgePage{Done: req.URL.Query().Has("done")})
	}
}

func (p *Pages) showBadge(rw http.ResponseWriter, req *http.Request, who visitor, status int, data badgePage) {
	shown := p.page(req.Context(), who, who.in.Text("Enrol your badge"), data)
	if data.wrong != "" {
		shown.Wrong = who.in.Text(data.wrong)
	}
	p.Site.Show(rw, status, "mebadge", shown)
}

// enrolBadge enrols a card for whoever is signed in, by its code. The first form is answered with the
// question where the card was shown: a code that somebody else sent is that of their card, which
// would release this person's jobs.
func (p *Pages) enrolBadge(rw http.ResponseWriter, req *http.Request) {
	who, ok := p.enter(rw, req)
	if !ok {
		return
	}
	ctx, now, code := context.WithoutCancel(req.Context()), time.Now(), req.PostFormValue("code")
	sure := req.PostFormValue("mine") != ""
	var c badge.Claim
	err := p.PINs.CountCode(ctx, who.Person, now)
	if err == nil {
		c, err = p.Badges.Claimed(ctx, code, now)
	}
	if err == nil {
		err = p.PINs.RightCode(ctx, who.Person, now)
	}
	if err == nil && sure {
		err = p.claim(ctx, who.Caller, code, c)
	}
	var locked *pin.LockedError
	switch {
	case err == nil && sure:
		http.Redirect(rw, req, badgePath+"?done=1", http.StatusSeeOther)
	case err == nil:
		p.showBadge(rw, req, who, http.StatusOK, badgePage{Code: code, Place: p.place(c.Device), Shown: c.Shown})
	case errors.As(err, &locked):
		p.showBadge(rw, req, who, http.StatusTooManyRequests, badgePage{wrong: "Too many wrong codes. Try again in an hour."})
	case errors.Is(err, badge.ErrCode):
		p.showBadge(rw, req, who, http.StatusUnprocessableEntity, badgePage{
			wrong: "That code is wrong, used already, or has expired. Show your badge at the printer again.",
		})
	case errors.Is(err, badge.ErrTaken), errors.Is(err, badge.ErrRevoked):
		p.showBadge(rw, req, who, http.StatusConflict, badgePage{
			wrong: "This badge belongs to somebody else, or was ended. Ask your administrator.",
		})
	default:
		p.failMe(rw, who, err)
	}
}

// claim enrols a card for who is signed in; it is audited before.
func (p *Pages) claim(ctx context.Context, who access.Caller, code string, c badge.Claim) error {
	about := apiclient.Action{Action: actionSelfEnrol, Actor: who.Person, Owner: who.Person, Device: c.Device, Badge: c.ID()}
	if err := p.Jobs.StoreAction(ctx, about); err != nil {
		return err
	}
	_, err := p.Badges.Claim(ctx, code, badge.Enrolment{Owner: who.Person, By: "self", Now: time.Now()})
	return err
}
