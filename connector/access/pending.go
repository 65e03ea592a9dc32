package access

import (
	"crypto/subtle"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"pullprint/trigger/graph/auth"
)

// The limits of sign-ins that have begun.
const (
	// pendingFor is how long a sign-in at Entra may take: as long as Entra lets its code be redeemed.
	pendingFor = 10 * time.Minute
	// maxPending is how many a browser may have at once: the tabs that a person has open at the service
	// when all of them have to be confirmed. The oldest is dropped for the next.
	maxPending = 8
	// maxPendingBytes bounds their cookies together, whatever pages they lead to: proxies take 8 KiB for all
	// cookies of a request, as nginx (large_client_header_buffers).
	maxPendingBytes = 4 << 10
	// maxTried is how many are remembered as tried, at 100 bytes each: more than Entra answers in pendingFor,
	// maxRedeeming at once and half a second each.
	maxTried = 20_000
)

// pending is a sign-in that a browser has begun. It is kept in a cookie of its own in the browser,
// encrypted, and not in the store: so that a sign-in that was begun costs nothing, however many are, that no
// other browser can finish it, that every replica can, and that several tabs can sign in at once.
type pending struct {
	auth.Challenge
	// Then is the page of ours to go to.
	Then  string    `json:"then"`
	Until time.Time `json:"until"`
	// Silent is one that asks the person nothing: it confirms the session that the browser has.
	Silent bool `json:"silent,omitempty"`
}

// cookie is the name of the cookie of the sign-in, without the prefix that Config.cookieOf adds.
func (p *pending) cookie() string { return pendingOf(p.State) }

// pendingOf is the name of the cookie of the sign-in with a state. Its first letters tell a browser's few
// sign-ins apart; the whole of it is in the cookie.
func pendingOf(state string) string { return pendingCookie + "-" + state[:min(len(state), 8)] }

// pending is the sign-in that this browser began, with the state that Entra gave back. Its cookie
// is taken away.
func (s *SignIn) pending(rw http.ResponseWriter, req *http.Request) (pending, error) {
	state := req.URL.Query().Get("state")
	c, err := req.Cookie(s.config.cookieOf(pendingOf(state)))
	if err != nil {
		return pending{}, s.refusal(errOtherBrowser)
	}
	p, ok, err := s.seal.open(req.Context(), c.Value)
	switch {
	case err != nil:
		return pending{}, err
	case !ok:
		return pending{}, s.refusal(errTooLate)
	case subtle.ConstantTimeCompare([]byte(state), []byte(p.State)) != 1:
		return pending{}, s.refusal(errOtherBrowser)
	}
	s.config.setCookie(rw, p.cookie(), "", -time.Second)
	return p, nil
}

// surplus names the cookies of sign-ins that a browser has to forget for another, whose cookie has a length:
// what is none that goes on, and then the oldest.
func (s *SignIn) surplus(req *http.Request, length int) (names []string, err error) {
	aead, err := s.seal.key(req.Context(), false)
	if err != nil {
		return nil, err
	}
	type kept struct {
		name   string
		length int
		until  time.Time
	}
	var list []kept
	prefix := s.config.cookieOf(pendingCookie)
	for _, c := range req.Cookies() {
		if !strings.HasPrefix(c.Name, prefix) || len(names)+len(list) > 2*maxPending { // what is left is forgotten the next time
			continue
		}
		k := kept{strings.TrimPrefix(c.Name, s.config.cookieOf("")), len(c.Value), time.Time{}}
		if p, ok := unseal(aead, c.Value); ok {
			k.until = p.Until
		}
		list, length = append(list, k), length+k.length
	}
	slices.SortFunc(list, func(a, b kept) int { return a.until.Compare(b.until) })
	for i, k := range list {
		if len(list)-i < maxPending && length <= maxPendingBytes && time.Now().Before(k.until) {
			break
		}
		names, length = append(names, k.name), length-k.length
	}
	return names, nil
}

// tried remembers the states of sign-ins for which Entra was asked for a person. It is of this process: a
// sign-in is asked for once at each replica, and finished once at all of them (SignIn.useUp).
type tried struct {
	mu sync.Mutex // guards at
	at map[string]time.Time
}

// first reports whether a state is tried for the first time.
func (t *tried) first(state string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.at[state]; known {
		return false
	}
	if len(t.at) >= maxTried {
		maps.DeleteFunc(t.at, func(_ string, at time.Time) bool { return now.Sub(at) >= pendingFor })
	}
	if len(t.at) >= maxTried || t.at == nil {
		t.at = map[string]time.Time{}
	}
	t.at[state] = now
	return true
}
