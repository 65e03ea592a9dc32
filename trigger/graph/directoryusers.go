package graph

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// usersAtOnce is how many users one call can ask for: Graph accepts 15 values in an `in` filter
// (https://learn.microsoft.com/graph/filter-query-parameter).
const usersAtOnce = 15

// KnownUsers returns those users who exist, of at most 15 object ids (permission
// User.ReadBasic.All).
func (c *Client) KnownUsers(ctx context.Context, ids []string) (known []User, err error) {
	values := make([]string, 0, len(ids))
	for _, id := range ids {
		if id, ok := CanonicalGUID(id); ok {
			values = append(values, id)
		}
	}
	err = c.usersIn(ctx, "id", values, func(u listedUser) {
		if id, ok := CanonicalGUID(u.ID); ok {
			known = append(known, User{ID: id, UserPrincipalName: u.UserPrincipalName})
		}
	})
	return known, err
}

// EmployeesWith returns, by employee id, the object ids of all users who have one of at most 15
// employee ids (permission User.Read.All). No error contains the values.
func (c *Client) EmployeesWith(ctx context.Context, employeeIDs []string) (found map[string][]string, err error) {
	values := make([]string, 0, len(employeeIDs))
	for _, id := range employeeIDs {
		if id != "" && utf8.RuneCountInString(id) <= maxEmployeeID {
			values = append(values, id)
		}
	}
	found = map[string][]string{}
	err = c.usersIn(ctx, "employeeId", values, func(u listedUser) {
		for _, id := range values {
			if owner, ok := CanonicalGUID(u.ID); ok && strings.EqualFold(id, u.EmployeeID) { // Graph compares in any case
				found[id] = append(found[id], owner)
			}
		}
	})
	return found, err
}

// listedUser is a user as usersIn selects it.
type listedUser struct {
	ID                string `json:"id"`
	UserPrincipalName string `json:"userPrincipalName"`
	EmployeeID        string `json:"employeeId"`
}

// usersIn calls yield with each user whose property has one of the values.
func (c *Client) usersIn(ctx context.Context, property string, values []string, yield func(listedUser)) error {
	if len(values) == 0 {
		return nil
	}
	if len(values) > usersAtOnce {
		return fmt.Errorf("more than %d users asked for at once", usersAtOnce)
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = "'" + strings.ReplaceAll(v, "'", "''") + "'"
	}
	selected := "id,userPrincipalName"
	if property != "id" {
		selected += "," + property
	}
	filter := url.QueryEscape(property + " in (" + strings.Join(quoted, ",") + ")")
	find := c.on(findUser).query("$filter=" + filter + "&$select=" + selected)
	return each(ctx, c, find, func(u listedUser) bool {
		yield(u)
		return true
	})
}
