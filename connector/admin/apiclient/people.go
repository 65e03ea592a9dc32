package apiclient

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"pullprint/connector/privacy"
)

// PersonFound is the answer to GET /v1/people/{user}.
type PersonFound struct {
	// User is the Entra object id.
	User string `json:"user"`
}

// MaxNames is how many user names one request tells, as many as the console looks up for a page.
const MaxNames = 48

// UserNames are user names by object ids, as Entra tells them now; who is not known is missing.
type UserNames struct {
	Names map[string]string `json:"names"`
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

// UserNames are the user names of people by object ids, of which there may be MaxNames.
func (c *Client) UserNames(ctx context.Context, ids []string) (map[string]string, error) {
	var out UserNames
	err := c.call(ctx, http.MethodGet, "/v1/people?"+parameters(map[string]string{"ids": strings.Join(ids, ",")}).Encode(), nil, &out)
	return out.Names, c.olderRoute(ctx, err, "GET /v1/people")
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

// EndSessions ends all sessions of a person, by object id or user name; the note says in the
// audit why.
func (c *Client) EndSessions(ctx context.Context, user, note string) (out SessionsEnded, err error) {
	path := personPath(user) + "/end-sessions"
	err = c.withTimeout(PeopleTimeout).call(ctx, http.MethodPost, path, NoteBody{note}, &out)
	return out, c.olderRoute(ctx, err, "POST /v1/people/{user}/end-sessions")
}
