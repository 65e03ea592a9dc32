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
	// budget bounds one call with all its tries and waits: it is the time that a tap may take,
	// since its user waits at the device.
	budget = 20 * time.Second
	// leastTry is what a try gets even at the end of the budget.
	leastTry = time.Second
)

// pauses are the waits that Graph asked for by Retry-After, per operation: all callers of the
// operation obey them, not only the one that was refused.
type pauses struct {
	mu  sync.Mutex // guards ops
	ops [operations]struct {
		until  time.Time
		status int
	}
}

// asked records the wait that a refusal asks for. A refusal because of the object of the call,
// as 404 or 409, does not concern other calls.
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

// left returns how much longer calls of an operation have to wait, and the status that asked
// for it.
func (p *pauses) left(op operation) (time.Duration, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.ops[op].until), p.ops[op].status
}

// wait waits until calls of this operation are allowed again, if that fits into the time of the
// call; else the error says how long it would take.
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
