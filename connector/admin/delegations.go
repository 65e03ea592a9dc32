package admin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/delegation"
)

func (a *API) listDelegations(r *request) (any, error) {
	q, err := Query(r.URL.Query(), "owner", "to")
	if err != nil {
		return nil, err
	}
	owner, err := a.owner(r.Context(), "owner", q.Get("owner"))
	if err != nil {
		return nil, err
	}
	to, err := a.owner(r.Context(), "to", q.Get("to"))
	if err != nil {
		return nil, err
	}
	list, err := a.Delegations.List(r.Context(), time.Now())
	list = slices.DeleteFunc(list, func(d delegation.Delegation) bool {
		return owner != "" && !strings.EqualFold(d.Owner, owner) || to != "" && !strings.EqualFold(d.To, to)
	})
	if list == nil {
		list = []delegation.Delegation{}
	}
	return apiclient.DelegationList{Delegations: list}, err
}

// resolvePeople makes object ids of the persons that a body names.
func resolvePeople(
	ctx context.Context, in *apiclient.DelegationBody, find func(ctx context.Context, field, user string) (string, error),
) (err error) {
	if in.Owner == "" || in.To == "" {
		return badRequest("owner and to are needed")
	}
	if in.Owner, err = find(ctx, "owner", in.Owner); err != nil {
		return err
	}
	in.To, err = find(ctx, "to", in.To)
	return err
}

func (a *API) putDelegation(r *request) (any, error) {
	var in apiclient.DelegationBody
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	if err := resolvePeople(r.Context(), &in, a.newOwnerID); err != nil {
		return nil, err
	}
	if err := r.audit(r.Context(), apiclient.Action{Owner: in.Owner, To: in.To}); err != nil {
		return nil, err
	}
	d := delegation.Delegation{Owner: in.Owner, To: in.To, Expires: in.Expires, Since: time.Now(), By: r.caller.Name}
	if err := a.Delegations.Put(r.Context(), d); err != nil {
		return nil, err
	}
	return d, nil
}

func (a *API) removeDelegation(r *request) (any, error) {
	var in apiclient.DelegationBody
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	if err := resolvePeople(r.Context(), &in, a.owner); err != nil {
		return nil, err
	}
	if err := r.audit(r.Context(), apiclient.Action{Owner: in.Owner, To: in.To}); err != nil {
		return nil, err
	}
	ok, err := a.Delegations.Remove(r.Context(), in.Owner, in.To)
	if err != nil {
		return nil, fmt.Errorf("remove delegation: %w", err)
	}
	if !ok {
		return nil, failure(http.StatusNotFound, "no-such-delegation", "There is no such delegation",
			"It may have ended. Those that hold are listed by `pullprint jobs delegate --list`, and by GET /v1/delegations.")
	}
	return apiclient.DelegationList{Delegations: []delegation.Delegation{}}, nil
}
