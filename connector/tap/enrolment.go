package tap

import (
	"context"
	"errors"
	"fmt"

	"pullprint/connector/directory"
	"pullprint/policy/badge"
	"pullprint/trigger/graph"
)

// ErrNumberDirectory says that Entra could not be asked whose a badge is by employeeId.
// Without its answer nothing is enrolled: the number may be somebody else's.
var ErrNumberDirectory = errors.New("Entra can't be asked whether the badge is somebody's employeeId") //nolint:staticcheck // a name

// PeopleDirectory finds users, also by employee id; *graph.Client is one.
type PeopleDirectory interface {
	KnownUsers(ctx context.Context, ids []string) (known []graph.User, err error)
	EmployeesWith(ctx context.Context, employeeIDs []string) (found map[string][]string, err error)
}

// EnrolmentDirectory is the directory for enrolments; byNumber is true where employee ids are
// badge numbers. A lookup takes directory.LookupWithin at most.
func EnrolmentDirectory(d PeopleDirectory, byNumber bool) badge.Directory {
	asked := badge.Directory{Known: func(ctx context.Context, ids []string) (map[string]string, error) {
		ctx, cancel := context.WithTimeout(ctx, directory.LookupWithin)
		defer cancel()
		found, err := d.KnownUsers(ctx, ids)
		names := map[string]string{}
		for _, u := range found {
			names[u.ID] = u.UserPrincipalName
		}
		return names, err
	}}
	if byNumber {
		asked.Holders = func(ctx context.Context, numbers []string) (map[string][]string, error) {
			ctx, cancel := context.WithTimeout(ctx, directory.LookupWithin)
			defer cancel()
			found, err := d.EmployeesWith(ctx, numbers)
			if err != nil {
				return nil, fmt.Errorf("%w: %w; nothing was enrolled, try again", ErrNumberDirectory, err)
			}
			return found, nil
		}
	}
	return asked
}
