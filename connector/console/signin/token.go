package signin

import (
	"context"
	"net/http"

	"pullprint/connector/access"
	"pullprint/connector/admin/apiclient"
)

func (p *Pages) login(rw http.ResponseWriter, req *http.Request) {
	c, ok := p.Tokens.Who(access.FormToken(req))
	if !ok || !c.May(access.RoleRead) {
		p.showSignIn(rw, req, "This token isn't valid here; use one from admin.token_file or admin.tokens[].file.")
		return
	}
	if err := p.tokenSignedIn(req.Context(), c); err != nil {
		p.fail(rw, err)
		return
	}
	if err := p.Sessions.SignIn(rw, req, c, "/", sessionLife); err != nil {
		p.fail(rw, err)
		return
	}
	http.Redirect(rw, req, "/", http.StatusSeeOther)
}

func (p *Pages) logout(rw http.ResponseWriter, req *http.Request) {
	if err := p.Sessions.SignOut(req); err != nil {
		p.fail(rw, err)
		return
	}
	http.Redirect(rw, req, "/", http.StatusSeeOther)
}

// tokenSignedIn audits that a token is used where people can sign in.
func (p *Pages) tokenSignedIn(ctx context.Context, c access.Caller) error {
	if p.Entra == nil {
		return nil
	}
	return p.Audit.StoreAction(ctx, apiclient.Action{Action: actionTokenSignIn, Actor: c.Name})
}
