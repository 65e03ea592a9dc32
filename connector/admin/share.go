package admin

import (
	"net/http"
	"time"

	"pullprint/connector/access"
	"pullprint/connector/admin/apiclient"
)

// How many requests of one token may run at once, so that no token can use up all slots.
// A reader shows one badge at a time, and may repeat what was not answered; a program with
// another token may act for all readers.
const (
	readerRequests = 16
	tokenRequests  = maxRequests / 2
)

// share counts a request until it is freed, or returns a problem if its token has too many.
func (a *API) share(c access.Caller) (free func(), p *apiclient.Problem) {
	name, most := "token "+c.Name, tokenRequests
	if c.Device != "" {
		name, most = "reader "+c.Device, readerRequests
	}
	free, ok := a.shares.Take(name, most)
	if !ok {
		return nil, retryIn(time.Second, failure(http.StatusTooManyRequests, "too-many-at-once", "Too many requests of this token at once",
			"Wait for the answers of those before, or try again in a second."))
	}
	return free, nil
}

// busy is the answer when all slots are taken.
func busy() *apiclient.Problem {
	return retryIn(time.Second, failure(http.StatusServiceUnavailable, "busy", "Too many requests at once", "Try again in a second."))
}
