package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/transport"
	"pullprint/trigger/wait"
)

const (
	maxUnread = 64 << 10 // bytes read of an error, or of an answer that is not used, to reuse the connection
	maxPooled = 1 << 20  // bytes of a buffer that goes back to the pool
)

// call is one call to Graph, with all its tries.
type call struct {
	op       operation
	url      *url.URL
	body     []byte  // JSON, nil for none
	eventual bool    // ConsistencyLevel: eventual
	out      any     // what the answer is decoded into, nil if it isn't needed
	list     bool    // whether the answer is a page of a list
	location *string // for the address that the answer redirects to, nil if the answer itself is wanted
	later    *string // for the address of a long-running operation, nil if it is none
	id       *string // in out: the id of what the answer is about, nil if it has none
	asked    string  // what the id has to be; empty when it is new
	err      error   // why it can't be made
	began    time.Time
}

// at returns the URL of a path below the base. The caller has checked the ids in path.
func (c *Client) at(path, query string) *url.URL {
	u := c.base
	u.Path += path
	u.RawQuery = query
	return &u
}

// on returns the call of an operation on the objects with these ids, which its path names one
// after the other; what it does not name is checked all the same. An id that can't be put into
// a path is the error of the call.
func (c *Client) on(op operation, ids ...string) *call {
	cl := &call{op: op}
	path, query, _ := strings.Cut(table[op].path, "?")
	for _, id := range ids {
		if !ValidID(id) {
			cl.err = cl.failed(refused, errInvalidID)
			return cl
		}
		path = strings.Replace(path, "{}", id, 1)
	}
	cl.url = c.at(path, query)
	return cl
}

// with sets the body.
func (cl *call) with(body any) *call {
	var err error
	if cl.body, err = json.Marshal(body); err != nil && cl.err == nil {
		cl.err = cl.failed(refused, errInvalid)
	}
	return cl
}

// query replaces the query.
func (cl *call) query(q string) *call {
	if cl.err == nil {
		cl.url.RawQuery = q
	}
	return cl
}

// into sets what the answer is decoded into.
func (cl *call) into(out any) *call {
	cl.out = out
	return cl
}

// about names the id in the answer of what it is about: it has to be the one that was asked
// for, or if that is empty, any id.
func (cl *call) about(id *string, asked string) *call {
	cl.id, cl.asked = id, asked
	return cl
}

// checked returns an error if the answer is about something else.
func (cl *call) checked() error {
	switch {
	case cl.id == nil:
	case cl.asked == "" && !ValidID(*cl.id):
		return cl.failed(garbled, errInvalidID)
	case cl.asked != "" && !sameID(*cl.id, cl.asked):
		return cl.failed(garbled, errOther)
	}
	return nil
}

// do calls Graph until it succeeds, fails permanently, or has used up the budget.
func (c *Client) do(ctx context.Context, cl *call) error {
	if cl.err != nil {
		return cl.err
	}
	cl.began = time.Now()
	renewed := false
	for n := 0; ; n++ {
		if e := c.pauses.wait(ctx, c, cl); e != nil {
			return e
		}
		used, e := c.try(ctx, cl, n == 0)
		if e == nil {
			return cl.checked()
		}
		c.pauses.asked(e, cl.op)
		if e.Status == http.StatusUnauthorized {
			if renewed {
				c.tokens.Distrust()
				return e
			}
			switch next, err := c.tokens.Renew(ctx, used); {
			case err != nil:
				e = cl.failed(unsent, err)
			case next == nil:
				return e
			default:
				renewed = true
				continue
			}
		}
		pause := transport.Backoff(n, e.RetryAfter)
		if !cl.again(ctx, e) || time.Since(cl.began)+pause > budget || !transport.Fits(ctx, pause) {
			return e
		}
		c.log.Debug("retrying call", zap.String("operation", e.Operation), zap.Int("attempt", n+1),
			zap.Duration("after", pause), zap.Error(e))
		asleep := time.Now()
		awake := wait.Sleep(ctx, pause) == nil
		if throttling(e) {
			c.metrics.throttled.Add(time.Since(asleep).Seconds())
		}
		if !awake {
			return e
		}
	}
}

// throttling reports whether the server is the reason for a wait.
func throttling(e *Error) bool {
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout, 509:
		return true
	}
	return e.RetryAfter > 0
}

// again reports whether the call may be repeated after e.
func (cl *call) again(ctx context.Context, e *Error) bool {
	if ctx.Err() != nil {
		return false
	}
	switch {
	case e.fate == unsent:
		var ae *auth.Error
		return !errors.As(e.Err, &ae) || !ae.Permanent()
	case e.Status == http.StatusTooManyRequests:
		return true
	case e.fate == lost,
		e.Status >= 500 && e.Status != http.StatusNotImplemented && e.Status != http.StatusHTTPVersionNotSupported:
		return cl.op.repeatable()
	}
	return false
}

// failed makes the error of a try that got no answer, or none that is usable.
func (cl *call) failed(f fate, err error) *Error {
	e := &Error{Operation: cl.op.name(), Err: err, fate: f, write: cl.op.write()}
	var ae *auth.Error
	if errors.As(err, &ae) {
		e.RetryAfter = ae.RetryAfter
	}
	return e
}

// try sends the call once, when the number of concurrent requests allows, and returns the token
// that it used. The budget begins with the first try: waiting for our own limit does not count.
func (c *Client) try(ctx context.Context, cl *call, first bool) (*auth.Token, *Error) {
	if err := ctx.Err(); err != nil {
		return nil, cl.failed(unsent, transport.Error{Cause: err})
	}
	token, err := c.tokens.Token(ctx)
	if err != nil {
		return nil, cl.failed(unsent, err)
	}
	select {
	case c.slots <- struct{}{}:
	default:
		select {
		case c.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, cl.failed(unsent, transport.Error{Cause: ctx.Err()})
		}
	}
	defer func() { <-c.slots }()
	if first {
		cl.began = time.Now()
	}
	ctx, cancel := context.WithTimeout(ctx, min(transport.TryTimeout, max(budget-time.Since(cl.began), leastTry)))
	defer cancel()
	return token, c.send(ctx, cl, token)
}

// send does one HTTP exchange.
func (c *Client) send(ctx context.Context, cl *call, token *auth.Token) *Error {
	began := time.Now()
	if end, ok := ctx.Deadline(); ok && !began.Before(end) {
		// After a suspended process resumes, this runs before its timers fire. Another
		// replica may have done meanwhile what this call is about to do.
		return cl.failed(unsent, transport.Error{Cause: context.DeadlineExceeded})
	}
	id := transport.NewGUID()
	req, sent := c.request(ctx, cl, token, id)
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		c.metrics.observe(cl.op, label(0, err), began)
		e := cl.failed(lost, transport.Error{Cause: err})
		if !errors.Is(err, context.Canceled) {
			c.silence.began("it can't be reached", began)
		}
		if transport.DialFailed(err) || (sent != nil && !sent.Load()) {
			e.fate = unsent
		}
		e.ClientRequestID = id
		return e
	}
	defer resp.Body.Close()
	c.clock.observe(resp.Header, time.Now())
	e := cl.read(resp)
	c.metrics.observe(cl.op, label(resp.StatusCode, nil), began)
	c.answered(cl.op, resp.StatusCode, began)
	if resp.StatusCode == http.StatusServiceUnavailable {
		c.transport.Renew(began)
	}
	if e != nil {
		e.ClientRequestID = id
		if e.RequestID == "" {
			e.RequestID = safeID(resp.Header.Get("Request-Id"))
		}
	}
	return e
}

// answered records what the status of an answer says about Graph: see LastSuccess and Answers.
func (c *Client) answered(op operation, status int, began time.Time) {
	switch {
	case status > http.StatusInternalServerError:
		c.silence.began("it answers with status "+strconv.Itoa(status), began)
	case status == http.StatusInternalServerError:
		c.silence.refused(op, began)
	case status == http.StatusUnauthorized, status == http.StatusTooManyRequests, status >= 300 && status < 400:
	default:
		now := time.Now()
		c.last.Store(now.UnixNano())
		c.silence.ended()
		c.metrics.answered.Set(float64(now.UnixMilli()) / 1000)
	}
}

var (
	acceptJSON  = []string{"application/json"}
	contentJSON = []string{"application/json; charset=utf-8"}
	eventually  = []string{"eventual"}
)

// request makes the HTTP request of one try. sent becomes true as soon as the transport reads
// its body; it is nil without a body.
func (c *Client) request(
	ctx context.Context, cl *call, token *auth.Token, id string,
) (req *http.Request, sent *atomic.Bool) {
	h := http.Header{
		"Authorization":     token.Header(),
		"Accept":            acceptJSON,
		"User-Agent":        c.agent,
		"Client-Request-Id": []string{id}, // https://learn.microsoft.com/graph/best-practices-concept
	}
	if cl.eventual {
		h["Consistencylevel"] = eventually
	}
	r := http.Request{
		Method: cl.op.method(), URL: cl.url, Host: cl.url.Host, Header: h,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if cl.body != nil {
		h["Content-Type"] = contentJSON
		first := &payload{body: cl.body}
		first.Reset(cl.body)
		sent, first.begun = &first.own, &first.own
		r.ContentLength = int64(len(cl.body))
		r.Body = first
		r.GetBody = first.again
	}
	return r.WithContext(ctx), sent
}

// payload is a request body that records whether it was read: until then, the request can't
// have been processed, whatever failed.
type payload struct {
	bytes.Reader
	body  []byte
	begun *atomic.Bool
	own   atomic.Bool // begun of the first
}

// again makes the same body for another connection.
func (p *payload) again() (io.ReadCloser, error) {
	next := &payload{body: p.body, begun: p.begun}
	next.Reset(p.body)
	return next, nil
}

func (p *payload) Read(b []byte) (int, error) {
	p.begun.Store(true)
	return p.Reader.Read(b)
}

// WriteTo is Read for transports that prefer it.
func (p *payload) WriteTo(w io.Writer) (int64, error) {
	p.begun.Store(true)
	return p.Reader.WriteTo(w)
}

func (p *payload) Close() error { return nil }
