package graph

import (
	"context"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Groups lists the groups that a user is a member of, directly or through other
// groups (https://learn.microsoft.com/graph/api/user-list-transitivememberof).
// user is an Entra object id. The OData cast needs ConsistencyLevel eventual and
// $count there: a change of membership can take a while to show.
func (c *Client) Groups(ctx context.Context, user string) ([]Group, error) {
	if err := ids(listGroups, user); err != nil {
		return nil, err
	}
	const query = "$select=id,displayName&$count=true&$top=999"
	return collect[Group](ctx, c, call{op: listGroups, url: c.at("/users/"+user+"/transitiveMemberOf/microsoft.graph.group", query), eventual: true})
}

// maxEmployeeID is the longest employeeId the directory has, in characters
// (https://learn.microsoft.com/graph/api/resources/user).
const maxEmployeeID = 16

// UserByEmployeeID finds the one user whose employeeId is given
// (https://learn.microsoft.com/graph/api/user-list, right User.Read.All); ok is
// false when there is none, or more than one. The value is nowhere in an error.
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
	find := call{op: findUser, url: c.at("/users", "$filter="+filter+"&$select=id,userPrincipalName&$top=2")}
	err = each(ctx, c, find, func(u found) bool {
		users = append(users, u)
		return len(users) < 2 // more don't matter
	})
	if err != nil || len(users) != 1 || !ValidID(users[0].ID) {
		return User{}, false, err
	}
	return User(users[0]), true, nil
}
