// Package apiclient is the client of the HTTP API below /v1/, with the types of its bodies and
// answers, which the API has in common with it. A daemon of an earlier version is asked for what
// it knows, and what it can't do is an error that says so.
package apiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"pullprint/policy/badge"
)

// Client is a client of the API. It retries nothing.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// NoteBody is the body of a change that takes nothing but a note.
type NoteBody struct {
	// Note says in the audit why.
	Note string `json:"note,omitempty"`
}

// New talks to the API at base, as http://127.0.0.1:8080, with a token.
func New(base, token string) *Client {
	return &Client{strings.TrimRight(base, "/"), token, &http.Client{
		Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// timeout is how long a client waits for an answer: longer than the server takes at
// most, which is 40 s.
const timeout = 45 * time.Second

// MaxPage is how many entries a page of a list has at most.
const MaxPage = 500

// maxAnswer bounds an answer: a whole list of badges has some megabytes, an export of a
// person less.
const maxAnswer = 64 << 20

// Over is a client whose requests go through rt, which says who asks.
func Over(rt http.RoundTripper) *Client {
	return &Client{"http://api.invalid", "", &http.Client{Timeout: timeout, Transport: rt}}
}

// withTimeout is a client that waits so long for an answer; 0 is as long as the context lets it.
func (c *Client) withTimeout(within time.Duration) *Client {
	longer := *c.http
	longer.Timeout = within
	return &Client{c.base, c.token, &longer}
}

// newRequest is a request with the client's token.
func (c *Client) newRequest(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("the address of the API can't be used: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	return req, nil
}

// send is call without regard to the daemon's version.
func (c *Client) send(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	kind := ""
	switch in := in.(type) {
	case nil:
	case io.Reader:
		body, kind = &ownInput{from: in}, "text/csv"
	default:
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		body, kind = bytes.NewReader(text), "application/json"
	}
	req, err := c.newRequest(ctx, method, path, body)
	if err != nil {
		return err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	res, err := c.http.Do(req)
	if err != nil {
		if own, ok := body.(*ownInput); ok && own.failure() != nil {
			return own.failure()
		}
		if ctx.Err() != nil {
			return context.Cause(ctx) // whoever asked has ended it
		}
		return c.unreachable(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("read the daemon's answer: %w", err)
	}
	if len(answer) > maxAnswer {
		return fmt.Errorf("the daemon's answer is larger than %d MiB: ask for less, by --since or --limit", maxAnswer>>20)
	}
	if res.StatusCode != http.StatusOK {
		return refusal(res, answer)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("the answer of %s is not that of pullprint's API: is the address right?", c.base)
	}
	return nil
}

// ownInput is a body that is read from elsewhere, such as a file. It remembers why reading
// failed, so that this is not taken for a daemon that does not answer.
type ownInput struct {
	from io.Reader
	mu   sync.Mutex // guards err: the transport reads in a goroutine of its own
	err  error
}

func (o *ownInput) Read(p []byte) (int, error) {
	n, err := o.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.err = err
	}
	return n, err
}

func (o *ownInput) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// unreachable is why there was no answer.
func (c *Client) unreachable(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return fmt.Errorf("the daemon does not answer at %s: %w; is it running, and is admin.listen that address?", c.base,
			op.Err)
	}
	return fmt.Errorf("the daemon does not answer at %s: %w", c.base, err)
}

// refusal is the problem in an answer of the API as an error.
func refusal(res *http.Response, answer []byte) error {
	var p Problem
	if json.Unmarshal(answer, &p) != nil || p.Title == "" {
		return fmt.Errorf("the daemon answered %s, and nothing that pullprint's API says: is the address right?", res.Status)
	}
	if len(p.Errors) > 0 {
		return fmt.Errorf("%s:\n%w", p.Title, badge.ImportError(p.Errors))
	}
	return &p
}

// parameters are those that are not empty.
func parameters(of map[string]string) url.Values {
	q := url.Values{}
	for name, value := range of {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}
