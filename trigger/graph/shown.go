package graph

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Person is how a user is called, for a page that they or who prints for them look at; it is
// not stored. A field is empty when the directory has none.
type Person struct {
	GivenName   string `json:"givenName"`
	DisplayName string `json:"displayName"`
}

// Person reads how a user is called (https://learn.microsoft.com/graph/api/user-get,
// permission User.ReadBasic.All). user is an Entra object id. No error contains a name.
func (c *Client) Person(ctx context.Context, user string) (Person, error) {
	var out Person
	if err := c.do(ctx, c.on(getUser, user).query("$select=givenName,displayName").into(&out)); err != nil {
		return Person{}, err
	}
	return out, nil
}

// Named is a user as a search finds them, for a page; it is not stored.
type Named struct {
	User
	DisplayName string
}

// maxSearch is the longest text that people are searched for by, in characters: a whole name.
const maxSearch = 64

// PeopleNamed finds at most n users whose name, first or last name, user name or mail address begins
// with a text (https://learn.microsoft.com/graph/api/user-list, permission User.ReadBasic.All; each of
// these properties supports startswith without advanced query capabilities:
// https://learn.microsoft.com/graph/aad-advanced-queries). No error contains the text or a name.
func (c *Client) PeopleNamed(ctx context.Context, text string, n int) (found []Named, err error) {
	if text = strings.TrimSpace(text); text == "" || utf8.RuneCountInString(text) > maxSearch {
		return nil, nil
	}
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	var tests []string
	for _, property := range []string{"displayName", "givenName", "surname", "userPrincipalName", "mail"} {
		tests = append(tests, "startswith("+property+","+quoted+")")
	}
	filter := url.QueryEscape(strings.Join(tests, " or "))
	type listed struct {
		ID                string `json:"id"`
		UserPrincipalName string `json:"userPrincipalName"`
		DisplayName       string `json:"displayName"`
	}
	find := c.on(findUser).query("$filter=" + filter + "&$select=id,userPrincipalName,displayName&$top=" + strconv.Itoa(n))
	err = each(ctx, c, find, func(u listed) bool {
		if id, ok := CanonicalGUID(u.ID); ok {
			found = append(found, Named{User{ID: id, UserPrincipalName: u.UserPrincipalName}, u.DisplayName})
		}
		return len(found) < n
	})
	return found, err
}

// Title reads what a job is called: the name of its first document, as a printJob of v1.0 has
// none of its own (https://learn.microsoft.com/graph/api/resources/printdocument). It is empty
// when Graph tells none. It is for a page that its owner looks at, and is not stored; no error
// contains it. It is empty, too, when the job is not that of its owner, since another has its number by
// now: Graph does not say that a printer never gives one twice. An empty owner is anybody.
func (c *Client) Title(ctx context.Context, ref Ref, owner string) (string, error) {
	var out struct {
		ID        string `json:"id"`
		CreatedBy struct {
			ID string `json:"id"`
		} `json:"createdBy"`
		Documents []struct {
			DisplayName string `json:"displayName"`
		} `json:"documents"`
	}
	cl := c.on(getJob, ref.Printer, ref.Job).query("$expand=documents").into(&out).about(&out.ID, ref.Job)
	if err := c.do(ctx, cl); err != nil {
		return "", err
	}
	if len(out.Documents) == 0 || owner != "" && Canonical(out.CreatedBy.ID) != Canonical(owner) {
		return "", nil
	}
	return out.Documents[0].DisplayName, nil
}
