package graph

import "context"

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

// Title reads what a job is called: the name of its first document, as a printJob of v1.0 has
// none of its own (https://learn.microsoft.com/graph/api/resources/printdocument). It is empty
// when Graph tells none. It is for a page that its owner looks at, and is not stored; no error
// contains it.
func (c *Client) Title(ctx context.Context, ref Ref) (string, error) {
	var out struct {
		ID        string `json:"id"`
		Documents []struct {
			DisplayName string `json:"displayName"`
		} `json:"documents"`
	}
	cl := c.on(getJob, ref.Printer, ref.Job).query("$expand=documents").into(&out).about(&out.ID, ref.Job)
	if err := c.do(ctx, cl); err != nil {
		return "", err
	}
	if len(out.Documents) == 0 {
		return "", nil
	}
	return out.Documents[0].DisplayName, nil
}
