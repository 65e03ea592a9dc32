package admin

import (
	"context"
	"slices"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/delegation"
	"pullprint/connector/privacy"
)

// What people who are signed in do for themselves, on a page of their own. The actions have the names of
// the routes that do the same for others, and the person as actor.
const (
	actionDelegate   = "delegate"
	actionUndelegate = "undelegate"
	actionExport     = "export-person"
)

// Lend lets another person release the jobs of owner, who asks for it, until a time. The errors are those of
// delegation.Store.Put.
func (a *API) Lend(ctx context.Context, owner, to string, until time.Time) error {
	if err := a.StoreAction(ctx, apiclient.Action{Action: actionDelegate, Actor: owner, Owner: owner, To: to}); err != nil {
		return err
	}
	return a.Delegations.Put(ctx, delegation.Delegation{Owner: owner, To: to, Expires: until, Since: time.Now(), By: owner})
}

// EndLending ends what Lend began, as owner asks; none is no error, and stands in no audit: its oldest
// records make room for new ones, and anybody who signs in may ask for this.
func (a *API) EndLending(ctx context.Context, owner, to string) error {
	by, _, err := a.Delegations.With(ctx, owner, time.Now())
	if err != nil || !slices.ContainsFunc(by, func(d delegation.Delegation) bool { return d.To == to }) {
		return err
	}
	if err := a.StoreAction(ctx, apiclient.Action{Action: actionUndelegate, Actor: owner, Owner: owner, To: to}); err != nil {
		return err
	}
	_, err = a.Delegations.Remove(ctx, owner, to)
	return err
}

// ExportOwn collects what is known about a person, who asks for it. It ends with privacy.ErrTooLarge when
// that is more than most bytes.
func (a *API) ExportOwn(ctx context.Context, person string, most int) (privacy.Person, error) {
	if err := a.StoreAction(ctx, apiclient.Action{Action: actionExport, Actor: person, Owner: person}); err != nil {
		return privacy.Person{}, err
	}
	return a.People.ExportUpTo(ctx, person, most)
}
