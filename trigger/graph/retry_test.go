package graph

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"pullprint/trigger/graph/transport"
)

func TestRetryAfterIsWaitedFor(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		header func() string
		want   time.Duration
	}{
		{"seconds, 429", 429, func() string { return "7" }, 7 * time.Second},
		{"seconds, 503", 503, func() string { return "7" }, 7 * time.Second},
		{"seconds, 509", 509, func() string { return "7" }, 7 * time.Second},
		{"date, 504", 504, func() string { return time.Now().Add(9 * time.Second).UTC().Format(http.TimeFormat) }, 9 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &fakeServers{graph: func(n int, _ *http.Request) (*http.Response, error) {
					if n == 1 {
						return refusal(tt.status, "TooManyRequests", "Retry-After", tt.header()), nil
					}
					return answer(200, `{"id":"5182"}`), nil
				}}
				c, _ := o.client(t)
				if _, err := c.Job(t.Context(), ref); err != nil {
					t.Fatal(err)
				}
				waited := o.at[1].Sub(o.at[0])
				if waited < tt.want || waited > tt.want+tt.want/10 {
					t.Errorf("waited %v, want %v and up to a tenth more", waited, tt.want)
				}
				if s := testutil.ToFloat64(c.metrics.throttled); s != waited.Seconds() {
					t.Errorf("%v s counted as throttled, waited %v", s, waited)
				}
			})
		})
	}
}

func TestRetryAfterBeyondTheBudgetIsToldNotWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &fakeServers{graph: func(int, *http.Request) (*http.Response, error) {
			return refusal(429, "TooManyRequests", "Retry-After", "86400"), nil
		}}
		c, _ := o.client(t)
		began := time.Now()
		_, err := c.Job(t.Context(), ref)
		e := problem(t, err)
		if time.Since(began) != 0 || o.calls != 1 || e.RetryAfter != transport.MaxRetryAfter || !e.Unavailable() {
			t.Errorf("%v with RetryAfter %v after %v and %d calls", e, e.RetryAfter, time.Since(began), o.calls)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		o.graph = func(int, *http.Request) (*http.Response, error) {
			return refusal(429, "TooManyRequests", "Retry-After", "6"), nil
		}
		if _, err := c.Job(ctx, ref); time.Since(began) != 0 {
			t.Errorf("waited %v for a try that its caller won't see: %v", time.Since(began), err)
		}
	})
}

func TestReadsAreTriedWithinTheBudget(t *testing.T) {
	failures := map[string]func(*http.Request) (*http.Response, error){
		"500":  func(*http.Request) (*http.Response, error) { return refusal(500, "x"), nil },
		"502":  func(*http.Request) (*http.Response, error) { return answer(502, "<html>"), nil },
		"503":  func(*http.Request) (*http.Response, error) { return refusal(503, "x"), nil },
		"dial": func(*http.Request) (*http.Response, error) { return nil, errDial },
		"lost": func(*http.Request) (*http.Response, error) { return nil, errRead },
		"cut":  func(*http.Request) (*http.Response, error) { return cut(), nil },
		"hang": func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
	}
	for name, fail := range failures {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &fakeServers{graph: func(_ int, r *http.Request) (*http.Response, error) { return fail(r) }}
				c, _ := o.client(t)
				began := time.Now()
				_, err := c.Job(t.Context(), ref)
				e := problem(t, err)
				if took := time.Since(began); took < budget/2 || took > budget+leastTry {
					t.Errorf("gave up after %v", took)
				}
				if o.calls < 2 || o.calls > 20 || !e.Unavailable() || e.Ambiguous() || e.NotFound() {
					t.Errorf("%d tries, then %v (unavailable %v, ambiguous %v)", o.calls, e, e.Unavailable(), e.Ambiguous())
				}
				o.graph = okJob
				if _, err := c.Job(t.Context(), ref); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// cut is a success whose body ends too early.
func cut() *http.Response {
	r := answer(200, "")
	r.Body = cutBody{}
	return r
}

type cutBody struct{}

func (cutBody) Read([]byte) (int, error) { return 0, errRead }
func (cutBody) Close() error             { return nil }

func TestWrites(t *testing.T) {
	sent := func(r *http.Response, err error) func(*http.Request) (*http.Response, error) {
		return func(q *http.Request) (*http.Response, error) { consume(q); return r, err }
	}
	for name, tt := range map[string]struct {
		first     func(*http.Request) (*http.Response, error)
		again     bool
		ambiguous bool
	}{
		"429":                     {first: sent(refusal(429, "TooManyRequests", "Retry-After", "1"), nil), again: true},
		"refused dial":            {first: func(*http.Request) (*http.Response, error) { return nil, errDial }, again: true},
		"refused dial, body read": {first: sent(nil, errDial), again: true},
		"never sent": {first: func(*http.Request) (*http.Response, error) {
			return nil,
				errors.New("TLS broke")
		}, again: true},
		"answer lost":  {first: sent(nil, errRead), ambiguous: true},
		"500":          {first: sent(refusal(500, "x"), nil), ambiguous: true},
		"503 and wait": {first: sent(refusal(503, "x", "Retry-After", "1"), nil), ambiguous: true},
		"504":          {first: sent(refusal(504, "x"), nil), ambiguous: true},
		"hang": {first: func(r *http.Request) (*http.Response, error) {
			consume(r)
			<-r.Context().Done()
			return nil, r.Context().Err()
		}, ambiguous: true},
		"hang before": {first: func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil,
				r.Context().Err()
		}, again: true},
		"400":        {first: sent(refusal(400, "BadRequest"), nil)},
		"403":        {first: sent(refusal(403, "Forbidden"), nil)},
		"404":        {first: sent(refusal(404, "NotFound"), nil)},
		"409":        {first: sent(refusal(409, "Conflict"), nil)},
		"redirected": {first: sent(answer(307, "", "Location", "https://evil.example/"), nil)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &fakeServers{graph: func(n int, r *http.Request) (*http.Response, error) {
					if n == 1 {
						return tt.first(r)
					}
					consume(r)
					return answer(204, ""), nil
				}}
				c, _ := o.client(t)
				err := c.AbortJob(t.Context(), ref, "Too many pages.")
				if tt.again {
					if err != nil || o.calls != 2 {
						t.Errorf("%v after %d calls, want success after 2", err, o.calls)
					}
					return
				}
				e := problem(t, err)
				if o.calls != 1 || e.Ambiguous() != tt.ambiguous || (tt.ambiguous && !e.Unavailable()) {
					t.Errorf("%d calls, ambiguous %v, unavailable %v: %v", o.calls, e.Ambiguous(), e.Unavailable(), e)
				}
			})
		})
	}
}

func TestAnswerToRedirectThatCannotBeReadIsAmbiguous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, r := range []*http.Response{answer(200, "<html>"), answer(200, ""), answer(200, "{}"), answer(200, `{"id":"../x"}`), cut()} {
			o := &fakeServers{graph: func(_ int, q *http.Request) (*http.Response, error) { consume(q); return r, nil }}
			c, _ := o.client(t)
			_, err := c.RedirectJob(t.Context(), ref, "p2", nil)
			if e := problem(t, err); !e.Ambiguous() || o.calls != 1 {
				t.Errorf("ambiguous %v after %d calls: %v", e.Ambiguous(), o.calls, e)
			}
		}
	})
}

func TestCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &fakeServers{graph: func(int, *http.Request) (*http.Response, error) { return nil, errDial }}
		c, _ := o.client(t)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(1500*time.Millisecond, cancel)
		began := time.Now()
		_, err := c.Job(ctx, ref)
		if time.Since(began) != 1500*time.Millisecond {
			t.Errorf("went on for %v: %v", time.Since(began), err)
		}
		calls := o.calls
		_, err = c.Job(ctx, ref)
		if e := problem(t, err); !errors.Is(err, context.Canceled) || e.Unavailable() || o.calls != calls {
			t.Errorf("unavailable %v after %d more calls: %v", e.Unavailable(), o.calls-calls, err)
		}
	})
}

func TestConcurrencyAndRateAreCapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		o := &fakeServers{graph: func(int, *http.Request) (*http.Response, error) {
			for n := now.Add(1); ; {
				if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
					break
				}
			}
			time.Sleep(100 * time.Millisecond)
			now.Add(-1)
			return answer(200, `{"id":"5182"}`), nil
		}}
		cfg := testConfig(t)
		cfg.MaxConcurrent = 3
		c, err := New(cfg, Options{Transport: o})
		if err != nil {
			t.Fatal(err)
		}
		all(t, c, 30)
		if most.Load() != 3 {
			t.Errorf("%d calls at once, want 3", most.Load())
		}
	})
}

func all(t *testing.T, c *Client, n int) {
	t.Helper()
	done := make(chan error)
	for range n {
		go func() { _, err := c.Job(t.Context(), ref); done <- err }()
	}
	for range n {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestErrorsAndLogsKeepSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &fakeServers{}
		c, logs := o.client(t)
		var said []string
		note := func(err error) {
			t.Helper()
			for err := err; err != nil; err = errors.Unwrap(err) {
				if _, deep := err.(transport.Error); deep { //nolint:errorlint // one level at a time, on purpose
					break // what is below is for errors.Is, not for people
				}
				said = append(said, err.Error())
			}
		}
		for _, r := range []func() (*http.Response, error){
			func() (*http.Response, error) { return refusal(400, "BadRequest"), nil },
			func() (*http.Response, error) { return refusal(429, "TooManyRequests", "Retry-After", "1"), nil },
			func() (*http.Response, error) { return refusal(503, "Secret Plan.docx of Ann"), nil },
			func() (*http.Response, error) { return answer(500, `Secret Plan`), nil },
			func() (*http.Response, error) { return answer(200, `{"id":"Secret Plan" Ann`), nil },
			func() (*http.Response, error) { return answer(200, `{"createdDateTime":"Secret Plan"}`), nil },
			func() (*http.Response, error) { return nil, errors.New("malformed HTTP response \"Secret Plan\"") },
		} {
			o.graph = func(_ int, q *http.Request) (*http.Response, error) { consume(q); return r() }
			_, err := c.Job(t.Context(), ref)
			note(err)
			note(c.FinishTask(t.Context(), "d", "t", TaskCompleted, "Secret Plan")) // nil where the answer isn't looked at
		}
		for _, entry := range logs.All() {
			said = append(said, entry.Message)
			for _, f := range entry.Context {
				said = append(said, f.String)
				if err, ok := f.Interface.(error); ok {
					said = append(said, err.Error())
				}
			}
		}
		for _, s := range said {
			for _, secret := range []string{"Secret Plan", "Ann", testSecret, "token-1"} {
				if strings.Contains(s, secret) {
					t.Errorf("%q is shown in: %s", secret, s)
				}
			}
		}
		if len(said) < 20 || !strings.Contains(said[0], "status 400 BadRequest (request-id r-1)") {
			t.Errorf("%d texts, the first: %s", len(said), said[0])
		}
	})
}
