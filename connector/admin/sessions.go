package admin

import (
	"errors"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/directory"
	"pullprint/trigger/graph"
)

// endSessions ends all sessions of a person who signed in with Entra, if they have one: to do it
// again changes nothing.
func (a *API) endSessions(r *request) (any, error) {
	note, err := r.note()
	if err != nil {
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
	if err := r.audit(r.Context(), apiclient.Action{Owner: id, Note: note}); err != nil {
		return nil, err
	}
	if a.Sessions == nil {
		return apiclient.SessionsEnded{User: id}, nil
	}
	return apiclient.SessionsEnded{User: id}, a.Sessions.EndPerson(r.Context(), id)
}
