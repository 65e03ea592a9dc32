package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestHandshake(t *testing.T) {
	w := newWorld(t, "https://print.example.com/up/")
	for _, p := range []string{"/up/graph/notifications", "/up/graph/lifecycle"} {
		for name, c := range map[string]struct {
			query  string
			status int
			body   string
		}{
			"Microsoft's": {
				"validationToken=Validation%3A+Testing+client+application+reachability+for+subscription+Request-Id%3A+522a8e7e", 200,
				"Validation: Testing client application reachability for subscription Request-Id: 522a8e7e",
			},
			"markup": {
				"validationToken=" + url.QueryEscape("<script>alert(1)</script>\r\n\x00ü"), 200, "<script>alert(1)</script>\r\n\x00ü",
			},
			"among others":    {"a=1&validationToken=x&b", 200, "x"},
			"longest":         {"validationToken=" + strings.Repeat("%41", maxToken), 200, strings.Repeat("A", maxToken)},
			"too long":        {"validationToken=" + strings.Repeat("%41", maxToken+1), 400, ""},
			"empty":           {"validationToken=", 400, ""},
			"twice":           {"validationToken=a&validationToken=b", 400, ""},
			"badly escaped":   {"validationToken=%zz", 400, ""},
			"no value at all": {"validationToken", 400, ""},
		} {
			rec := w.do(http.MethodPost, p+"?"+c.query, "")
			if rec.Code != c.status || rec.Body.String() != c.body {
				t.Errorf("%s: %d %q", name, rec.Code, rec.Body)
			}
			if rec.Header().Get("X-Content-Type-Options") != "nosniff" ||
				(c.status == 200 && rec.Header().Get("Content-Type") != "text/plain; charset=utf-8") {
				t.Errorf("%s: header %v", name, rec.Header())
			}
		}
	}
}

func TestPathsAndMethods(t *testing.T) {
	w := newWorld(t, "https://print.example.com/up")
	defer w.follow(t)()
	for target, status := range map[string]int{
		"POST /up/graph/notifications": 202, "POST /up/graph/lifecycle": 202, "GET /up/graph/notifications": 405,
		"GET /up/graph/lifecycle?validationToken=x": 405, "PUT /up/graph/lifecycle": 405, "HEAD /up/graph/lifecycle": 405,
		"POST /graph/notifications": 404, "POST /up/graph/notifications/": 404, "GET /": 404, "POST /up/graph/../graph/lifecycle": 404,
	} {
		method, p, _ := strings.Cut(target, " ")
		rec := w.do(method, p, post())
		if rec.Code != status || (status == 405 && rec.Header().Get("Allow") != "POST") {
			t.Errorf("%s: %d %v", target, rec.Code, rec.Header())
		}
	}
}

// Each item stands for itself: the bad ones cost nothing and hold up no other.
func TestBatch(t *testing.T) {
	w := newWorld(t, "https://print.example.com")
	defer w.follow(t)()
	if code := w.notify(
		item("good1"),
		item("forged", secret, strings.Repeat("x", 43)),
		item("foreign", tenant, "94bd8158-6d4d-4958-8b9f-9d6445542f95"),
		item("theirs", definition, "4203656e"),
		`7`, `null`, item("twice", `"changeType"`, `"clientState":"x","changeType"`), item("huge", "created", strings.Repeat("x", 20000)),
		item("unknown", subID, "8f105c7d"),
		item("good2"),
	); code != http.StatusAccepted {
		t.Fatalf("answered %d", code)
	}
	if len(w.store.bodies) != 2 || w.store.bodies[definition+" good1"] != item("good1") ||
		w.store.bodies[definition+" good2"] != item("good2") {
		t.Errorf("stored %v", w.store.bodies)
	}
	want := map[string]int{"stored": 2, "forged": 1, "foreign": 2, "malformed": 4, "unknown-subscription": 1, "failed": 0, "duplicate": 0}
	for name, n := range want {
		if w.result(name) != n {
			t.Errorf("%s: counted %d, want %d", name, w.result(name), n)
		}
	}
	if code := w.notify(item("good1"), item("good3")); code != 202 || w.result("duplicate") != 1 || w.result("stored") != 3 {
		t.Errorf("again: %d, %d duplicates", code, w.result("duplicate"))
	}
	if code := w.notify(`{}`, item("x", secret, "")); code != 202 || w.result("malformed") != 5 {
		t.Errorf("all bad: %d", code)
	}
}

func TestLimits(t *testing.T) {
	w := newWorld(t, "https://print.example.com")
	defer w.follow(t)()
	many := make([]string, maxItems)
	for i := range many {
		many[i] = item(fmt.Sprint("t", i))
	}
	if code := w.notify(many...); code != 202 || len(w.store.bodies) != maxItems {
		t.Errorf("%d items: %d, stored %d", maxItems, code, len(w.store.bodies))
	}
	if code := w.notify(append(many, item("one-more"))...); code != 413 || w.store.calls != maxItems {
		t.Errorf("%d items: %d, %d calls", maxItems+1, code, w.store.calls)
	}
	full := `{"value":[],"pad":"` + strings.Repeat("x", maxBody-len(`{"value":[],"pad":""}`)) + `"}`
	if rec := w.do("POST", "/graph/notifications", full); rec.Code != 202 {
		t.Errorf("%d bytes: %d", len(full), rec.Code)
	}
	if rec := w.do("POST", "/graph/notifications", full+" "); rec.Code != 413 {
		t.Errorf("%d bytes: %d", len(full)+1, rec.Code)
	}
	// Of a length that isn't told beforehand.
	req := httptest.NewRequest("POST", "/graph/notifications", strings.NewReader(full+" "))
	req.ContentLength = -1
	rec := httptest.NewRecorder()
	if w.ServeHTTP(rec, req); rec.Code != 413 {
		t.Errorf("chunked: %d", rec.Code)
	}
	if w.result("oversized") != 3 {
		t.Errorf("counted %d", w.result("oversized"))
	}
	for _, bad := range []string{"", "{", "[]", `{"value":7}`, `{"value":[1,]}`, `{"value":[],"value":[]}`, `{"Value":[]}`} {
		if rec := w.do("POST", "/graph/notifications", bad); rec.Code != 400 {
			t.Errorf("%s: %d", bad, rec.Code)
		}
	}
}

// The items of one POST are stored side by side, but not all at once.
func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "https://print.example.com")
		defer w.follow(t)()
		w.store.slow = func(context.Context, string) error { time.Sleep(10 * time.Millisecond); return nil }
		many := make([]string, maxItems)
		for i := range many {
			many[i] = item(fmt.Sprint("t", i))
		}
		if code := w.notify(many...); code != 202 || w.store.max != maxStores {
			t.Errorf("%d, %d stores at once", code, w.store.max)
		}
	})
}

// A failing store: 503, and what could be stored is a duplicate when it comes again.
func TestStoreFails(t *testing.T) {
	w := newWorld(t, "https://print.example.com")
	defer w.follow(t)()
	w.store.fail = func(task string) error {
		if task == "b" {
			return errors.New("disk full")
		}
		return nil
	}
	rec := w.do("POST", "/graph/notifications", post(item("a"), item("b"), item("c")))
	if rec.Code != 503 || rec.Header().Get("Retry-After") == "" || len(w.store.bodies) != 2 || w.result("failed") != 1 {
		t.Errorf("%d %v, stored %d", rec.Code, rec.Header(), len(w.store.bodies))
	}
	w.store.fail = nil
	if code := w.notify(item("a"), item("b"), item("c")); code != 202 || len(w.store.bodies) != 3 || w.result("duplicate") != 2 {
		t.Errorf("again: %d, stored %d", code, len(w.store.bodies))
	}
}

// A slow store: 503 after 2 seconds; one that doesn't even end then: within 2.5.
func TestStoreIsSlow(t *testing.T) {
	for name, c := range map[string]struct {
		slow  func(ctx context.Context, task string) error
		code  int
		after time.Duration
	}{
		"quick enough": {
			func(context.Context, string) error { time.Sleep(1900 * time.Millisecond); return nil }, 202,
			1900 * time.Millisecond,
		},
		"too slow": {func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }, 503, storeTimeout},
		"one of many": {func(ctx context.Context, task string) error {
			if task == "b" {
				<-ctx.Done()
			}
			return ctx.Err()
		}, 503, storeTimeout},
		"deaf": {func(context.Context, string) error { time.Sleep(time.Minute); return nil }, 503, answerTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "https://print.example.com")
				defer w.follow(t)()
				w.store.slow = c.slow
				began := time.Now()
				code := w.notify(item("a"), item("b"))
				if took := time.Since(began); code != c.code || took != c.after || took > 2500*time.Millisecond {
					t.Errorf("%d after %s, want %d after %s", code, took, c.code, c.after)
				}
				<-w.Refuse()
				if name == "deaf" && time.Since(began) != time.Minute {
					t.Errorf("what was in hand wasn't waited for: %s", time.Since(began))
				}
			})
		})
	}
}

// Who posted hangs up: what was accepted is stored all the same.
func TestClientHangsUp(t *testing.T) {
	w := newWorld(t, "https://print.example.com")
	defer w.follow(t)()
	ctx, cancel := context.WithCancel(t.Context())
	w.store.slow = func(ctx context.Context, _ string) error { cancel(); return ctx.Err() }
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, "POST", "/graph/notifications", strings.NewReader(post(item("a")))))
	if rec.Code != 202 || len(w.store.bodies) != 1 {
		t.Errorf("%d, stored %d", rec.Code, len(w.store.bodies))
	}
}

// Beyond what may be in hand the answer is 503 at once, and room comes back even
// after a store that doesn't end in time.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "https://print.example.com")
		defer w.follow(t)()
		end := make(chan struct{})
		w.store.slow = func(context.Context, string) error { <-end; return nil }
		codes := make(chan int, maxRequests)
		for i := range maxRequests {
			go func() { codes <- w.notify(item(fmt.Sprint("t", i))) }()
		}
		synctest.Wait()
		began := time.Now()
		if code := w.notify(item("x")); code != 503 || time.Since(began) != 0 || w.result("overloaded") != 1 {
			t.Errorf("%d after %s", code, time.Since(began))
		}
		if rec := w.do("POST", "/graph/notifications?validationToken=x", ""); rec.Code != 200 {
			t.Errorf("handshake under load: %d", rec.Code)
		}
		time.Sleep(answerTimeout)
		for range maxRequests {
			if code := <-codes; code != 503 {
				t.Errorf("answered %d", code)
			}
		}
		if code := w.notify(item("x")); code != 503 {
			t.Errorf("the stores still run, but: %d", code)
		}
		close(end)
		synctest.Wait()
		if code := w.notify(item("x")); code != 202 {
			t.Errorf("after the load: %d", code)
		}
		// Bodies as large as they may be, fewer of them.
		w.store.slow = func(ctx context.Context, _ string) error { <-ctx.Done(); return nil }
		for range maxBuffered/maxBody + 1 {
			go func() {
				body := post(item("y"))
				body += strings.Repeat(" ", maxBody-len(body))
				req := httptest.NewRequest("POST", "/graph/notifications", strings.NewReader(body))
				rec := httptest.NewRecorder()
				w.ServeHTTP(rec, req)
				codes <- rec.Code
			}()
		}
		synctest.Wait()
		if w.result("overloaded") != 3 {
			t.Errorf("large bodies: %d refused", w.result("overloaded")-2)
		}
		time.Sleep(answerTimeout)
		synctest.Wait()
	})
}

// Before the state is read, or when it can't be read, nothing is dropped as forged.
func TestNotReady(t *testing.T) {
	w := newWorld(t, "https://print.example.com")
	if code := w.notify(item("a")); code != 503 || w.result("failed") != 1 {
		t.Errorf("before: %d", code)
	}
	if code := w.do("POST", "/graph/lifecycle", post(lifecycleItem)).Code; code != 503 {
		t.Errorf("lifecycle before: %d", code)
	}
	defer w.follow(t)()
	w.state.mu.Lock()
	w.state.broken = true
	w.state.mu.Unlock()
	if code := w.notify(item("a"), item("new", subID, "new-sub")); code != 503 || len(w.store.bodies) != 1 {
		t.Errorf("broken: %d, stored %d", code, len(w.store.bodies))
	}
}

// The news of a subscription may be slower than its first notification. However
// many items are refused, a POST costs one look at the state.
func TestNotificationBeforeStateIsWatched(t *testing.T) {
	w := newWorld(t, "https://print.example.com")
	defer w.follow(t)()
	w.state.mu.Lock()
	w.state.news = nil // no news by the watch from now on
	w.state.mu.Unlock()
	other := strings.Repeat("n", 43)
	w.state.put(t, "trigger.subscription", subscribed("new-sub", other))
	gets := w.state.gets
	bad := make([]string, 500)
	for i := range bad {
		bad[i] = item("bad", secret, strings.Repeat("b", 43))
	}
	if code := w.notify(append(bad, item("a", subID, "new-sub", secret, other))...); code != 202 || len(w.store.bodies) != 1 {
		t.Errorf("%d, stored %d", code, len(w.store.bodies))
	}
	if n := w.state.gets - gets; n != 3 {
		t.Errorf("%d reads, want one of each of 3 keys", n)
	}
}

const lifecycleItem = `{"subscriptionId":"` + subID + `","clientState":"` + secret + `","tenantId":"` + tenant +
	`","lifecycleEvent":"reauthorizationRequired"}`

func TestLifecycle(t *testing.T) {
	w := newWorld(t, "https://print.example.com")
	defer w.follow(t)()
	forged := strings.Replace(lifecycleItem, secret, strings.Repeat("x", 43), 1)
	if rec := w.do("POST", "/graph/lifecycle", post(forged, `{"x":1}`)); rec.Code != 202 || w.state.values["trigger.lifecycle"] != nil {
		t.Errorf("forged: %d %s", rec.Code, w.state.values["trigger.lifecycle"])
	}
	if rec := w.do("POST", "/graph/lifecycle", post(forged, lifecycleItem, lifecycleItem)); rec.Code != 202 ||
		!strings.Contains(string(w.state.values["trigger.lifecycle"]), "reauthorizationRequired") {
		t.Errorf("good: %d %s", rec.Code, w.state.values["trigger.lifecycle"])
	}
	if w.result("lifecycle") != 2 || w.result("forged") != 2 || w.result("malformed") != 1 {
		t.Error("counted wrongly")
	}
	w.state.mu.Lock()
	w.state.broken = true
	w.state.mu.Unlock()
	if rec := w.do("POST", "/graph/lifecycle", post(lifecycleItem)); rec.Code != 503 {
		t.Errorf("state is broken: %d", rec.Code)
	}
}

func TestRefuse(t *testing.T) {
	w := newWorld(t, "https://print.example.com")
	defer w.follow(t)()
	<-w.Refuse()
	if rec := w.do("POST", "/graph/notifications", post(item("a"))); rec.Code != 503 || len(w.store.bodies) != 0 {
		t.Errorf("%d, stored %d", rec.Code, len(w.store.bodies))
	}
	<-w.Refuse()
}

// The set of results is closed: each is there before anything happened.
func TestMetric(t *testing.T) {
	w := newWorld(t, "")
	if n, err := testutil.GatherAndCount(w.reg, "pullprint_notifications_total"); err != nil || n != 11 {
		t.Errorf("%d series, %v", n, err)
	}
}

// A panic in the handling of one POST costs that POST, which Graph repeats.
func TestPanicsCostOnePost(t *testing.T) {
	w := newWorld(t, "https://print.example.com")
	defer w.follow(t)()
	w.store.slow = func(_ context.Context, task string) error {
		if task == "bad" {
			panic("PLANTED")
		}
		return nil
	}
	if code := w.notify(item("good"), item("bad")); code != 503 || w.result("failed") != 1 {
		t.Errorf("%d, and %d failed", code, w.result("failed"))
	}
	if code := w.notify(item("good")); code != 202 {
		t.Errorf("after it: %d", code)
	}
	if code := w.recoverStatus(func() int { panic("PLANTED") }); code != 503 {
		t.Errorf("outside of the store: %d", code)
	}
}
