package apiclient

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"pullprint/policy/badge"
)

// BadgeList is the answer to GET /v1/badges: a page of them when limit or cursor is
// given, else all, up to maxWholeList.
type BadgeList struct {
	Badges []badge.Badge `json:"badges"`
	// Next, when set, is the cursor of the next page.
	Next string `json:"next,omitempty"`
}

// CodeIssued is the answer to POST /v1/badges/codes.
type CodeIssued struct {
	Code    string    `json:"code"`
	Expires time.Time `json:"expires"`
}

// Imported is the answer to POST /v1/badges/import.
type Imported struct {
	Enrolled int `json:"enrolled"`
	// Warnings are the rows that were enrolled although their numbers are odd.
	Warnings []*badge.RowError `json:"warnings,omitempty"`
	// Skipped is how many rows are wrong and were left out, Revoked how many are of badges
	// that were revoked and stay so; Left are these rows, the first thousand.
	Skipped int               `json:"skipped,omitempty"`
	Revoked int               `json:"revoked,omitempty"`
	Left    []*badge.RowError `json:"left,omitempty"`
	// DatesIn is set when a row tells the end of its badge as a date alone: the badge is
	// valid until that day ends in this time zone.
	DatesIn string `json:"dates_in,omitempty"`
}

// Badges lists the badges of an owner, or all, newest first.
func (c *Client) Badges(ctx context.Context, owner string) ([]badge.Badge, error) {
	all := map[string]badge.Badge{} // one that changes while the pages are read comes again
	for cursor := ""; ; {
		page, err := c.BadgePage(ctx, owner, cursor, MaxPage)
		if err != nil {
			return nil, err
		}
		for _, b := range page.Badges {
			all[b.ID] = b
		}
		if cursor = page.Next; cursor == "" {
			return slices.SortedFunc(maps.Values(all), func(x, y badge.Badge) int {
				return cmp.Or(y.Enrolled.Compare(x.Enrolled), cmp.Compare(x.ID, y.ID))
			}), nil
		}
	}
}

// BadgePage is a page of badges, in the order in which they last changed, behind the cursor of an
// earlier page.
func (c *Client) BadgePage(ctx context.Context, owner, cursor string, limit int) (page BadgeList, err error) {
	q := url.Values{"owner": {owner}, "limit": {strconv.Itoa(limit)}}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	err = c.call(ctx, http.MethodGet, "/v1/badges?"+q.Encode(), nil, &page)
	return page, err
}

// Enrol enrols a badge for its owner.
func (c *Client) Enrol(ctx context.Context, number string, e badge.Enrolment) (out badge.Badge, err error) {
	err = c.call(ctx, http.MethodPut, "/v1/badges", EnrolBody{number, e.Owner, e.UserPrincipalName, e.Expires, e.Replace},
		&out)
	return out, err
}

// Revoke revokes badges and returns them; the note says in the audit why.
func (c *Client) Revoke(ctx context.Context, w badge.Which, note string) ([]badge.Badge, error) {
	var out BadgeList
	err := c.call(ctx, http.MethodDelete, "/v1/badges", RevokeBody{w.Number, w.ID, w.Owner, w.KeyID, note}, &out)
	return out.Badges, err
}

// Import enrols the badges of a CSV file, all or, if a row is wrong, none.
// Numbers that a spreadsheet may have changed are taken with asIs.
func (c *Client) Import(ctx context.Context, r io.Reader, replace, asIs bool) (out Imported, err error) {
	err = c.call(ctx, http.MethodPost, fmt.Sprintf("/v1/badges/import?replace=%t&as_is=%t", replace, asIs), r, &out)
	return out, err
}

// ImportValid is Import that leaves out the rows that are wrong and enrols the others.
func (c *Client) ImportValid(ctx context.Context, r io.Reader, replace, asIs bool) (out Imported, err error) {
	path := fmt.Sprintf("/v1/badges/import?replace=%t&as_is=%t&skip_invalid=true", replace, asIs)
	err = c.call(ctx, http.MethodPost, path, r, &out)
	return out, err
}

// Code makes a one-time code for what the body says.
func (c *Client) Code(ctx context.Context, body CodeBody) (out CodeIssued, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/badges/codes", body, &out)
	return out, err
}

// EnrolBody is the body of PUT /v1/badges.
type EnrolBody struct {
	Badge             string    `json:"badge"`
	Owner             string    `json:"owner"`
	UserPrincipalName string    `json:"user_principal_name"`
	Expires           time.Time `json:"expires"`
	// Replace takes the badge away from whoever has it.
	Replace bool `json:"replace"`
}

// RevokeBody is the body of DELETE /v1/badges: one of its members but Note says which. Owner beside ID means
// the badge only if it is that person's.
type RevokeBody struct {
	Badge string `json:"badge"`
	ID    string `json:"id"`
	Owner string `json:"owner"`
	KeyID string `json:"key_id"`
	// Note says in the audit why.
	Note string `json:"note,omitempty"`
}

// CodeBody is the body of POST /v1/badges/codes.
type CodeBody struct {
	Owner             string `json:"owner"`
	UserPrincipalName string `json:"user_principal_name"`
	// ValidFor is a duration, as 24h or 7d.
	ValidFor string `json:"valid_for"`
	// For is badge, which is what is meant when it is empty: to enrol one; visit: to see and print one's jobs
	// once, without the badge; or pin: to set a PIN.
	For string `json:"for,omitempty"`
}
