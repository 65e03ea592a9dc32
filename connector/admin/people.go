package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/directory"
	"pullprint/connector/privacy"
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

// PersonFound is the answer to GET /v1/people/{user}.
type PersonFound struct {
	// User is the Entra object id.
	User string `json:"user"`
}

// findPerson answers with the object id of the person that a name stands for.
func (a *API) findPerson(r *request) (any, error) {
	id, err := a.People.Resolve(r.Context(), r.PathValue("user"))
	return PersonFound{id}, err
}

// peopleWithin is how long an export or an erasure may take: all that is stored is read, and
// thousands of held jobs may have to be aborted at Graph, one after the other.
const peopleWithin = 30 * time.Minute

// exportPerson answers with everything that is known about a person.
func (a *API) exportPerson(r *request) (any, error) {
	if err := r.nothing(); err != nil {
		return nil, err
	}
	id, err := a.People.Known(r.Context(), r.PathValue("user"))
	if err != nil {
		return nil, err
	}
	if err := r.audit(r.Context(), Action{Owner: id}); err != nil {
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
	if err := r.audit(r.Context(), Action{}); err != nil {
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

func personPath(user string) string { return "/v1/people/" + url.PathEscape(user) }

// FindPerson is the object id of the person that an object id or a user name stands for.
func (c *Client) FindPerson(ctx context.Context, user string) (id string, err error) {
	var out PersonFound
	err = c.call(ctx, http.MethodGet, personPath(user), nil, &out)
	var p *Problem
	if errors.As(err, &p) && strings.HasSuffix(p.Type, noSuchRoute) {
		return "", c.older(ctx, "GET /v1/people/{user}")
	}
	return out.User, err
}

// ExportPerson collects everything that is known about a person, by object id or
// user principal name.
func (c *Client) ExportPerson(ctx context.Context, user string) (out privacy.Person, err error) {
	err = c.withTimeout(peopleWithin).call(ctx, http.MethodPost, personPath(user)+"/export", nil, &out)
	return out, err
}

// ErasePerson erases a person.
func (c *Client) ErasePerson(
	ctx context.Context, user string, how privacy.Erasure,
) (out privacy.Erased, err error) {
	err = c.withTimeout(peopleWithin).call(ctx, http.MethodPost, personPath(user)+"/erase", how, &out)
	return out, err
}
