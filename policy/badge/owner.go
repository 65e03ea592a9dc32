package badge

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

var guid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// canonicalOwner is an object id as Entra writes it, in lower case. What is no object
// id stays as it is.
func canonicalOwner(s string) string {
	if id := strings.ToLower(s); guid.MatchString(id) {
		return id
	}
	return s
}

// OwnerByName finds the object id of a user name; ok is false when nobody has it.
type OwnerByName func(ctx context.Context, name string) (id string, ok bool, err error)

// FindOwners lets a CSV file name owners by user name. It is called before the registry is
// used.
func (reg *Registry) FindOwners(by OwnerByName) { reg.owners = by }

// maxNames is how many user names one import may hold: each is a call to Entra, and
// whoever imports waits for them. Object ids cost none.
const maxNames = 5000

// byName reports whether the owner of a row is to be looked up.
func (reg *Registry) byName(owner string) bool {
	return reg.owners != nil && strings.Count(owner, "@") == 1
}

// resolveOwners puts object ids in the place of user names.
func (reg *Registry) resolveOwners(ctx context.Context, rows []row) (wrong ImportError, err error) {
	var names []row // one row for each name
	seen := map[string]bool{}
	for _, r := range rows {
		r.Owner = strings.ToLower(r.Owner)
		if seen[r.Owner] || !reg.byName(r.Owner) {
			continue
		}
		seen[r.Owner] = true
		if names = append(names, r); len(names) > maxNames {
			return ImportError{
				{r.line, "owner", fmt.Sprintf("more than %d user names; split the file, or write Entra object ids", maxNames)},
			}, nil
		}
	}
	ids, err := askAll(ctx, parallelLimit, names, func(ctx context.Context, r row) (map[string]string, error) {
		id, ok, err := reg.owners(ctx, r.Owner)
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: look up the owner: %w", r.line, err)
		case !ok:
			return nil, nil
		}
		return map[string]string{r.Owner: canonicalOwner(id)}, nil
	})
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if !reg.byName(rows[i].Owner) {
			continue
		}
		id, ok := ids[strings.ToLower(rows[i].Owner)]
		if !ok {
			if len(wrong) < rows[i].mistakes() {
				wrong = append(wrong, &RowError{rows[i].line, "owner", "Entra knows no user of that name"})
			}
			continue
		}
		switch name := rows[i].UserPrincipalName; {
		case name == "":
			rows[i].UserPrincipalName = rows[i].Owner
		case !strings.EqualFold(name, rows[i].Owner) && len(wrong) < rows[i].mistakes():
			wrong = append(wrong, &RowError{rows[i].line, "user_principal_name", anotherName})
		}
		rows[i].Owner = id
	}
	return wrong, nil
}
