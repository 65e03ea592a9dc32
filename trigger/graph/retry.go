package graph

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	budget        = 20 * time.Second // of a call, all tries and waits together
	tryTimeout    = 10 * time.Second // of one try
	leastTry      = time.Second      // of a try at the end of the budget
	maxRetryAfter = 5 * time.Minute
	firstBackoff  = 100 * time.Millisecond
	lastBackoff   = 5 * time.Second
)

// retryAfter reads Retry-After, in seconds or as a date, at most 5 minutes
// (https://learn.microsoft.com/graph/throttling). Fractions of a second are rounded
// up. What is absent, past, negative or not understood is 0. now is the time at the
// server: a date is by its clock.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" || len(v) > 64 {
		return 0
	}
	if whole, fraction, ok := seconds(v); ok {
		n, err := strconv.ParseInt(whole, 10, 32)
		if err == nil && strings.Trim(fraction, "0") != "" {
			n++
		}
		if err != nil || n > int64(maxRetryAfter/time.Second) {
			return maxRetryAfter // so many digits that it overflows
		}
		return time.Duration(n) * time.Second
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

// seconds takes a number of seconds apart, as 7 or 2.128.
func seconds(v string) (whole, fraction string, ok bool) {
	whole, fraction, dot := strings.Cut(v, ".")
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return whole, fraction, digits(whole) && (!dot || digits(fraction))
}

// dateOf is the time at the server as an answer tells it, else this machine's.
func dateOf(h http.Header) time.Time {
	if at, err := http.ParseTime(h.Get("Date")); err == nil {
		return at
	}
	return time.Now()
}

// pauses are what Graph asked for by Retry-After, for each kind of call: all callers
// of that kind keep to it, not only the one that was refused.
type pauses struct {
	mu  sync.Mutex
	ops [operations]struct {
		until  time.Time
		status int
	}
}

// asked notes what a refusal asks for. What is refused for its own sake, as by 404 or
// 409, is nothing for the others to wait for.
func (p *pauses) asked(e *Error, op operation) {
	if e.RetryAfter <= 0 || (e.Status != http.StatusTooManyRequests && e.Status < http.StatusInternalServerError) {
		return
	}
	until := time.Now().Add(e.RetryAfter)
	p.mu.Lock()
	defer p.mu.Unlock()
	if o := &p.ops[op]; until.After(o.until) {
		o.until, o.status = until, e.Status
	}
}

// left is how long calls of a kind are to pause still, and why.
func (p *pauses) left(op operation) (time.Duration, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.ops[op].until), p.ops[op].status
}

// wait waits until calls of this kind may be made again, if the call has so much time;
// else the error says when.
func (p *pauses) wait(ctx context.Context, c *Client, cl *call) *Error {
	for {
		left, status := p.left(cl.op)
		if left <= 0 {
			return nil
		}
		e := &Error{Operation: cl.op.name(), Status: status, RetryAfter: left, fate: unsent, write: cl.op.write()}
		long := left + rand.N(left/10+1) // so that those who wait do not come all at once
		if time.Since(cl.began)+long > budget || !fits(ctx, long) {
			return e
		}
		asleep := time.Now()
		awake := Sleep(ctx, long)
		c.metrics.throttled.Add(time.Since(asleep).Seconds())
		if !awake {
			return e
		}
	}
}

// backoff is the pause after the n-th failed try, from 0: it doubles, with
// jitter, and is never shorter than what the server asked for.
func backoff(n int, asked time.Duration) time.Duration {
	d := min(firstBackoff<<min(n, 10), lastBackoff)
	d = d/2 + rand.N(d/2+1)
	if asked > 0 {
		return max(d, asked+rand.N(asked/10+1))
	}
	return d
}

// Sleep waits for d and reports whether it did; false means that ctx ended before.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
