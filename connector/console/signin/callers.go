package signin

import (
	"context"
	"net/http"

	"pullprint/connector/access"
	"pullprint/connector/console/view"
)

// Reader is who is signed in at the console; otherwise the form is shown.
func (p *Pages) Reader(rw http.ResponseWriter, req *http.Request) (access.Caller, bool) {
	c, ok, err := p.Sessions.Who(req, func(c access.Caller) bool { return c.May(access.RoleRead) })
	if err != nil {
		p.Site.Fail(rw, err)
		return c, false
	}
	if !ok {
		p.askSignIn(rw, req)
	}
	return c, ok
}

// Operator is who is signed in and may do more than look.
func (p *Pages) Operator(rw http.ResponseWriter, req *http.Request) (access.Caller, bool) {
	return p.with(rw, req, access.RoleOperate, "may only read", "operate or admin")
}

// Administrator is who is signed in with the role admin.
func (p *Pages) Administrator(rw http.ResponseWriter, req *http.Request) (access.Caller, bool) {
	return p.with(rw, req, access.RoleAdmin, "may not do this", "admin")
}

// with is who is signed in with a role; others are told what they may, and which roles it needs.
func (p *Pages) with(rw http.ResponseWriter, req *http.Request, role access.Role, may, needed string) (access.Caller, bool) {
	c, ok := p.Reader(rw, req)
	if !ok || c.May(role) {
		return c, ok
	}
	shown := p.PageFor(req.Context(), c, "Your token "+may) // with the button to sign out
	shown.Home, shown.Data = view.Home, "Sign out, and sign in with one of the role "+needed+"."
	if c.Person != "" {
		shown.Title, shown.Data = "You "+may, "Ask your administrator for the role "+needed+"."
	}
	p.Site.Show(rw, http.StatusForbidden, "message", shown)
	return c, false
}

// Self is the person who is signed in; otherwise a page says how to sign in.
func (p *Pages) Self(rw http.ResponseWriter, req *http.Request) (access.Caller, bool) {
	who, state, err := p.Sessions.Person(req)
	switch {
	case err != nil:
		p.Site.Fail(rw, err)
	case state == access.Unconfirmed:
		p.confirm(rw, req)
	case state == access.Nobody:
		p.Site.Show(rw, http.StatusUnauthorized, "refused", view.Page{Title: "Your print jobs", Data: refusedPage{
			What:   "Sign in with your account to see what waits for you, what it costs and what became of the rest.",
			SignIn: access.Asked{Then: wayBack(req)}.Path(),
		}})
	}
	return who, err == nil && state == access.Confirmed
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
		return u.UserPrincipalName
	}
	return c.Name
}
