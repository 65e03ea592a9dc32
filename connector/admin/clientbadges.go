package admin

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

// Badges lists the badges of an owner, or all, newest first.
func (c *Client) Badges(ctx context.Context, owner string) ([]badge.Badge, error) {
	all := map[string]badge.Badge{} // one that changes while the pages are read comes again
	for cursor := ""; ; {
		page, err := c.BadgePage(ctx, owner, cursor, maxPage)
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
	err = c.call(ctx, http.MethodPut, "/v1/badges", enrolBody{number, e.Owner, e.UserPrincipalName, e.Expires, e.Replace},
		&out)
	return out, err
}

// Revoke revokes badges and returns them; the note says in the audit why.
func (c *Client) Revoke(ctx context.Context, w badge.Which, note string) ([]badge.Badge, error) {
	var out BadgeList
	err := c.call(ctx, http.MethodDelete, "/v1/badges", revokeBody{w.Number, w.ID, w.Owner, w.KeyID, note}, &out)
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

// Code makes a one-time code for enrolling a badge.
func (c *Client) Code(ctx context.Context, owner, upn string, validFor time.Duration) (out CodeIssued, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/badges/codes", codeBody{owner, upn, validFor.String()}, &out)
	return out, err
}
