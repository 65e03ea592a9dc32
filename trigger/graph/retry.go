package graph

import (
	"context"
	"net/http"
	"sync"
	"time"

	"pullprint/trigger/graph/transport"
	"pullprint/trigger/wait"
)

const (
	budget   = 20 * time.Second // of a call, all tries and waits together
	leastTry = time.Second      // of a try at the end of the budget
)

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
		long := wait.Jitter(left)
		if time.Since(cl.began)+long > budget || !transport.Fits(ctx, long) {
			return e
		}
		asleep := time.Now()
		awake := wait.Sleep(ctx, long) == nil
		c.metrics.throttled.Add(time.Since(asleep).Seconds())
		if !awake {
			return e
		}
	}
}
