package apiclient

import (
	"context"
	"net/http"
	"net/url"

	"pullprint/policy/pin"
)

// PINState is what may be told of a person's PIN.
type PINState struct {
	// User is the Entra object id.
	User string `json:"user"`
	pin.State
}

func pinPath(user string) string { return "/v1/pins/" + url.PathEscape(user) }

// PIN tells of a person's PIN, by object id or user name.
func (c *Client) PIN(ctx context.Context, user string) (out PINState, err error) {
	err = c.call(ctx, http.MethodGet, pinPath(user), nil, &out)
	return out, c.olderRoute(ctx, err, "GET /v1/pins/{user}")
}

// UnlockPIN forgets the wrong tries at a person's PIN; the note says in the audit why.
func (c *Client) UnlockPIN(ctx context.Context, user, note string) (out PINState, err error) {
	err = c.call(ctx, http.MethodPost, pinPath(user)+"/unlock", NoteBody{note}, &out)
	return out, c.olderRoute(ctx, err, "POST /v1/pins/{user}/unlock")
}

// ResetPIN removes a person's PIN; the note says in the audit why.
func (c *Client) ResetPIN(ctx context.Context, user, note string) (out PINState, err error) {
	err = c.call(ctx, http.MethodDelete, pinPath(user), NoteBody{note}, &out)
	return out, c.olderRoute(ctx, err, "DELETE /v1/pins/{user}")
}
