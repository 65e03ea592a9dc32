package graphtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// quiet turns every fault off, so that a test can turn one on.
func quiet(turn func(*Knobs)) Knobs {
	k := Calm()
	turn(&k)
	return k
}

func TestEachCallFault(t *testing.T) {
	for _, c := range []struct {
		name   string
		turn   func(*Knobs)
		status int
		abort  int // the fate of a write
	}{
		{"none", func(*Knobs) {}, 200, 204},
		{"throttle", func(k *Knobs) { k.Throttle = 1 }, 429, 429},
		{"unavailable", func(k *Knobs) { k.Unavailable = 1 }, 503, 503},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice(t, quiet(c.turn))
			id := o.submit(JobSpec{})
			headers := map[string]bool{}
			for range 30 {
				a := o.call(c.status, "GET", jobPath(id), nil)
				headers[kindOfRetryAfter(t, a.header)] = true
			}
			o.call(c.abort, "POST", jobPath(id)+"/abort", map[string]string{"reason": "x"})
			applied := o.job(id).Effects.AbortApplied
			if (applied == 1) != (c.abort == 204) {
				t.Errorf("applied %d times", applied)
			}
			if c.status != 200 && (!headers["seconds"] || !headers["date"] || !headers[""]) {
				t.Errorf("Retry-After takes only the forms %v", headers)
			}
			if c.status != 200 && o.sim.Calls(OpJobGet+" faulted") != 30 {
				t.Errorf("counts %v", o.sim.AllCalls())
			}
		})
	}
}

func kindOfRetryAfter(t *testing.T, h http.Header) string {
	switch v := h.Get("Retry-After"); {
	case v == "":
		return ""
	case strings.Trim(v, "0123456789") == "":
		return "seconds"
	default:
		at, err := http.ParseTime(v)
		if err != nil || time.Until(at) > 2*time.Second || time.Until(at) < -time.Second {
			t.Errorf("Retry-After %q", v)
		}
		return "date"
	}
}

func TestLostRepliesAreApplied(t *testing.T) {
	o := newOffice(t, quiet(func(k *Knobs) { k.LoseReply = 1 }))
	seen := map[string]bool{}
	for range 20 {
		id := o.submit(JobSpec{})
		a, err := o.try("POST", jobPath(id)+"/abort", map[string]string{"reason": "x"})
		switch {
		case err != nil:
			seen["error"] = true
		case a.status == 504:
			seen["504"] = true
		default:
			t.Fatalf("answered %d", a.status)
		}
		if j := o.job(id); j.State != "aborted" || j.Effects.AbortApplied != 1 {
			t.Fatalf("not applied: %+v", j)
		}
		o.call(200, "GET", jobPath(id), nil) // reads are never lost
	}
	if !seen["error"] || !seen["504"] {
		t.Errorf("only seen %v", seen)
	}
}

func TestUnknownWords(t *testing.T) {
	o := newOffice(t, quiet(func(k *Knobs) { k.UnknownWords = 1 }))
	id := o.submit(JobSpec{})
	words := map[string]bool{}
	for range 20 {
		a := o.call(200, "GET", jobPath(id), nil)
		words[a.body["status"].(map[string]any)["state"].(string)] = true
	}
	if words["paused"] || !words["unknownFutureValue"] || len(words) != 2 {
		t.Errorf("words %v", words)
	}
}

// fates is what a fixed sequence of calls meets.
func fates(t *testing.T, seed uint64) []string {
	k := Hostile()
	k.Seed, k.Throttle, k.LoseReply = seed, 0.3, 0.3
	o := newOffice(t, k)
	var out []string
	for range 40 {
		id := o.submit(JobSpec{})
		for _, path := range []string{"", "/abort"} {
			method := "GET"
			if path != "" {
				method = "POST"
			}
			a, err := o.try(method, jobPath(id)+path, nil)
			out = append(out, fmt.Sprint(id.Job, a.status, a.header.Get("Retry-After") == "", err != nil, o.job(id).Task))
		}
	}
	return out
}

func TestSameSeedSameFaults(t *testing.T) {
	one, again, other := fates(t, 7), fates(t, 7), fates(t, 8)
	if !slices.Equal(one, again) {
		t.Error("the same seed gave another run")
	}
	if slices.Equal(one, other) {
		t.Error("another seed gave the same run")
	}
	a, b := New(Knobs{}), New(Knobs{})
	defer a.Close()
	defer b.Close()
	if a.Seed() == 0 || a.Seed() == b.Seed() {
		t.Errorf("chosen seeds %d, %d", a.Seed(), b.Seed())
	}
}

// The fate of one object's calls does not depend on what happens to others in between.
func TestFaultsArePerObject(t *testing.T) {
	run := func(between int) []int {
		o := newOffice(t, quiet(func(k *Knobs) { k.Throttle = 0.5 }))
		id, other := o.submit(JobSpec{}), o.submit(JobSpec{})
		var out []int
		for range 30 {
			a, err := o.try("GET", jobPath(id), nil)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, a.status)
			for range between {
				if _, err := o.try("GET", jobPath(other), nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		return out
	}
	if a, b := run(0), run(3); !slices.Equal(a, b) {
		t.Errorf("%v\n%v", a, b)
	}
}

func TestHostileRates(t *testing.T) {
	k := Hostile()
	k.Seed = 3
	o := newOffice(t, k)
	n := map[int]int{}
	const calls = 4_000
	for i := range calls {
		if i%100 == 0 {
			o.submit(JobSpec{})
		}
		a, err := o.try("GET", jobPath(JobID{o.queue.ID, fmt.Sprint(i/100 + 1)}), nil)
		if err != nil {
			t.Fatal(err)
		}
		n[a.status]++
	}
	if n[429] < calls*3/100 || n[429] > calls*7/100 || n[503] < calls*1/100 || n[503] > calls*3/100 {
		t.Errorf("of %d: %v", calls, n)
	}
}

func TestIntercept(t *testing.T) {
	var o *office
	var seen []string
	fault := Fault{}
	o = newOffice(t, quiet(func(k *Knobs) {
		k.Throttle = 1 // a fault of Intercept replaces the random ones
		k.Intercept = func(op string, r Request) Fault {
			seen = append(seen, op+" "+r.Printer+"/"+r.Job+" "+r.App)
			return fault
		}
	}))
	id := o.submit(JobSpec{})
	abort := func() (answer, error) { return o.try("POST", jobPath(id)+"/abort", map[string]string{"reason": "x"}) }

	fault = Fault{Refuse: 503, RetryAfter: "7"}
	if a, err := abort(); err != nil || a.status != 503 || a.header.Get("Retry-After") != "7" || o.job(id).State != "paused" {
		t.Errorf("refuse: %v %v", a.status, err)
	}
	if want := OpJobAbort + " " + id.String() + " " + o.app.ClientID; len(seen) != 1 || seen[0] != want {
		t.Errorf("saw %q, want %q", seen, want)
	}
	fault = Fault{Drop: true}
	if _, err := abort(); err == nil || o.job(id).State != "paused" {
		t.Errorf("drop: %v", err)
	}
	var order []string
	fault = Fault{
		Before: func() { order = append(order, "before "+o.job(id).State) },
		After:  func(status int) { order = append(order, fmt.Sprint("after ", status, " ", o.job(id).State)) },
		Lose:   true,
	}
	if _, err := abort(); err == nil || o.job(id).State != "aborted" ||
		!slices.Equal(order, []string{"before paused", "after 204 aborted"}) {
		t.Errorf("lose: %v %v", err, order)
	}
	fault = Fault{LoseAs: 504}
	if a, err := abort(); err != nil || a.status != 504 {
		t.Errorf("lose as: %v %v", a.status, err)
	}
	fault = Fault{}
	if a, err := abort(); err != nil || a.status != 429 {
		t.Errorf("zero fault: %v %v", a.status, err)
	}
}

func TestInterceptHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold, holdReply := make(chan struct{}), make(chan struct{})
		o := newOffice(t, quiet(func(k *Knobs) {
			k.Intercept = func(op string, _ Request) Fault {
				if op == OpJobAbort {
					return Fault{Hold: hold, HoldReply: holdReply}
				}
				return Fault{}
			}
		}))
		id := o.submit(JobSpec{})
		done := make(chan error)
		go func() {
			_, err := o.try("POST", jobPath(id)+"/abort", nil)
			done <- err
		}()
		synctest.Wait()
		if s := o.job(id).State; s != "paused" {
			t.Errorf("held, but %s", s)
		}
		close(hold)
		synctest.Wait()
		if s := o.job(id).State; s != "aborted" {
			t.Errorf("let go, but %s", s)
		}
		select {
		case <-done:
			t.Error("answered too early")
		default:
		}
		close(holdReply)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestLatencyAndContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, quiet(func(k *Knobs) { k.Latency = 40 * time.Millisecond }))
		id := o.submit(JobSpec{})
		start := time.Now()
		o.call(200, "GET", jobPath(id), nil)
		if d := time.Since(start); d != 40*time.Millisecond {
			t.Errorf("took %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "POST", base+jobPath(id)+"/abort", http.NoBody)
		req.Header.Set("Authorization", "Bearer "+o.bearer)
		if _, err := o.sim.Transport().RoundTrip(req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if s := o.job(id).State; s != "paused" {
			t.Errorf("a call given up in time was applied: %s", s)
		}
	})
}

func TestOutage(t *testing.T) {
	o := newOffice(t, Calm())
	o.sim.Outage(true)
	o.call(503, "GET", "/print/printers", nil)
	o.sim.Outage(false)
	o.call(200, "GET", "/print/printers", nil)
	o.sim.Unreachable(true)
	var op *net.OpError
	if _, err := o.try("GET", "/print/printers", nil); !errors.Is(err, syscall.ECONNREFUSED) || !errors.As(err, &op) || op.Op != "dial" {
		t.Errorf("error %v", err)
	}
	o.sim.Unreachable(false)
	o.call(200, "GET", "/print/printers", nil)
}

func TestOverSockets(t *testing.T) {
	o := newOffice(t, quiet(func(k *Knobs) {
		k.Intercept = func(op string, _ Request) Fault { return Fault{Lose: op == OpJobAbort} }
	}))
	srv := httptest.NewServer(o.sim)
	defer srv.Close()
	o.http = srv.Client()
	id := o.submit(JobSpec{})
	o.call(200, "GET", srv.URL+"/v1.0"+jobPath(id), nil)
	if _, err := o.try("POST", srv.URL+"/v1.0"+jobPath(id)+"/abort", nil); err == nil {
		t.Error("the lost answer arrived")
	}
	if s := o.job(id).State; s != "aborted" {
		t.Errorf("job is %s", s)
	}
}
