package admin

import (
	"context"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/directory"
	"pullprint/connector/privacy"
	"pullprint/connector/recovery"
	"pullprint/trigger/graph"
)

// owner is the object id of the person that a member or parameter names; empty when
// it is.
func (a *API) owner(ctx context.Context, field, user string) (string, error) {
	if user == "" {
		return "", nil
	}
	return directory.OwnerID(ctx, a.Users, field, user)
}

// newOwner is owner where something is stored for the person; see directory.NewOwnerID.
func (a *API) newOwner(ctx context.Context, field, user string) (id, warning string, err error) {
	if user == "" {
		return "", "", nil
	}
	id, warning, err = directory.NewOwnerID(ctx, a.Users, field, user)
	if warning != "" {
		a.log.Warn("object id not looked up", zap.String("field", field))
	}
	return id, warning, err
}

// newOwnerID is newOwner for answers that have no member for a warning; the log has it.
func (a *API) newOwnerID(ctx context.Context, field, user string) (string, error) {
	id, _, err := a.newOwner(ctx, field, user)
	return id, err
}

// newOwnerName is the user name to be stored with what is the owner's; see
// directory.OwnerName.
func (a *API) newOwnerName(ctx context.Context, owner, name string) (checked, warning string, err error) {
	checked, warning, err = directory.OwnerName(ctx, a.Users, owner, name)
	if warning != "" {
		a.log.Warn("user name of an owner not looked up, and left out")
	}
	return checked, warning, err
}

// The bounds of looking names up: who waits for a list gets it with ids where Entra is late. They are
// those of a page of the console, in connector/console/view.
const (
	namesWithin = time.Second
	namesAtOnce = 16
)

// userNames answers with the user names of people. Nothing of them is stored; see directory.Users.
func (a *API) userNames(r *request) (any, error) {
	q, err := Query(r.URL.Query(), "ids")
	if err != nil {
		return nil, err
	}
	ids := strings.SplitN(q.Get("ids"), ",", apiclient.MaxNames+1)
	for i, text := range ids {
		id, ok := graph.CanonicalGUID(text)
		if !ok || i == apiclient.MaxNames {
			return nil, badRequest("ids must be 1 to %d Entra object IDs (GUIDs), with commas between them", apiclient.MaxNames)
		}
		ids[i] = id
	}
	out := apiclient.UserNames{Names: map[string]string{}}
	if a.Users == nil {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), namesWithin)
	defer cancel()
	var mu sync.Mutex // guards out
	return out, recovery.Each(len(ids), namesAtOnce, func(i int) {
		user, ok, err := a.Users.User(ctx, ids[i])
		if err != nil || !ok || !graph.ValidUserName(user.UserPrincipalName) {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		out.Names[ids[i]] = user.UserPrincipalName
	})
}

// findPerson answers with the object id of the person that a name stands for.
func (a *API) findPerson(r *request) (any, error) {
	id, err := a.People.Resolve(r.Context(), r.PathValue("user"))
	return apiclient.PersonFound{User: id}, err
}

// exportPerson answers with everything that is known about a person.
func (a *API) exportPerson(r *request) (any, error) {
	if err := r.nothing(); err != nil {
		return nil, err
	}
	id, err := a.People.Known(r.Context(), r.PathValue("user"))
	if err != nil {
		return nil, err
	}
	if err := r.audit(r.Context(), apiclient.Action{Owner: id}); err != nil {
		return nil, err
	}
	return a.People.Export(r.Context(), id)
}

// erasePerson erases a person's data. The audit says that it was done, and not to whom.
func (a *API) erasePerson(r *request) (any, error) {
	var how privacy.Erasure
	if err := r.decode(&how); err != nil {
		return nil, err
	}
	if err := r.audit(r.Context(), apiclient.Action{}); err != nil {
		return nil, err
	}
	how.Actor = r.caller.Name
	done, err := a.People.Erase(r.Context(), r.PathValue("user"), how)
	// Also when something was erased before a part failed.
	if done.Owner != "" && a.Forget != nil && (err == nil || !done.None()) {
		a.Forget(done.Owner)
	}
	return done, err
}
