package apiclient

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"pullprint/connector/arrival"
	"pullprint/connector/decision"
	"pullprint/trigger/graph"
)

// Action is a record of PULLPRINT_AUDIT: an action that somebody asked for, stored before it
// is carried out. Its result is in the decisions and the records.
type Action struct {
	ID     string    `json:"id"`
	At     time.Time `json:"at"`
	Action string    `json:"action"`
	Actor  string    `json:"actor"`
	By     string    `json:"by"` // the instance that was asked
	graph.Ref
	Device string `json:"device,omitempty"`
	// Owner is whose jobs or badges it is about, To a delegate.
	Owner string `json:"owner,omitempty"`
	To    string `json:"to,omitempty"`
	// Badge is the id of a badge, never its number.
	Badge string `json:"badge,omitempty"`
	// Count is how many badges an import holds, Replace that it takes them away from
	// whoever has them, AsIs that odd numbers are taken, SkipInvalid that rows that are wrong
	// are left out.
	Count   int  `json:"count,omitempty"`
	Replace bool `json:"replace,omitempty"`
	AsIs    bool `json:"as_is,omitempty"`

	SkipInvalid bool `json:"skip_invalid,omitempty"`
	// Account is the key of an account that is changed, Note why.
	Account string `json:"account,omitempty"`
	Note    string `json:"note,omitempty"`
	// For is what a code is for: visit or pin; empty of one for enrolling a badge.
	For string `json:"for,omitempty"`
}

// DecisionList is the answer to GET /v1/decisions: oldest first.
type DecisionList struct {
	Decisions []decision.Decision `json:"decisions"`
	// Next, when set, is the since of the next page: a time, and behind a slash how many
	// that were stored in that moment came before.
	Next string `json:"next,omitempty"`
}

// DeadList is the answer to GET /v1/dead: oldest first.
type DeadList struct {
	Dead []arrival.DeadLetter `json:"dead"`
	Next string               `json:"next,omitempty"`
}

// ActionList is the answer to GET /v1/audit: oldest first.
type ActionList struct {
	Actions []Action `json:"actions"`
	Next    string   `json:"next,omitempty"`
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

// ActionPage is a page of what was asked for since a time, or since the next of an earlier page, oldest
// first.
func (c *Client) ActionPage(ctx context.Context, since string, limit int) (page ActionList, err error) {
	q := url.Values{"since": {since}, "limit": {strconv.Itoa(limit)}}
	err = c.call(ctx, http.MethodGet, "/v1/audit?"+q.Encode(), nil, &page)
	return page, err
}
