package graph

import (
	"errors"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/trigger/graph/auth"
)

// Graph asks one caller to come back in two minutes: until then no call of that kind is
// made by anybody, and calls of other kinds are.
func TestRetryAfterIsKeptByAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy, others, began := 0, 0, time.Now()
		var mu sync.Mutex
		o := &fakeServers{graph: func(_ int, r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			if !strings.Contains(r.URL.Path, "/jobs/") {
				others++
				return answer(200, `{"id":"`+path.Base(r.URL.Path)+`"}`), nil
			}
			busy++
			if time.Since(began) < 2*time.Minute {
				return refusal(429, "TooManyRequests", "Retry-After", "120"), nil
			}
			return answer(200, `{"id":"5182"}`), nil
		}}
		c, _ := o.client(t)
		var left time.Duration
		for range 60 {
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					_, err := c.Job(t.Context(), ref)
					if e := problem(t, err); !e.Unavailable() || !e.Throttled() || e.Ambiguous() {
						t.Errorf("%v", err)
					}
				})
			}
			wg.Wait()
			_, err := c.Job(t.Context(), ref)
			left = problem(t, err).RetryAfter
			if _, err := c.Printer(t.Context(), ref.Printer); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if busy > 20 || others != 60 || left > 62*time.Second || left < 50*time.Second {
			t.Errorf("%d calls in a minute, %d of another kind, %v left", busy, others, left)
		}
		err := c.AbortJob(t.Context(), ref, "a reason") // of another kind: it is sent
		if e := problem(t, err); e.Status != 429 {
			t.Error(err)
		}
		if err := c.AbortJob(t.Context(), ref, "a reason"); problem(t, err).Ambiguous() {
			t.Error("what was surely not sent is taken for ambiguous")
		}
		time.Sleep(70 * time.Second)
		if _, err := c.Job(t.Context(), ref); err != nil {
			t.Error(err)
		}
	})
}

// What is refused for its own sake with a Retry-After stops nobody else.
func TestRetryAfterOfOneJob(t *testing.T) {
	for _, status := range []int{404, 409, 423} {
		synctest.Test(t, func(t *testing.T) {
			o := &fakeServers{graph: func(_ int, r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, ref.Job) {
					return refusal(status, "x", "Retry-After", "300"), nil
				}
				return answer(200, `{"id":"`+path.Base(r.URL.Path)+`"}`), nil
			}}
			c, _ := o.client(t)
			began := time.Now()
			if _, err := c.Job(t.Context(), ref); problem(t, err).Status != status {
				t.Error(err)
			}
			if _, err := c.Job(t.Context(), Ref{Printer: ref.Printer, Job: ref.Job + "1"}); err != nil || time.Since(began) > time.Second {
				t.Errorf("%d: after %s: %v", status, time.Since(began), err)
			}
		})
	}
}

// A short pause is waited for, by those too who did not hear of it themselves.
func TestShortPauseIsWaitedForByAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		var mu sync.Mutex
		began := time.Now()
		o := &fakeServers{graph: func(int, *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Now())
			if time.Since(began) < 3*time.Second {
				return refusal(503, "ServiceUnavailable", "Retry-After", "2.128"), nil
			}
			return answer(200, `{"id":"5182"}`), nil
		}}
		c, _ := o.client(t)
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Millisecond)
				if _, err := c.Job(t.Context(), ref); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(at) != 6 {
			t.Errorf("%d calls", len(at))
		}
		for _, when := range at[1:] {
			if when.Sub(began) < 3*time.Second {
				t.Errorf("called after %v", when.Sub(began))
			}
		}
	})
}

// The authority is left in peace for as long as it asks.
func TestRetryAfterOfTheAuthority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		o := &fakeServers{
			authority: func(int, *http.Request) (*http.Response, error) {
				asked++
				return refusal(429, "x", "Retry-After", "60"), nil
			},
			graph: func(int, *http.Request) (*http.Response, error) { return answer(200, `{}`), nil },
		}
		c, _ := o.client(t)
		for range 35 {
			_, err := c.Job(t.Context(), ref)
			var ae *auth.Error
			if !errors.As(err, &ae) || ae.RetryAfter <= 0 {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if asked != 1 {
			t.Errorf("the authority was asked %d times in 35 s", asked)
		}
	})
}
