package admin

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
	"strconv"
	"strings"
	"sync"
	"time"

	"pullprint/connector/arrival"
	"pullprint/connector/decision"
	"pullprint/connector/delegation"
	"pullprint/connector/evaluate"
	"pullprint/connector/release"
	"pullprint/connector/sweep"
	"pullprint/policy/badge"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// clientWithin is how long a client waits for an answer: longer than the server takes at
// most (answerWithin).
const clientWithin = 45 * time.Second

// maxAnswer bounds an answer: a whole list of badges has some megabytes, an export of a
// person less.
const maxAnswer = 64 << 20

// Client is a client of the API. It retries nothing.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// NewClient talks to the API at base, as http://127.0.0.1:8080, with a token.
func NewClient(base, token string) *Client {
	return &Client{strings.TrimRight(base, "/"), token, &http.Client{
		Timeout: clientWithin, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
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

// JobFilter says which jobs are listed; an empty field lets all through. Owner is an
// object id or a user name, Job an id, of whatever queue.
type JobFilter struct{ Owner, Queue, Job, State string }

// Jobs lists jobs, newest first, all pages up to most.
func (c *Client) Jobs(ctx context.Context, f JobFilter, most int) ([]JobEntry, error) {
	var all []JobEntry
	for cursor := ""; ; {
		page, err := c.JobPage(ctx, f, cursor, max(1, min(maxPage, most-len(all))))
		if err != nil {
			return nil, err
		}
		all = append(all, page.Jobs...)
		if cursor = page.Next; cursor == "" || len(all) >= most {
			return all, nil
		}
	}
}

// JobPage is a page of jobs, newest first, behind the cursor of an earlier page.
func (c *Client) JobPage(ctx context.Context, f JobFilter, cursor string, limit int) (page JobList, err error) {
	q := parameters(map[string]string{
		"owner": f.Owner, "queue": f.Queue, "job": f.Job, "state": f.State, "cursor": cursor, "limit": strconv.Itoa(limit),
	})
	err = c.call(ctx, http.MethodGet, "/v1/jobs?"+q.Encode(), nil, &page)
	return page, err
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

func jobPath(r graph.Ref) string {
	return "/v1/jobs/" + url.PathEscape(r.Printer) + "/" + url.PathEscape(r.Job)
}

// Job reads a job with its trace.
func (c *Client) Job(ctx context.Context, r graph.Ref) (out JobDetail, err error) {
	err = c.call(ctx, http.MethodGet, jobPath(r), nil, &out)
	return out, err
}

// Release releases a job at a device, printed as set says; nil leaves it as it
// was sent. The note says in the audit why.
func (c *Client) Release(
	ctx context.Context, r graph.Ref, device string, set *decision.Settings, note string,
) (out release.Outcome, err error) {
	err = c.call(ctx, http.MethodPost, jobPath(r)+"/release", releaseBody{device, set, note}, &out)
	return out, err
}

// Cancel aborts a held job; reason is told to its owner.
func (c *Client) Cancel(ctx context.Context, r graph.Ref, reason string) (out release.Refused, err error) {
	err = c.call(ctx, http.MethodPost, jobPath(r)+"/cancel", cancelBody{reason}, &out)
	return out, err
}

// Tap shows a badge at a device.
func (c *Client) Tap(ctx context.Context, device, number string) (out release.Outcome, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/taps", tapBody{device, number}, &out)
	return out, err
}

// errNoFurther is the error of a daemon of an earlier version, whose lists end after a page
// of records that were stored in one moment.
var errNoFurther = errors.New("the daemon can't list more than 500 that were stored in one moment; it is older than " +
	"this program: upgrade it")

// Decisions calls fn with each decision since a time, oldest first.
func (c *Client) Decisions(ctx context.Context, since time.Time, fn func(*decision.Decision)) error {
	seen := map[string]bool{}
	return eachPage(since.UTC().Format(time.RFC3339Nano), func(from string) (next string, err error) {
		var page DecisionList
		err = c.call(ctx, http.MethodGet, "/v1/decisions?limit=500&since="+url.QueryEscape(from), nil, &page)
		for i := range page.Decisions {
			if d := &page.Decisions[i]; !seen[d.ID] { // an older daemon lists those of one moment twice
				seen[d.ID] = true
				fn(d)
			}
		}
		return page.Next, err
	})
}

// eachPage has read called for each page of a list, from a since on; it returns that of the
// next page.
func eachPage(since string, read func(since string) (next string, err error)) error {
	for {
		next, err := read(since)
		switch {
		case err != nil || next == "":
			return err
		case next == since:
			return errNoFurther
		}
		since = next
	}
}

// Dead lists what was given up since a time, or a duration back, as 24h.
func (c *Client) Dead(ctx context.Context, since string) (list []arrival.DeadLetter, err error) {
	err = eachPage(since, func(from string) (next string, err error) {
		var page DeadList
		err = c.call(ctx, http.MethodGet, "/v1/dead?limit=500&since="+url.QueryEscape(from), nil, &page)
		list = append(list, page.Dead...)
		return page.Next, err
	})
	return list, err
}

func quotaPath(account string) string { return "/v1/quotas/" + url.PathEscape(account) }

// Quota returns what is on an account.
func (c *Client) Quota(ctx context.Context, account string) (out evaluate.AccountStatus, err error) {
	err = c.call(ctx, http.MethodGet, quotaPath(account), nil, &out)
	return out, err
}

// SetQuota gives an account a limit of its own for this period; nil takes it
// away.
func (c *Client) SetQuota(
	ctx context.Context, account string, limit *quota.Amount, why string,
) (out evaluate.AccountStatus, err error) {
	err = c.call(ctx, http.MethodPut, quotaPath(account), quotaBody{limit, why}, &out)
	return out, err
}

// AdjustQuota gives to an account, or takes from it.
func (c *Client) AdjustQuota(
	ctx context.Context, account string, delta quota.Amount, why string,
) (out evaluate.AccountStatus, err error) {
	err = c.call(ctx, http.MethodPost, quotaPath(account)+"/adjust", adjustBody{delta, why}, &out)
	return out, err
}

// QuotaHistory returns what happened on an account since a time.
func (c *Client) QuotaHistory(ctx context.Context, account string, since time.Time) (out EntryList, err error) {
	err = c.call(ctx, http.MethodGet,
		quotaPath(account)+"/history?since="+url.QueryEscape(since.UTC().Format(time.RFC3339Nano)), nil, &out)
	return out, err
}

// TellUsage gives the daemon a comparison with Graph's own report, for its
// metrics.
func (c *Client) TellUsage(ctx context.Context, u sweep.UsageDay) error {
	var out sweep.UsageDay
	return c.call(ctx, http.MethodPost, "/v1/usage", u, &out)
}

// Delegate lets a person release another's jobs until a time.
func (c *Client) Delegate(
	ctx context.Context, owner, to string, until time.Time,
) (out delegation.Delegation, err error) {
	err = c.call(ctx, http.MethodPut, "/v1/delegations", delegationBody{owner, to, until}, &out)
	return out, err
}

// Undelegate ends a delegation.
func (c *Client) Undelegate(ctx context.Context, owner, to string) error {
	var out DelegationList
	return c.call(ctx, http.MethodDelete, "/v1/delegations", delegationBody{Owner: owner, To: to}, &out)
}

// DelegationFilter says which delegations are listed; what is empty filters nothing.
type DelegationFilter struct{ Owner, To string }

// Delegations lists the delegations that have not expired.
func (c *Client) Delegations(ctx context.Context, f DelegationFilter) ([]delegation.Delegation, error) {
	var out DelegationList
	q := parameters(map[string]string{"owner": f.Owner, "to": f.To})
	err := c.call(ctx, http.MethodGet, "/v1/delegations?"+q.Encode(), nil, &out)
	return out.Delegations, err
}
