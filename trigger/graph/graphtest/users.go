package graphtest

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// findUser accepts an object id or a user principal name, as Graph does.
func (s *Sim) findUser(name string) *User {
	if u := s.users[name]; u != nil {
		return u
	}
	return s.upns[strings.ToLower(name)]
}

// selected returns the properties that $select names; all without it.
func (c *call) selected(all map[string]any) map[string]any {
	names := c.query.Get("$select")
	if names == "" {
		return all
	}
	out := make(map[string]any)
	for name := range strings.SplitSeq(names, ",") {
		if v, ok := all[strings.TrimSpace(name)]; ok {
			out[strings.TrimSpace(name)] = v
		}
	}
	return out
}

func (s *Sim) listGroups(c *call) reply {
	if r, bad := c.refuseOptions("$select", "$top", "$count", "$filter", "$orderby", "$search"); bad {
		return r
	}
	s.mu.Lock()
	u := s.findUser(c.User)
	if u == nil {
		s.mu.Unlock()
		return c.noUser()
	}
	groups := u.Groups
	s.mu.Unlock()
	all := make([]map[string]any, len(groups))
	for i, g := range groups {
		all[i] = c.selected(map[string]any{
			"id": g.ID, "displayName": g.DisplayName, "securityEnabled": true, "mailEnabled": false, "groupTypes": []string{},
			"description": nil,
		})
	}
	return page(s, c, "groups", all)
}

// checkMemberGroups answers with those of at most 20 groups of which a user is a member
// (https://learn.microsoft.com/graph/api/directoryobject-checkmembergroups).
func (s *Sim) checkMemberGroups(c *call) reply {
	var in struct {
		GroupIDs []string `json:"groupIds"`
	}
	if !c.decode(&in) || len(in.GroupIDs) == 0 || len(in.GroupIDs) > 20 {
		return c.badRequest("groupIds must hold 1 to 20 ids.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.findUser(c.User)
	if u == nil {
		return c.noUser()
	}
	in.GroupIDs = slices.DeleteFunc(in.GroupIDs, func(id string) bool {
		return !slices.ContainsFunc(u.Groups, func(g Group) bool { return strings.EqualFold(g.ID, id) })
	})
	return reply{status: 200, body: map[string]any{"value": in.GroupIDs}}
}

func (c *call) noUser() reply {
	return c.fail(404, "Request_ResourceNotFound",
		"Resource '"+c.User+"' does not exist or one of its queried reference-property objects are not present.")
}

func (c *call) userJSON(u *User) map[string]any {
	all := map[string]any{
		"id": u.ID, "displayName": u.DisplayName, "userPrincipalName": u.UPN, "mail": u.UPN,
		"givenName": optional(u.GivenName), "surname": nil, "jobTitle": nil, "mobilePhone": nil, "businessPhones": []string{},
		"preferredLanguage": optional(u.Language),
	}
	if c.query.Get("$select") != "" {
		all["employeeId"] = optional(u.EmployeeID) // not among the default properties
	}
	return c.selected(all)
}

func (s *Sim) getUser(c *call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.findUser(c.User)
	if u == nil {
		return c.noUser()
	}
	return reply{status: 200, body: c.userJSON(u)}
}

// userList is a filter by several values; Graph accepts 15.
var (
	userList   = regexp.MustCompile(`^(employeeId|id) in \(('(?:[^']|'')*'(?:, ?'(?:[^']|'')*')*)\)$`)
	userValues = regexp.MustCompile(`'((?:[^']|'')*)'`)
)

// listed finds the users of a filter by several values; ok is false when it is none.
func (s *Sim) listed(c *call) (found []map[string]any, ok bool) {
	m := userList.FindStringSubmatch(c.query.Get("$filter"))
	if m == nil {
		return nil, false
	}
	values := userValues.FindAllStringSubmatch(m[2], -1)
	if len(values) > 15 {
		return nil, false
	}
	seen := map[*User]bool{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range values {
		value := strings.ReplaceAll(v[1], "''", "'")
		users := s.employees[value]
		if m[1] == "id" {
			users = nil
			if u := s.users[value]; u != nil {
				users = []*User{u}
			}
		}
		for _, u := range users {
			if !seen[u] {
				seen[u] = true
				found = append(found, c.userJSON(u))
			}
		}
	}
	return found, true
}

// userSearch is a filter by how properties begin.
var (
	userSearch = regexp.MustCompile(`^startswith\(\w+,'(?:[^']|'')*'\)(?: or startswith\(\w+,'(?:[^']|'')*'\))*$`)
	userBegins = regexp.MustCompile(`startswith\((displayName|givenName|surname|userPrincipalName|mail),'((?:[^']|'')*)'\)`)
)

// searched finds the users of a filter by how properties begin; ok is false when it is none.
func (s *Sim) searched(c *call) (found []map[string]any, ok bool) {
	filter := c.query.Get("$filter")
	if !userSearch.MatchString(filter) {
		return nil, false
	}
	tests := userBegins.FindAllStringSubmatch(filter, -1)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range slices.SortedFunc(maps.Values(s.users), func(a, b *User) int { return cmp.Compare(a.UPN, b.UPN) }) {
		has := map[string]string{
			"displayName": u.DisplayName, "givenName": u.GivenName, "userPrincipalName": u.UPN, "mail": u.UPN,
		}
		if slices.ContainsFunc(tests, func(t []string) bool {
			value, text := strings.ToLower(has[t[1]]), strings.ToLower(strings.ReplaceAll(t[2], "''", "'"))
			return value != "" && strings.HasPrefix(value, text)
		}) {
			found = append(found, c.userJSON(u))
		}
	}
	return found, true
}

var userFilter = regexp.MustCompile(`^(employeeId|userPrincipalName) eq '((?:[^']|'')*)'$`)

func (s *Sim) listUsers(c *call) reply {
	if r, bad := c.refuseOptions("$filter", "$select", "$top"); bad {
		return r
	}
	var all []map[string]any
	if found, ok := s.listed(c); ok {
		return page(s, c, "users", found)
	}
	if found, ok := s.searched(c); ok {
		return page(s, c, "users", found)
	}
	if f := c.query.Get("$filter"); f != "" {
		m := userFilter.FindStringSubmatch(f)
		if m == nil {
			return c.fail(400, "Request_UnsupportedQuery",
				"Unsupported or invalid query filter clause specified for resource 'User'.")
		}
		value := strings.ReplaceAll(m[2], "''", "'")
		s.mu.Lock()
		found := s.employees[value]
		if m[1] == "userPrincipalName" {
			found = nil
			if u := s.upns[strings.ToLower(value)]; u != nil {
				found = []*User{u}
			}
		}
		for _, u := range found {
			all = append(all, c.userJSON(u))
		}
		s.mu.Unlock()
		return page(s, c, "users", all)
	}
	for _, u := range s.Users() {
		all = append(all, c.userJSON(&u))
	}
	return page(s, c, "users", all)
}
