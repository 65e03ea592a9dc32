package signin

import (
	"context"
	"net/http"

	"pullprint/connector/access"
	"pullprint/connector/console/view"
	"pullprint/connector/display"
)

// Reader is who is signed in at the console; otherwise the form is shown.
func (p *Pages) Reader(rw http.ResponseWriter, req *http.Request) (access.Caller, bool) {
	c, ok, err := p.Sessions.Who(req, func(c access.Caller) bool { return c.May(access.RoleRead) })
	if err != nil {
		p.fail(rw, err)
		return c, false
	}
	if !ok {
		p.requireSignIn(rw, req)
	}
	return c, ok
}

// Operator is who is signed in and may do more than look.
func (p *Pages) Operator(rw http.ResponseWriter, req *http.Request) (access.Caller, bool) {
	return p.with(rw, req, access.RoleOperate)
}

// Administrator is who is signed in with the role admin.
func (p *Pages) Administrator(rw http.ResponseWriter, req *http.Request) (access.Caller, bool) {
	return p.with(rw, req, access.RoleAdmin)
}

// with is who is signed in with a role; others are told what they may not, and which roles it needs.
func (p *Pages) with(rw http.ResponseWriter, req *http.Request, role access.Role) (access.Caller, bool) {
	c, ok := p.Reader(rw, req)
	if !ok || c.May(role) {
		return c, ok
	}
	in := p.Site.WordsFor(req.Context(), rw, c.Person)
	needed := string(access.RoleAdmin)
	if role == access.RoleOperate {
		needed = in.Text("%s or %s", role, needed)
	}
	shown := p.PageFor(req.Context(), c, in.Text("Your token may not do this")) // with the button to sign out
	shown.In, shown.Home, shown.Data = in, view.Home, in.Text("Sign out, and sign in with one of the role %s.", needed)
	if c.Person != "" {
		shown.Title, shown.Data = in.Text("You may not do this"), in.Text("Ask your administrator for the role %s.", needed)
	}
	p.Site.Show(rw, http.StatusForbidden, "message", shown)
	return c, false
}

// PageFor is a page for who is signed in at the console.
func (p *Pages) PageFor(ctx context.Context, c access.Caller, title string) view.Page {
	return view.Page{
		Nav: navigation(c), Title: title, Caller: p.callerName(ctx, c), Person: c.Person != "", ByToken: p.Entra != nil && c.Person == "",
		Operate: c.May(access.RoleOperate),
	}
}

// navigation is where somebody can go at the console.
func navigation(c access.Caller) (links []view.Link) {
	if c.May(access.RoleRead) {
		links = append(links, view.Link{Path: view.Home, Text: "Jobs"}, view.Link{Path: "/people", Text: "People"},
			view.Link{Path: "/badges", Text: "Badges"}, view.Link{Path: "/accounts", Text: "Accounts"},
			view.Link{Path: "/policy", Text: "Policy"})
	}
	if c.May(access.RoleAdmin) {
		links = append(links, view.Link{Path: "/audit", Text: "Audit"})
	}
	return links
}

// callerName is the user name of a person as Graph tells it now, or else the object id; of a token,
// its name. Names of people are not stored.
func (p *Pages) callerName(ctx context.Context, c access.Caller) string {
	if c.Person == "" || p.Users == nil {
		return c.Name
	}
	ctx, cancel := context.WithTimeout(ctx, view.Within)
	defer cancel()
	if u, ok, err := p.Users.User(ctx, c.Person); err == nil && ok && u.UserPrincipalName != "" {
		return display.Plain(u.UserPrincipalName)
	}
	return c.Name
}
