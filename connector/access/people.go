package access

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"pullprint/connector/store"
)

// PersonState says whether a person is signed in at a browser.
type PersonState int

// The states of a sign-in.
const (
	// Nobody is signed in, or no longer.
	Nobody PersonState = iota
	// Unconfirmed is a sign-in that Entra has to confirm before anything is done for the person.
	Unconfirmed
	// Confirmed is a sign-in that Entra confirmed within checkedFor.
	Confirmed
)

// cookieOf is the name of a cookie for people. Browsers accept the prefix __Host- only over https,
// for the whole site and from no other host of the domain, so that no other site can set it.
func (c Config) cookieOf(name string) string {
	if c.secure() {
		return "__Host-" + name
	}
	return name
}

// The cookies of people: of a session, and of a sign-in that has begun.
const (
	personCookie  = "pullprint"
	pendingCookie = "pullprint-sign-in"
)

// setCookie gives the browser a cookie for people, or takes it away when life is negative. It
// is sent when Entra leads back to us, so it can't be SameSite=Strict.
func (c Config) setCookie(rw http.ResponseWriter, name, value string, life time.Duration) {
	http.SetCookie(rw, &http.Cookie{ //nolint:gosec // Secure by the public URL; without https that is this machine
		Name: c.cookieOf(name), Value: value, Path: "/", MaxAge: int(life / time.Second), HttpOnly: true,
		SameSite: http.SameSiteLaxMode, Secure: c.secure(),
	})
}

// Person is the person who signed in at a browser, and whether that is confirmed.
func (s *Sessions) Person(req *http.Request) (Caller, PersonState, error) {
	v, _, state, err := s.person(req)
	return v.caller(), state, err
}

// person is the session of a person with its cookie.
func (s *Sessions) person(req *http.Request) (v session, cookie string, state PersonState, err error) {
	if s.people == nil {
		return v, "", Nobody, nil
	}
	c, err := req.Cookie(s.people.cookieOf(personCookie))
	if err != nil {
		return v, "", Nobody, nil //nolint:nilerr // a browser without the cookie
	}
	v, ok, err := s.read(req.Context(), c.Value)
	if err != nil || !ok || !v.person() {
		return session{}, c.Value, Nobody, err
	}
	switch ended, err := s.signedOut(req.Context(), v.Name); {
	case err != nil:
		return session{}, c.Value, Nobody, err
	case ended != "" && ended != v.Began:
		return session{}, c.Value, Nobody, nil
	case time.Since(v.Checked) >= checkedFor:
		return v, c.Value, Unconfirmed, nil
	}
	return v, c.Value, Confirmed, nil
}

// signOutKey is where the newest sign-out of a person is noted.
func signOutKey(person string) string { return "signout." + person }

// signedOut names the newest sign-out of a person: sessions that were begun before it, which have
// another name or none, have ended. It is empty when there was none, or one so long ago that
// those are over.
func (s *Sessions) signedOut(ctx context.Context, person string) (name string, err error) {
	raw, revision, err := s.store.Get(ctx, signOutKey(person))
	if err != nil {
		return "", fmt.Errorf("read sign-out: %w", err)
	}
	var newest signOut
	if revision != 0 && json.Unmarshal(raw, &newest) != nil {
		return "damaged", nil // ends every session before it, as the true name does
	}
	return newest.Name, nil
}

// signOut is what is stored of the newest sign-out of a person.
type signOut struct {
	Name string `json:"name"`
}

// EndPerson ends all sessions of a person, by object id, at every browser and replica. A session
// that is being begun meanwhile ends too.
func (s *Sessions) EndPerson(ctx context.Context, person string) error {
	err := store.Change(ctx, s.store, signOutKey(person), MaxSession, func(o *signOut) bool {
		o.Name = rand.Text()
		return true
	})
	if err != nil {
		return fmt.Errorf("store sign-out: %w", err)
	}
	return nil
}

// SignOutPerson ends all sessions of the person who signed in at a browser, also one that is not
// confirmed, and returns who it was; empty for nobody.
func (s *Sessions) SignOutPerson(rw http.ResponseWriter, req *http.Request) (person string, err error) {
	v, cookie, state, err := s.person(req)
	if err != nil || s.people == nil {
		return "", err
	}
	if state != Nobody {
		if err := s.EndPerson(req.Context(), v.Name); err != nil {
			return "", err
		}
		if err := s.end(req.Context(), cookie); err != nil {
			return "", err
		}
	}
	s.people.setCookie(rw, personCookie, "", -time.Second)
	return v.Name, nil
}
