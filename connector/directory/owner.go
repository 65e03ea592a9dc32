// Package directory finds people in Entra by object id or user name.
package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"pullprint/connector/job"
	"pullprint/trigger/graph"
)

// ErrDirectory says that a user name could not be looked up in Entra.
var ErrDirectory = errors.New("Entra can't be asked for the user name") //nolint:staticcheck // a name

// Finder finds a user by object id or user principal name; *graph.Client is
// one. ok is false when there is none, or none any more.
type Finder interface {
	User(ctx context.Context, user string) (found graph.User, ok bool, err error)
}

// LookupWithin is how long an answer of Entra about a person is waited for while somebody waits
// at a reader or for an answer of the API.
const LookupWithin = 5 * time.Second

// OwnerID is the object id, in lower case, of the person that somebody named in a
// field, as "owner": by object id, or by a user name that Entra knows. The error is
// an ErrInvalid, or an ErrDirectory when d is nil or does not answer.
func OwnerID(ctx context.Context, d Finder, field, user string) (string, error) {
	if id, ok := graph.CanonicalGUID(user); ok {
		return id, nil
	}
	if !graph.ValidUserName(user) {
		return "", fmt.Errorf("%w: %s must be an Entra object ID (a GUID) or a user name like anna@contoso.com", job.ErrInvalid,
			field)
	}
	if d == nil {
		return "", fmt.Errorf("%w: nothing here can ask it; write the Entra object ID as %s", ErrDirectory, field)
	}
	found, ok, err := d.User(ctx, user)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: %w; try again, or write the Entra object ID as %s", ErrDirectory, err, field)
	case !ok:
		return "", fmt.Errorf("%w: %s is a user name that Entra does not know; look for a typing error, or write the "+
			"Entra object ID", job.ErrInvalid, field)
	}
	return found.ID, nil
}

// NewOwnerID is OwnerID where something is stored for the person: Entra has to know an
// object id, too, which may be that of a printer. When it can't be asked, the warning says
// so: what is stored for an id of nobody is of use to nobody.
func NewOwnerID(ctx context.Context, d Finder, field, user string) (id, warning string, err error) {
	id, err = OwnerID(ctx, d, field, user)
	if _, given := graph.CanonicalGUID(user); err != nil || !given || d == nil {
		return id, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, LookupWithin)
	defer cancel()
	switch _, ok, err := d.User(ctx, id); {
	case err != nil:
		return id, "Entra could not be asked whether a user has the object ID in " + field + "; look at it once more", nil
	case !ok:
		return "", "", fmt.Errorf("%w: no user in Entra has the object ID in %s: it is mistyped, or that of a printer, a "+
			"group or a deleted account", job.ErrInvalid, field)
	}
	return id, "", nil
}

// OwnerName is the user name to be stored with what is the owner's, an object id or a user
// name that OwnerID has found: it has to be the one that Entra tells of them, or whoever
// looks for the other person by name would find this one. When Entra can't be asked, no
// name is stored, and the warning says so.
func OwnerName(ctx context.Context, d Finder, owner, name string) (checked, warning string, err error) {
	switch {
	case graph.ValidUserName(owner) && (name == "" || strings.EqualFold(name, owner)):
		return owner, "", nil
	case name == "", d == nil:
		return name, "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, LookupWithin)
	defer cancel()
	switch found, ok, err := d.User(ctx, owner); {
	case err != nil:
		return "", "Entra could not be asked whether the owner has that user name; it was left out", nil
	case ok && !strings.EqualFold(cmp.Or(found.UserPrincipalName, name), name):
		return "", "", fmt.Errorf("%w: user_principal_name is not the user name that the owner has in Entra; correct it or "+
			"the owner, or leave it out", job.ErrInvalid)
	}
	return name, "", nil
}
