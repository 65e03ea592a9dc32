package graph

import (
	"context"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Groups lists the groups of which a user is a member, directly or through other groups
// (https://learn.microsoft.com/graph/api/user-list-transitivememberof). user is an Entra object
// id. The OData cast requires ConsistencyLevel eventual and $count, so a change of membership
// may take a while to appear.
func (c *Client) Groups(ctx context.Context, user string) ([]Group, error) {
	cl := c.on(listGroups, user)
	cl.eventual = true
	return collect(ctx, c, cl, itself[Group])
}

// groupsAtOnce is how many groups one call can ask for
// (https://learn.microsoft.com/graph/api/directoryobject-checkmembergroups).
const groupsAtOnce = 20

// MemberOf returns those of some groups, by object id, of which a user is a member, directly or
// through other groups (permissions User.ReadBasic.All and GroupMember.Read.All). It makes a
// call for 20 groups each.
func (c *Client) MemberOf(ctx context.Context, user string, groups []string) (found []string, err error) {
	for some := range slices.Chunk(groups, groupsAtOnce) {
		var out struct {
			Value []string `json:"value"`
		}
		ask := c.on(checkGroups, append([]string{user}, some...)...).with(map[string][]string{"groupIds": some}).into(&out)
		if err := c.do(ctx, ask); err != nil {
			return nil, err
		}
		for _, id := range out.Value {
			if slices.ContainsFunc(some, func(asked string) bool { return strings.EqualFold(asked, id) }) {
				found = append(found, Canonical(id))
			}
		}
	}
	return found, nil
}

// languageTag is the form of a language tag, as de-CH.
var languageTag = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

// Language returns the preferredLanguage of a user, as de-CH
// (https://learn.microsoft.com/graph/api/user-get, permission User.Read.All); empty if the
// directory has none. user is an Entra object id.
func (c *Client) Language(ctx context.Context, user string) (string, error) {
	var out struct {
		PreferredLanguage string `json:"preferredLanguage"`
	}
	if err := c.do(ctx, c.on(getUser, user).query("$select=preferredLanguage").into(&out)); err != nil {
		return "", err
	}
	if !languageTag.MatchString(out.PreferredLanguage) {
		return "", nil
	}
	return out.PreferredLanguage, nil
}

// User reads a user by object id or user principal name
// (https://learn.microsoft.com/graph/api/user-get, permission User.ReadBasic.All). ok is false
// if there is none, or a deleted one. No error contains the name.
func (c *Client) User(ctx context.Context, user string) (found User, ok bool, err error) {
	if !ValidID(user) && !ValidUserName(user) {
		return User{}, false, nil
	}
	var out struct {
		ID                string `json:"id"`
		UserPrincipalName string `json:"userPrincipalName"`
	}
	cl := (&call{op: getUser, url: c.at("/users/"+user, "$select=id,userPrincipalName")}).into(&out)
	if err := c.do(ctx, cl); err != nil {
		if IsNotFound(err) {
			return User{}, false, nil
		}
		return User{}, false, err
	}
	id, ok := CanonicalGUID(out.ID)
	if asked, byID := CanonicalGUID(user); out.ID == "" || byID && asked != id {
		return User{}, false, cl.failed(garbled, errOther)
	}
	return User{ID: id, UserPrincipalName: out.UserPrincipalName}, ok, nil
}

// MailAddress returns the mail address of a user (https://learn.microsoft.com/graph/api/user-get,
// permission User.ReadBasic.All); empty if the directory has none, or no such user. user is an Entra
// object id. No error contains the address.
func (c *Client) MailAddress(ctx context.Context, user string) (string, error) {
	var out struct {
		Mail string `json:"mail"`
	}
	err := c.do(ctx, c.on(getUser, user).query("$select=mail").into(&out))
	if err != nil && !IsNotFound(err) {
		return "", err
	}
	return out.Mail, nil
}

// EmployeeID returns the employeeId of a user (https://learn.microsoft.com/graph/api/user-get,
// permission User.Read.All); empty if the directory has none. user is an Entra object id. No
// error contains the value.
func (c *Client) EmployeeID(ctx context.Context, user string) (string, error) {
	var out struct {
		EmployeeID string `json:"employeeId"`
	}
	if err := c.do(ctx, c.on(getUser, user).query("$select=employeeId").into(&out)); err != nil {
		return "", err
	}
	return out.EmployeeID, nil
}

// maxEmployeeID is the longest employeeId in a directory, in characters
// (https://learn.microsoft.com/graph/api/resources/user).
const maxEmployeeID = 16

// UserByEmployeeID finds the only user with an employeeId
// (https://learn.microsoft.com/graph/api/user-list, permission User.Read.All). ok is false if
// there is none, or more than one. No error contains the value.
func (c *Client) UserByEmployeeID(ctx context.Context, employeeID string) (user User, ok bool, err error) {
	if employeeID == "" || utf8.RuneCountInString(employeeID) > maxEmployeeID {
		return User{}, false, nil
	}
	filter := url.QueryEscape("employeeId eq '" + strings.ReplaceAll(employeeID, "'", "''") + "'")
	type found struct {
		ID                string `json:"id"`
		UserPrincipalName string `json:"userPrincipalName"`
	}
	var users []found
	find := c.on(findUser).query("$filter=" + filter + "&$select=id,userPrincipalName&$top=2")
	err = each(ctx, c, find, func(u found) bool {
		users = append(users, u)
		return len(users) < 2
	})
	if err != nil || len(users) != 1 || !ValidID(users[0].ID) {
		return User{}, false, err
	}
	return User(users[0]), true, nil
}
