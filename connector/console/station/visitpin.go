package station

import (
	"context"
	"crypto/rand"
	"time"

	"pullprint/connector/tap"
)

// ask keeps who somebody says to be for the page that asks for their PIN. It reports false when another
// card was shown since.
func (s *Visits) ask(ctx context.Context, device string, c tap.Claim, card string) (ticket string, ok bool, err error) {
	return s.follow(ctx, card, visit{Device: device, Claims: &c})
}

// claimed uses a ticket of ask up: who somebody says to be, and the ticket of the next page, which is empty
// when nobody is asked for a PIN any more.
func (s *Visits) claimed(ctx context.Context, device, ticket string) (c tap.Claim, next string, err error) {
	fresh := rand.Text()
	err = s.change(ctx, device, func(v *visit) bool {
		c, next = tap.Claim{}, ""
		if v.Claims == nil || v.Ticket != hashOf(ticket) || !time.Now().Before(v.Until) {
			return false
		}
		c, next = *v.Claims, fresh
		v.Used, v.Ticket, v.Until = v.Ticket, hashOf(next), time.Now().Add(visitLife)
		return true
	})
	if err != nil {
		return tap.Claim{}, "", err
	}
	return c, next, nil
}

// prove begins the visit of who typed their PIN on the page before that of a ticket. It reports false when
// another card was shown meanwhile, or the page was left.
func (s *Visits) prove(ctx context.Context, device string, who tap.Visitor, ticket string) (ok bool, err error) {
	err = s.change(ctx, device, func(v *visit) bool {
		if ok = v.Claims != nil && v.Ticket == hashOf(ticket); ok {
			used := v.Used
			*v = visitOf(device, who)
			v.Used = used
		}
		return ok
	})
	return ok && err == nil, err
}
