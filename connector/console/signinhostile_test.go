package console

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"pullprint/connector/console/view"
)

// wire passes on requests, but for those whose address ends in what does: no answer comes, or it panics.
type wire struct {
	http.RoundTripper
	hangs, panics string
}

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	ends := func(with string) bool { return with != "" && strings.HasSuffix(req.URL.Path, with) }
	switch {
	case ends(w.panics):
		panic("in a request to Entra")
	case ends(w.hangs):
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	return w.RoundTripper.RoundTrip(req)
}

// Whatever part of Entra gives no answer, people are told that it gives none, within the time that is
// waited for it, and a person who signs out is not kept waiting.
func TestSignInWhileEntraHangs(t *testing.T) {
	for _, part := range []string{"/openid-configuration", "/token", "/keys"} {
		onSite(t, func(t *testing.T, s *site) {
			v := s.browser()
			address := "/auth/sign-in?then=%2F"
			if part != "/openid-configuration" {
				address = v.atCallback(annaID)
			}
			s.wire.hangs = part
			began := time.Now()
			done := make(chan bool)
			for range 3 { // which wait for each other
				go func() { get(s.pages, "/auth/sign-in?then=%2F"); done <- true }()
			}
			v.sees(v.open(address), http.StatusServiceUnavailable, "Microsoft does not answer", "Try again")
			if took := time.Since(began); took > 11*time.Second {
				t.Errorf("%s: %s", part, took)
			}
			for range 3 {
				<-done
			}
			began = time.Now()
			v.sees(v.open("/auth/signed-out"), http.StatusOK, "You are signed out")
			if took := time.Since(began); took > view.Within {
				t.Errorf("%s: signed out after %s", part, took)
			}
		})
	}
}

// Who waits while another asks Entra in vain is told the same.
func TestSignInWaitsForAnother(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		s.wire.hangs = "/openid-configuration"
		codes := make(chan int)
		for range 20 {
			go func() { codes <- get(s.pages, "/auth/sign-in?then=%2F").Code }()
		}
		for range 20 {
			if code := <-codes; code != http.StatusServiceUnavailable {
				t.Errorf("%d", code)
			}
		}
	})
}

// A panic while a code is redeemed costs that sign-in alone.
func TestSignInPanics(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		s.browser().signIn(annaID, "/")
		s.wire.panics = "/token"
		for range 20 {
			v := s.browser()
			at := v.atCallback(annaID)
			func() {
				defer func() { _ = recover() }()
				v.open(at)
			}()
		}
		s.wire.panics = ""
		v := s.browser()
		v.sees(v.signIn(annaID, "/"), http.StatusOK, "anna@contoso.com")
	})
}

// An address that is too long for a cookie leads to the first page, and to no sign-in that can't end.
func TestSignInFromLongAddress(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		long := "/?owner=" + strings.Repeat("%41", 2500)
		rec := get(s.pages, "/auth/sign-in?"+url.Values{"then": {long}}.Encode())
		if c := rec.Result().Cookies(); len(c) != 1 || len(c[0].Name)+len(c[0].Value) > 4096 {
			t.Errorf("a cookie of %d bytes", len(c[0].Value))
		}
		v := s.browser()
		v.signIn(annaID, "/")
		time.Sleep(15 * time.Minute)
		rec = httptest.NewRecorder()
		s.pages.ServeHTTP(rec, v.request(long))
		if at := rec.Header().Get("Location"); len(at) > 4096 {
			t.Errorf("an address of %d bytes", len(at))
		}
	})
}

// A session that ended while it was confirmed is not kept beyond its time.
func TestSessionEndsWhileConfirmed(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		v := s.browser()
		v.signIn(doraID, "/")
		time.Sleep(8*time.Hour - 2*time.Second)
		s.wire.hangs = "/checkMemberGroups"
		v.open("/")
		s.wire.hangs = ""
		v.sees(v.open("/"), http.StatusUnauthorized, "Sign in with Microsoft")
		time.Sleep(24 * time.Hour)
		_ = s.bus.State().Each(context.Background(), "session.>", func(key string, _ []byte, _ uint64) error {
			t.Errorf("%s is kept", key)
			return nil
		})
	})
}

// Words that somebody writes into an address are neither shown nor logged.
func TestErrorOfOnesOwn(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		v := s.browser()
		at, _ := url.Parse(v.stopAt("/auth/sign-in?then=%2F", "login.microsoftonline.com"))
		s.logs.TakeAll()
		page := v.open("/auth/callback?" + url.Values{
			"state": {at.Query().Get("state")}, "error": {"call_the_number"}, "error_description": {"AADSTS<b>evil</b>"},
		}.Encode())
		v.sees(page, http.StatusServiceUnavailable, "You are not signed in")
		if text := fmt.Sprint(page.text, s.logs.TakeAll()); strings.Contains(text, "call_the") || strings.Contains(text, "evil") {
			t.Error(text)
		}
	})
}
