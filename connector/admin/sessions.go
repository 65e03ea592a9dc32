package admin

import (
	"context"
	"errors"
	"net/http"

	"pullprint/connector/directory"
	"pullprint/trigger/graph"
)

// endSessionsBody is the body of POST /v1/people/{user}/end-sessions.
type endSessionsBody struct {
	// Note says in the audit why.
	Note string `json:"note"`
}

// SessionsEnded is the answer to POST /v1/people/{user}/end-sessions.
type SessionsEnded struct {
	// User is the Entra object id.
	User string `json:"user"`
}

// endSessions ends all sessions of a person who signed in with Entra, if they have one: to do it
// again changes nothing.
func (a *API) endSessions(r *request) (any, error) {
	var in endSessionsBody
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	if err := checkLine("note", in.Note); err != nil {
		return nil, err
	}
	user := r.PathValue("user")
	id, err := a.People.Known(r.Context(), user)
	if given, ok := graph.CanonicalGUID(user); ok && errors.Is(err, directory.ErrDirectory) {
		id, err = given, nil // while Entra does not answer, a stolen phone can't wait for it
	}
	if err != nil {
		return nil, err
	}
	if err := r.audit(r.Context(), Action{Owner: id, Note: in.Note}); err != nil {
		return nil, err
	}
	if a.Sessions == nil {
		return SessionsEnded{id}, nil
	}
	return SessionsEnded{id}, a.Sessions.EndPerson(r.Context(), id)
}

// EndSessions ends all sessions of a person, by object id or user name; the note says in the
// audit why.
func (c *Client) EndSessions(ctx context.Context, user, note string) (out SessionsEnded, err error) {
	path := personPath(user) + "/end-sessions"
	err = c.withTimeout(peopleWithin).call(ctx, http.MethodPost, path, endSessionsBody{note}, &out)
	return out, c.olderRoute(ctx, err, "POST /v1/people/{user}/end-sessions")
}
