package badge

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Directory is what a Registry asks about people. Each function takes at most 15
// values, and bounds its own time; nil asks nothing.
type Directory struct {
	// Known are the user names of people by their object ids, of those ids that people have.
	Known func(ctx context.Context, ids []string) (map[string]string, error)
	// Holders are the object ids of all people to whom the directory gives canonical
	// numbers as their badges, by the number.
	Holders func(ctx context.Context, numbers []string) (map[string][]string, error)
}

// How many values one question has, and how many questions of an import are on their way
// at once: a file of maxRows is 6,667 questions of each kind at most.
const (
	askAtOnce    = 15
	maxQuestions = 8
)

// Consult lets the registry ask who is known and whose a number is already. It is called
// before the registry is used.
func (reg *Registry) Consult(d Directory) { reg.directory = d }

// anotherName says of a row that its two columns name two people.
const anotherName = "the owner has another user name in Entra; correct it, or leave it empty"

// ErrAssigned is an ErrTaken: the directory says that the badge is somebody else's. No
// enrolment takes it away: it would open that person's card to the new owner, or theirs
// to that person.
var ErrAssigned error = assignedError{}

type assignedError struct{}

// Error implements error.
func (assignedError) Error() string {
	return "the badge belongs to somebody else, whose employeeId in Entra is this number; if that is wrong, " +
		"change it there first"
}

// Unwrap makes it an ErrTaken.
func (assignedError) Unwrap() error { return ErrTaken }

// checkAssigned reports with ErrAssigned that the directory gives a number to others than the owner.
func (reg *Registry) checkAssigned(ctx context.Context, canonical, owner string) error {
	if reg.directory.Holders == nil {
		return nil
	}
	holders, err := reg.directory.Holders(ctx, []string{canonical})
	if err != nil {
		return fmt.Errorf("look the number up in the directory: %w", err)
	}
	return assignedBy(holders[canonical], owner)
}

func assignedBy(holders []string, owner string) error {
	for _, h := range holders {
		if canonicalOwner(h) == owner {
			return nil
		}
	}
	if len(holders) > 0 {
		return ErrAssigned
	}
	return nil
}

// assignedRows are the rows whose numbers the directory gives to others.
func (reg *Registry) assignedRows(ctx context.Context, rows []row) (wrong ImportError, err error) {
	if reg.directory.Holders == nil {
		return nil, nil
	}
	holders, err := askAll(ctx, maxQuestions, slices.Collect(slices.Chunk(rows, askAtOnce)),
		func(ctx context.Context, part []row) (map[string][]string, error) {
			numbers := make([]string, 0, len(part))
			for _, r := range part {
				if r.canonical != "" {
					numbers = append(numbers, r.canonical)
				}
			}
			found, err := reg.directory.Holders(ctx, numbers)
			if err != nil {
				err = fmt.Errorf("line %d: look the number up in the directory: %w", part[0].line, err)
			}
			return found, err
		})
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if assignedBy(holders[r.canonical], r.Owner) != nil {
			wrong = append(wrong, &RowError{r.line, "badge", ErrAssigned.Error()})
		}
	}
	return wrong, nil
}

// askAll asks about each item, n at once, until a question fails, and returns all that was
// answered.
func askAll[T, V any](
	ctx context.Context, n int, items []T, ask func(context.Context, T) (map[string]V, error),
) (map[string]V, error) {
	var mu sync.Mutex // guards all
	all := map[string]V{}
	_, err := parallel(ctx, n, items, func(ctx context.Context, item T) error {
		found, err := ask(ctx, item)
		mu.Lock()
		defer mu.Unlock()
		maps.Copy(all, found)
		return err
	})
	return all, err
}

// unknownRows are the rows whose owners, written as object ids, the directory does not
// know, or knows by another user name than the one in the row. When it can't be asked, the
// warning says so, and the user names are left out: a name that is somebody else's would
// stand for the wrong person.
func (reg *Registry) unknownRows(ctx context.Context, rows []row) (wrong ImportError, warning *RowError, err error) {
	if reg.directory.Known == nil {
		return nil, nil, nil
	}
	ids := map[string]bool{}
	for _, r := range rows {
		if guid.MatchString(r.Owner) {
			ids[r.Owner] = true
		}
	}
	parts := slices.Collect(slices.Chunk(slices.Sorted(maps.Keys(ids)), askAtOnce))
	found, err := askAll(ctx, maxQuestions, parts, reg.directory.Known)
	switch {
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case err != nil:
		for i := range rows {
			if guid.MatchString(rows[i].Owner) {
				rows[i].UserPrincipalName = ""
			}
		}
		return nil, &RowError{
			1, "owner",
			"Entra could not be asked whether its users have these object ids; a badge of an id " +
				"that no user has opens nothing, and user_principal_name was left out",
		}, nil
	}
	known := map[string]string{}
	for id, name := range found {
		known[canonicalOwner(id)] = name
	}
	for _, r := range rows {
		if !guid.MatchString(r.Owner) || len(wrong) >= r.mistakes() {
			continue
		}
		name, ok := known[r.Owner]
		switch {
		case !ok:
			wrong = append(wrong, &RowError{r.line, "owner", "no user in Entra has this object id: it is mistyped, or that of " +
				"a printer, a group or a deleted account"})
		case r.UserPrincipalName != "" && name != "" && !strings.EqualFold(name, r.UserPrincipalName):
			wrong = append(wrong, &RowError{r.line, "user_principal_name", anotherName})
		}
	}
	return wrong, nil, nil
}
