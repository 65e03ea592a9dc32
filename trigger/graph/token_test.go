package graph

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/trigger/graph/auth"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func okJob(int, *http.Request) (*http.Response, error) { return answer(200, `{"id":"5182"}`), nil }

func TestTokenIsFetchedOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var form url.Values
		o := &fakeServers{graph: okJob, authority: func(n int, r *http.Request) (*http.Response, error) {
			if err := r.ParseForm(); err != nil {
				t.Error(err)
			}
			form = r.PostForm
			time.Sleep(time.Second)
			return tokenAnswer(n, 3600), nil
		}}
		c, _ := o.client(t)
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				if _, err := c.Job(t.Context(), ref); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if o.fetches != 1 || o.calls != 40 {
			t.Errorf("%d fetches for %d calls, want 1 for 40", o.fetches, o.calls)
		}
		for key, want := range map[string]string{
			"scope": "https://graph.microsoft.com/.default", "client_id": testClient, "client_secret": testSecret,
			"grant_type": "client_credentials",
		} {
			if form.Get(key) != want {
				t.Errorf("%s = %q, want %q", key, form.Get(key), want)
			}
		}
		if err := c.TokenFresh(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		if err := c.TokenFresh(); err == nil {
			t.Error("an expired token counts as fresh")
		}
		// Who has nothing to ask keeps signed in all the same, with no more fetches
		// than needed.
		for range 4 * 60 {
			if err := c.KeepSignedIn(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := c.TokenFresh(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if o.fetches > 7 || o.calls != 40 {
			t.Errorf("%d fetches in 4 hours, %d calls", o.fetches, o.calls)
		}
	})
}

func TestFailedFetchIsSharedAndGivenUpOneIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &fakeServers{graph: okJob, authority: func(n int, r *http.Request) (*http.Response, error) {
			if n == 1 { // hangs until its caller gives up
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			time.Sleep(time.Second)
			return answer(400, `{"error":"unauthorized_client","error_description":"AADSTS700016: no"}`), nil
		}}
		c, _ := o.client(t)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := c.SignIn(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want canceled", err)
			}
		})
		synctest.Wait()
		for range 10 {
			wg.Go(func() {
				var ae *auth.Error
				if err := c.SignIn(t.Context()); !errors.As(err, &ae) || ae.Code != "AADSTS700016" {
					t.Errorf("got %v, want AADSTS700016", err)
				}
			})
		}
		synctest.Wait()
		cancel()
		wg.Wait()
		if o.fetches != 2 {
			t.Errorf("%d fetches, want 2", o.fetches)
		}
	})
}

func TestTokenIsRefreshedEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := false
		o := &fakeServers{graph: okJob, authority: func(n int, _ *http.Request) (*http.Response, error) {
			if down {
				return nil, errDial
			}
			return tokenAnswer(n, 3600), nil
		}}
		c, logs := o.client(t)
		job := func() {
			t.Helper()
			if _, err := c.Job(t.Context(), ref); err != nil {
				t.Fatal(err)
			}
		}
		job()
		time.Sleep(47 * time.Minute)
		job()
		if o.fetches != 1 {
			t.Fatalf("refreshed after 47 of 60 minutes")
		}
		down = true
		time.Sleep(2 * time.Minute) // past 80 %
		for range 5 {
			job()
		}
		if o.fetches != 2 || o.bearers[len(o.bearers)-1] != "Bearer token-1" {
			t.Errorf("%d fetches, %s: a failing early refresh must pause and leave the old token", o.fetches, o.bearers[len(o.bearers)-1])
		}
		if logs.FilterMessageSnippet("not refreshed early").Len() != 1 {
			t.Error("the failed refresh is not told")
		}
		down = false
		time.Sleep(time.Minute)
		job()
		if last := o.bearers[len(o.bearers)-1]; last != "Bearer token-3" {
			t.Errorf("%s, want the new token", last)
		}
		down = true
		time.Sleep(time.Hour + time.Minute)
		_, err := c.Job(t.Context(), ref)
		var ae *auth.Error
		if !errors.As(err, &ae) || ae.Permanent() || !problem(t, err).Unavailable() {
			t.Errorf("got %v, want an unreachable authority", err)
		}
	})
}

func TestEarlyRefreshHoldsUpOneCallOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &fakeServers{graph: okJob, authority: func(n int, r *http.Request) (*http.Response, error) {
			if n == 2 {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return tokenAnswer(n, 3600), nil
		}}
		c, _ := o.client(t)
		if err := c.SignIn(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Minute)
		began, slow := time.Now(), make(chan time.Duration, 20)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := c.Job(t.Context(), ref); err != nil {
					t.Error(err)
				}
				if d := time.Since(began); d > 0 {
					slow <- d
				}
			})
		}
		wg.Wait()
		close(slow)
		var all []time.Duration
		for d := range slow {
			all = append(all, d)
		}
		if len(all) != 1 || all[0] != 3*time.Second {
			t.Errorf("waited %v, want one call to wait 3 s", all)
		}
	})
}

func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, write := range []bool{false, true} {
			o := &fakeServers{graph: func(_ int, r *http.Request) (*http.Response, error) {
				consume(r)
				if r.Header.Get("Authorization") == "Bearer token-1" {
					return refusal(401, "InvalidAuthenticationToken"), nil
				}
				return answer(200, `{"id":"5182"}`), nil
			}}
			c, _ := o.client(t)
			var err error
			if write {
				err = c.AbortJob(t.Context(), ref, "no")
			} else {
				_, err = c.Job(t.Context(), ref)
			}
			if err != nil || o.calls != 2 || o.fetches != 2 {
				t.Errorf("write %v: %v after %d calls, %d fetches; want success after 2, 2", write, err, o.calls, o.fetches)
			}
		}
	})
}

func TestTokenRefusedForGoodIsNotRequestedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &fakeServers{graph: func(int, *http.Request) (*http.Response, error) {
			return refusal(401, "InvalidAuthenticationToken"), nil
		}}
		c, _ := o.client(t)
		_, err := c.Job(t.Context(), ref)
		if e := problem(t, err); e.Status != 401 || o.calls != 2 || o.fetches != 2 {
			t.Errorf("%v after %d calls, %d fetches; want 401 after 2, 2", e, o.calls, o.fetches)
		}
		for range 10 {
			_, _ = c.Job(t.Context(), ref)
		}
		if o.fetches != 2 {
			t.Errorf("%d fetches: the authority is asked for each refused call", o.fetches)
		}
		time.Sleep(11 * time.Second)
		_, _ = c.Job(t.Context(), ref)
		if o.fetches != 3 {
			t.Errorf("%d fetches, want another after the pause", o.fetches)
		}
		if !c.LastSuccess().IsZero() {
			t.Error("a 401 counts as success")
		}
	})
}

func TestRefusedTokenWaitsForTheAuthority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &fakeServers{
			graph: func(_ int, r *http.Request) (*http.Response, error) {
				if r.Header.Get("Authorization") == "Bearer token-1" {
					return refusal(401, "InvalidAuthenticationToken"), nil
				}
				return answer(200, `{"id":"5182"}`), nil
			},
			authority: func(n int, _ *http.Request) (*http.Response, error) {
				if n == 2 || n == 3 {
					return answer(503, "", "Retry-After", "2"), nil
				}
				return tokenAnswer(n, 3600), nil
			},
		}
		c, _ := o.client(t)
		if _, err := c.Job(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		if o.fetches != 4 {
			t.Errorf("%d fetches, want 4", o.fetches)
		}
		if s := testutil.ToFloat64(c.metrics.throttled); s < 4 || s > 4.5 {
			t.Errorf("%v s throttled, want the 4 that the authority asked for", s)
		}
	})
}

func TestSecretIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var secrets []string
		o := &fakeServers{graph: okJob, authority: func(n int, r *http.Request) (*http.Response, error) {
			_ = r.ParseForm()
			secrets = append(secrets, r.PostForm.Get("client_secret"))
			return tokenAnswer(n, 3600), nil
		}}
		cfg := testConfig(t)
		c, err := New(cfg, Options{Transport: o})
		if err != nil {
			t.Fatal(err)
		}
		signIn := func() {
			t.Helper()
			if err := c.SignIn(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		signIn()
		if err := os.WriteFile(cfg.Auth.ClientSecretFile, []byte("rolled"), 0o600); err != nil {
			t.Fatal(err)
		}
		signIn()
		if err := os.Remove(cfg.Auth.ClientSecretFile); err != nil {
			t.Fatal(err)
		}
		signIn()
		if got := strings.Join(secrets, " "); got != testSecret+" rolled rolled" {
			t.Errorf("secrets sent: %s", got)
		}
	})
}

func TestAuthErrorSaysWhatToCheck(t *testing.T) {
	for _, tt := range []struct {
		name      string
		answer    *http.Response
		err       error
		code      string
		permanent bool
		says      string
	}{
		{name: "wrong secret", answer: entra(401, "7000215",
			"invalid_client"), code: "AADSTS7000215", permanent: true, says: "copy the secret's value, not its id"},
		{name: "expired secret", answer: entra(401, "7000222", "invalid_client"), code: "AADSTS7000222", permanent: true, says: "expired"},
		{name: "client not in tenant", answer: entra(400, "700016",
			"unauthorized_client"), code: "AADSTS700016", permanent: true, says: "auth.client_id"},
		{name: "no such tenant", answer: entra(400, "90002", "invalid_request"), code: "AADSTS90002", permanent: true, says: "tenant_id"},
		{name: "bad tenant", answer: entra(400, "900023", "invalid_request"), code: "AADSTS900023", permanent: true, says: "tenant_id"},
		{name: "consent", answer: entra(400, "65001", "invalid_grant"), code: "AADSTS65001", permanent: true, says: "admin consent"},
		{name: "code not known", answer: entra(400, "123456", "invalid_request"), code: "AADSTS123456", permanent: true},
		{name: "code only as a number", answer: answer(400,
			`{"error":"invalid_client","error_codes":[7000215]}`), code: "AADSTS7000215", permanent: true},
		{
			name: "no code", answer: answer(401, `{"error":"invalid_client"}`), code: "invalid_client", permanent: true,
			says: "auth.client_id",
		},
		{name: "Entra's own trouble", answer: entra(400, "90033", "temporarily_unavailable"), code: "AADSTS90033"},
		{name: "too many", answer: entra(429, "90055", "invalid_request"), code: "AADSTS90055"},
		{name: "down", answer: answer(503, "<html>Secret Plan"), says: "status 503"},
		{name: "a proxy's page", answer: answer(403, "<html>Secret Plan"), says: "status 403"},
		{name: "a portal's page", answer: answer(200, "<html>Secret Plan"), says: "not the JSON"},
		{name: "no token inside", answer: answer(200, "{}"), says: "not the JSON"},
		{name: "a token with a line break", answer: answer(200, `{"access_token":"a\nb"}`), says: "not the JSON"},
		{name: "redirected", answer: answer(302, "", "Location", "https://evil.example/"), says: "status 302"},
		{name: "unreachable", err: errDial, says: "connection refused"},
		{name: "hangs", err: context.DeadlineExceeded, says: "no answer in time"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := &fakeServers{authority: func(int, *http.Request) (*http.Response, error) { return tt.answer, tt.err }}
			c, _ := o.client(t)
			err := c.SignIn(t.Context())
			var ae *auth.Error
			if !errors.As(err, &ae) {
				t.Fatalf("got %v", err)
			}
			if ae.Code != tt.code || ae.Permanent() != tt.permanent || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got code %q, permanent %v: %v", ae.Code, ae.Permanent(), err)
			}
			if c.TokenFresh() == nil || o.fetches != 1 {
				t.Errorf("token fresh %v, %d fetches", c.TokenFresh(), o.fetches)
			}
			for _, secret := range []string{testSecret, "Secret Plan", "Invalid client", "evil"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error shows %q: %v", secret, err)
				}
			}
		})
	}
}

func entra(status int, code, kind string) *http.Response {
	return answer(status, `{"error":"`+kind+`","error_description":"AADSTS`+code+`: Invalid client secret '`+testSecret+
		`' for Secret Plan. Trace ID: t","trace_id":"t-1"}`)
}

func TestPermanentAuthErrorEndsACall(t *testing.T) {
	o := &fakeServers{graph: okJob, authority: func(int, *http.Request) (*http.Response, error) {
		return entra(401, "7000215", "invalid_client"), nil
	}}
	c, _ := o.client(t)
	_, err := c.Job(t.Context(), ref)
	if e := problem(t, err); e.Unavailable() || o.fetches != 1 || o.calls != 0 {
		t.Errorf("%v: unavailable %v, %d fetches, %d calls", e, e.Unavailable(), o.fetches, o.calls)
	}
}
