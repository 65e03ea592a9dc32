package station

import (
	"context"
	"net/http"

	"pullprint/connector/console/view"
)

// claimFor is how many seconds the code of an unknown card is shown: enough to begin typing it on a
// phone. The card shown again has the same code.
const claimFor = 60

// offer shows the code by which the owner of an unknown card enrols it, unless another card was shown
// meanwhile.
func (p *Pages) offer(ctx context.Context, rw http.ResponseWriter, s stationPage, card string) {
	ticket, ok, err := p.Visits.offer(ctx, s.Device, s.Claim, card)
	switch {
	case err != nil:
		p.failAt(rw, s.Device, err)
	case !ok:
		p.idle(rw, http.StatusOK, s.Device, visitEnded)
	default:
		s.Ticket = ticket
		p.claim(rw, s)
	}
}

func (p *Pages) claim(rw http.ResponseWriter, s stationPage) {
	p.show(rw, http.StatusOK, "claim", view.Page{Title: "A new badge", Refresh: claimFor, Then: Path(s.Device), Data: s})
}

// claimAgain shows the code of an unknown card once more on the next page. It reports false when the
// ticket is of no such page.
func (p *Pages) claimAgain(rw http.ResponseWriter, req *http.Request, device, ticket string) bool {
	code, next, err := p.Visits.offered(context.WithoutCancel(req.Context()), device, ticket)
	switch {
	case err != nil:
		p.failAt(rw, device, err)
	case code == "":
		return false
	default:
		p.claim(rw, stationPage{Device: device, Claim: code, Ticket: next})
	}
	return true
}
