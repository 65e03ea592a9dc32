package graphtest

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"pullprint/trigger/wait"
)

// Request describes a call to [Knobs.Intercept]. Ids that the path does not have are empty.
type Request struct {
	Method, Path                         string // Path starts after /v1.0
	Printer, Job, Document, Trigger      string
	Definition, Task, Subscription, User string
	Operation, Share                     string
	App                                  string // of the token; empty if that is missing or invalid
	ClientRequestID                      string
	Body                                 []byte
}

// Fault is how a test makes one call fail. The zero Fault does nothing.
type Fault struct {
	// Refuse, if not 0, is the status of an answer before anything is applied, with RetryAfter as header if set.
	Refuse     int
	RetryAfter string
	// Drop closes the connection before anything is applied.
	Drop bool
	// Hold delays the call until it is closed, before applying.
	Hold <-chan struct{}
	// Before and After are called right before and right after applying. After gets the status.
	Before func()
	After  func(status int)
	// HoldReply delays the answer until it is closed, after applying.
	HoldReply <-chan struct{}
	// Lose applies the call and closes the connection without an answer. LoseAs, if not 0, is the status of an answer (504).
	Lose   bool
	LoseAs int
}

func (f *Fault) zero() bool {
	return f.Refuse == 0 && !f.Drop && f.Hold == nil && f.Before == nil && f.After == nil && f.HoldReply == nil &&
		!f.Lose && f.LoseAs == 0
}

// errLost means that there is no answer. Over sockets the connection is closed, in memory it is the error of RoundTrip.
var errLost = errors.New("connection reset before the answer arrived")

// errRefused is the error of a connection to a stopped server.
var errRefused error = syscall.ECONNREFUSED

// perform performs one operation with the faults before and after it.
func (s *Sim) perform(ctx context.Context, name string, write bool, c *call, do func() reply) (reply, error) {
	k := s.knobs.Load()
	s.log.count(name)
	if err := sleep(ctx, k.Latency); err != nil {
		return reply{}, err
	}
	switch s.outage.Load() {
	case outageUnavailable:
		return c.failWith(http.StatusServiceUnavailable), nil
	case outageUnreachable:
		return reply{}, errRefused
	}
	var f Fault
	if k.Intercept != nil {
		f = k.Intercept(name, c.Request)
	}
	if !f.zero() {
		return s.performFault(ctx, f, c, do)
	}
	about := c.target(name)
	if r, bad := s.strike(k, c, about); bad {
		s.log.count(name + " faulted")
		return r, nil
	}
	r := do()
	if write && r.status < 300 && s.dice.chance(k.LoseReply, "lose reply", about) {
		s.log.count(name + " lost")
		if s.dice.pick(2, "lose reply as", about) == 0 {
			return c.failWith(http.StatusGatewayTimeout), nil
		}
		return reply{}, errLost
	}
	return r, nil
}

func (s *Sim) performFault(ctx context.Context, f Fault, c *call, do func() reply) (reply, error) {
	if err := await(ctx, f.Hold); err != nil {
		return reply{}, err
	}
	if f.Drop {
		return reply{}, errLost
	}
	if f.Refuse != 0 {
		r := c.failWith(f.Refuse)
		if f.RetryAfter != "" {
			r.header = http.Header{"Retry-After": {f.RetryAfter}}
		}
		return r, nil
	}
	if f.Before != nil {
		f.Before()
	}
	r := do()
	if f.After != nil {
		f.After(r.status)
	}
	if err := await(ctx, f.HoldReply); err != nil {
		return reply{}, err
	}
	if f.LoseAs != 0 {
		return c.failWith(f.LoseAs), nil
	}
	if f.Lose {
		return reply{}, errLost
	}
	return r, nil
}

// strike decides whether a call is refused before it is applied.
func (s *Sim) strike(k *Knobs, c *call, about string) (reply, bool) {
	status := 0
	switch {
	case s.dice.chance(k.Throttle, "throttle", about):
		status = http.StatusTooManyRequests
	case s.dice.chance(k.Unavailable, "unavailable", about):
		status = http.StatusServiceUnavailable
	default:
		return reply{}, false
	}
	r := c.failWith(status)
	switch seconds := int((k.RetryAfter + time.Second - 1) / time.Second); s.dice.pick(3, "retry after", about) {
	case 0:
		text := strconv.Itoa(seconds)
		if s.dice.chance(k.RetryFraction, "retry after fraction", about) {
			text = strconv.FormatFloat(k.RetryAfter.Seconds(), 'f', 3, 64)
		}
		r.header = http.Header{"Retry-After": {text}}
	case 1:
		at := time.Now().Add(k.ClockAhead + k.RetryAfter + time.Second - 1).Truncate(time.Second)
		r.header = http.Header{"Retry-After": {at.UTC().Format(http.TimeFormat)}}
	}
	return r, true
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	return wait.Sleep(ctx, d)
}

func await(ctx context.Context, c <-chan struct{}) error {
	if c == nil {
		return nil
	}
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
