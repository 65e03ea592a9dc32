package admin

import (
	"crypto/rand"
	"net/http"
	"sync"
	"time"
)

// How long somebody stays signed in, and how long a person at a station is
// remembered after they did something: the page forgets them sooner.
const (
	consoleLife = 8 * time.Hour
	stationLife = 365 * 24 * time.Hour
	visitLife   = 60 * time.Second
	maxSessions = 10_000
)

// cookieName is the cookie of the console; a station has one of its own.
const cookieName = "pullprint_session"

// sessions remembers, in memory, who is signed in where. After a restart people
// sign in again.
type sessions struct {
	mu     sync.Mutex
	signed map[string]session // by cookie
	visits map[string]visit   // by the id in a form
}

type session struct {
	Caller
	until time.Time
}

// visit is a person at a station.
type visit struct {
	device, owner string
	until         time.Time
}

func newSessions() *sessions {
	return &sessions{signed: map[string]session{}, visits: map[string]visit{}}
}

// signIn remembers a caller and gives the browser a cookie for a path.
func (s *sessions) signIn(rw http.ResponseWriter, req *http.Request, c Caller, path string, life time.Duration) {
	id, now := rand.Text(), time.Now()
	s.mu.Lock()
	for k, v := range s.signed {
		if now.After(v.until) || len(s.signed) >= maxSessions {
			delete(s.signed, k)
		}
	}
	s.signed[id] = session{c, now.Add(life)}
	s.mu.Unlock()
	http.SetCookie(rw, &http.Cookie{ //nolint:gosec // Secure wherever TLS ends here; a proxy on this machine may end it
		Name: cookieName, Value: id, Path: path, MaxAge: int(life / time.Second), HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: req.TLS != nil,
	})
}

// who is signed in; a browser may send the cookie of the console and that of a
// station.
func (s *sessions) who(req *http.Request, fits func(Caller) bool) (Caller, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range req.CookiesNamed(cookieName) {
		if v, ok := s.signed[c.Value]; ok && time.Now().Before(v.until) && fits(v.Caller) {
			return v.Caller, true
		}
	}
	return Caller{}, false
}

func (s *sessions) signOut(req *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range req.CookiesNamed(cookieName) {
		delete(s.signed, c.Value)
	}
}

// arrive remembers a person at a station and returns the id for its forms.
func (s *sessions) arrive(device, owner string) string {
	id, now := rand.Text(), time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, v := range s.visits {
		if now.After(v.until) {
			delete(s.visits, k)
		}
	}
	s.visits[id] = visit{device, owner, now.Add(visitLife)}
	return id
}

// visitor is the person of an id, if they are there still.
func (s *sessions) visitor(device, id string) (owner string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.visits[id]
	if !ok || v.device != device || time.Now().After(v.until) {
		return "", false
	}
	v.until = time.Now().Add(visitLife)
	s.visits[id] = v
	return v.owner, true
}

// leave forgets a person.
func (s *sessions) leave(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.visits, id)
}
