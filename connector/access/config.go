package access

import (
	"slices"
	"strings"
	"time"

	"pullprint/trigger/graph"
)

// Config is the section sign_in of the configuration: people sign in with Entra.
type Config struct {
	// PublicURL is where browsers reach the pages, as https://print.example.com; empty when
	// nobody signs in with Entra.
	PublicURL string `yaml:"public_url"`
	// Roles say who may do what at the console and the API.
	Roles RoleNames `yaml:"roles"`
	// Session is how long a sign-in lasts.
	Session time.Duration `yaml:"session"`
}

// RoleNames are the app roles, or the object ids of groups, whose members have a role.
type RoleNames struct {
	Admin   []string `yaml:"admin"`
	Operate []string `yaml:"operate"`
	Read    []string `yaml:"read"`
}

// The length of a sign-in: a working day, at most a week. A shorter one than checkedFor would end
// before it is confirmed at Entra.
const (
	DefaultSession = 8 * time.Hour
	MinSession     = checkedFor
	MaxSession     = 7 * 24 * time.Hour
)

// CallbackPath is where Entra sends a browser back to, below the public URL.
const CallbackPath = "/auth/callback"

// Configured reports whether people sign in with Entra.
func (c Config) Configured() bool { return c.PublicURL != "" }

// RedirectURI is the address that the app registration has to have.
func (c Config) RedirectURI() string { return strings.TrimRight(c.PublicURL, "/") + CallbackPath }

// secure reports whether browsers reach the pages by https only.
func (c Config) secure() bool { return strings.HasPrefix(strings.ToLower(c.PublicURL), "https:") }

// Each calls fn with each role, the highest first, and who has it.
func (n RoleNames) Each(fn func(role Role, members []string)) {
	fn(RoleAdmin, n.Admin)
	fn(RoleOperate, n.Operate)
	fn(RoleRead, n.Read)
}

// Groups reports whether groups have roles.
func (n RoleNames) Groups() bool { return len(n.groups("")) > 0 }

// appRole is the highest role that app roles give; empty for none.
func (n RoleNames) appRole(has []string) (best Role) {
	return n.best(func(member string) bool {
		_, group := graph.CanonicalGUID(member)
		return !group && slices.Contains(has, member)
	})
}

// groupRole is the highest role that groups give; empty for none.
func (n RoleNames) groupRole(in []string) Role {
	return n.best(func(member string) bool {
		id, group := graph.CanonicalGUID(member)
		return group && slices.Contains(in, id)
	})
}

func (n RoleNames) best(has func(member string) bool) (best Role) {
	n.Each(func(role Role, members []string) {
		if best == "" && slices.ContainsFunc(members, has) {
			best = role
		}
	})
	return best
}

// groups are the object ids of the groups that give more than a role.
func (n RoleNames) groups(than Role) (ids []string) {
	n.Each(func(role Role, members []string) {
		for _, m := range members {
			if id, group := graph.CanonicalGUID(m); group && ranks[role] > ranks[than] && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	})
	return ids
}
