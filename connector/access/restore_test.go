package access

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
)

// After a restore nobody is signed in, and no sign-in that had begun can be finished: each may have ended
// since the backup.
func TestNobodyIsSignedInAfterRestore(t *testing.T) {
	b, e := bustest.Open(t), &entra{}
	config := Config{PublicURL: "https://print.example.com", Session: time.Hour}
	s := NewSignIn(config, e, e, NewSessions(b.State(), newTokens(t)))
	console := signIn(t, s.sessions, AdminName, "/", time.Hour)
	rec := httptest.NewRecorder()
	if err := s.Finish(rec, begin(t, s)); err != nil {
		t.Fatal(err)
	}
	var people []*http.Cookie
	for _, c := range rec.Result().Cookies() {
		if c.MaxAge > 0 {
			people = append(people, c)
		}
	}
	state := func(s *SignIn) PersonState {
		_, state, err := s.sessions.Person(with(people...))
		if err != nil {
			t.Fatal(err)
		}
		return state
	}
	if !knows(t, s.sessions, console) || state(s) != Confirmed {
		t.Fatal("not signed in")
	}
	back := begin(t, s)
	file := bustest.Backup(t, b)
	if _, err := finish(t, s, back); err != nil {
		t.Fatal(err)
	}

	restored := bustest.Restore(t, b, file)
	s = NewSignIn(config, e, e, NewSessions(restored.State(), s.sessions.tokens))
	if knows(t, s.sessions, console) || state(s) != Nobody {
		t.Error("signed in by a session of the backup")
	}
	if _, err := finish(t, s, back); !errors.Is(err, errTooLate) {
		t.Errorf("a sign-in of before: %v", err)
	}
	if who, err := finish(t, s, begin(t, s)); err != nil || who.Person == "" {
		t.Error(who, err)
	}
}
