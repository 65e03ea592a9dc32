package admin

import (
	"context"
	"net/http"
	"time"

	"pullprint/connector/admin/apiclient"
)

// noPINs is the answer about PINs when no badges are configured, with whose key PINs are kept.
var noPINs error = failure(http.StatusNotFound, "no-badges", "PINs are not configured",
	"Set badges.key_file in the configuration, and pin in devices[].factors.")

// showPIN says whether a person has a PIN, since when, and whether it is locked.
func (a *API) showPIN(r *request) (any, error) {
	if a.PINs == nil {
		return nil, noPINs
	}
	id, err := a.People.Resolve(r.Context(), r.PathValue("user"))
	if err != nil {
		return nil, err
	}
	return a.pinState(r.Context(), id)
}

func (a *API) pinState(ctx context.Context, id string) (any, error) {
	s, err := a.PINs.StateOf(ctx, id, time.Now())
	return apiclient.PINState{User: id, State: s}, err
}

// unlockPIN forgets the wrong tries at a person's PIN.
func (a *API) unlockPIN(r *request) (any, error) { return a.changePIN(r, a.PINs.Unlock) }

// resetPIN removes a person's PIN, and ends the visits that were begun with it.
func (a *API) resetPIN(r *request) (any, error) { return a.changePIN(r, a.PINs.Reset) }

// changePIN answers with the state of a person's PIN after a change, which is audited before it.
func (a *API) changePIN(r *request, change func(ctx context.Context, id string) (bool, error)) (any, error) {
	if a.PINs == nil {
		return nil, noPINs
	}
	note, err := r.note()
	if err != nil {
		return nil, err
	}
	id, err := a.People.Known(r.Context(), r.PathValue("user"))
	if err != nil {
		return nil, err
	}
	if err := r.audit(r.Context(), apiclient.Action{Owner: id, Note: note}); err != nil {
		return nil, err
	}
	if _, err := change(r.Context(), id); err != nil {
		return nil, err
	}
	return a.pinState(r.Context(), id)
}
