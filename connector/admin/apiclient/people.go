package apiclient

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"pullprint/connector/privacy"
)

// PersonFound is the answer to GET /v1/people/{user}.
type PersonFound struct {
	// User is the Entra object id.
	User string `json:"user"`
}

// SessionsEnded is the answer to POST /v1/people/{user}/end-sessions.
type SessionsEnded struct {
	// User is the Entra object id.
	User string `json:"user"`
}

// PeopleTimeout is how long an export or an erasure may take: all that is stored is read, and
// thousands of held jobs may have to be aborted at Graph, one after the other.
const PeopleTimeout = 30 * time.Minute

func personPath(user string) string { return "/v1/people/" + url.PathEscape(user) }

// FindPerson is the object id of the person that an object id or a user name stands for.
func (c *Client) FindPerson(ctx context.Context, user string) (id string, err error) {
	var out PersonFound
	err = c.call(ctx, http.MethodGet, personPath(user), nil, &out)
	return out.User, c.olderRoute(ctx, err, "GET /v1/people/{user}")
}

// ExportPerson collects everything that is known about a person, by object id or
// user principal name.
func (c *Client) ExportPerson(ctx context.Context, user string) (out privacy.Person, err error) {
	err = c.withTimeout(PeopleTimeout).call(ctx, http.MethodPost, personPath(user)+"/export", nil, &out)
	return out, err
}

// ErasePerson erases a person.
func (c *Client) ErasePerson(
	ctx context.Context, user string, how privacy.Erasure,
) (out privacy.Erased, err error) {
	err = c.withTimeout(PeopleTimeout).call(ctx, http.MethodPost, personPath(user)+"/erase", how, &out)
	return out, err
}

// EndSessionsBody is the body of POST /v1/people/{user}/end-sessions.
type EndSessionsBody struct {
	// Note says in the audit why.
	Note string `json:"note"`
}

// EndSessions ends all sessions of a person, by object id or user name; the note says in the
// audit why.
func (c *Client) EndSessions(ctx context.Context, user, note string) (out SessionsEnded, err error) {
	path := personPath(user) + "/end-sessions"
	err = c.withTimeout(PeopleTimeout).call(ctx, http.MethodPost, path, EndSessionsBody{note}, &out)
	return out, c.olderRoute(ctx, err, "POST /v1/people/{user}/end-sessions")
}
