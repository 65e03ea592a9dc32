package console

import (
	"context"
	"errors"
	"net/http"
	"path"

	"go.uber.org/zap"

	"pullprint/connector/access"
	"pullprint/connector/admin"
	"pullprint/trigger/graph/auth"
)

// actionTokenSignIn is a token that was used at the console although people can sign in.
const actionTokenSignIn = "token-sign-in"

// personRoutes are the pages for people who sign in with Entra.
func (p *Pages) personRoutes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /auth/sign-in":          p.beginSignIn,
		"GET " + access.CallbackPath: p.finishSignIn,
		"POST /auth/sign-out":        p.signOut,
		"GET /auth/signed-out":       p.signedOut,

		"GET " + meHome:                        p.me,
		"GET /me/jobs/{printer}/{job}/cancel":  p.askCancel,
		"POST /me/jobs/{printer}/{job}/cancel": p.cancelOwn,
	}
}

// signInPage is what the page for signing in knows.
type signInPage struct {
	// SignIn begins the sign-in with Entra.
	SignIn string
}

// refusedPage is what a page says about a sign-in that did not succeed.
type refusedPage struct {
	What, Do string
	// SignIn begins another; empty when that is of no use.
	SignIn string
}

func (p *Pages) beginSignIn(rw http.ResponseWriter, req *http.Request) {
	if err := p.SignIn.Begin(rw, req); err != nil {
		p.refuse(rw, err)
	}
}

func (p *Pages) finishSignIn(rw http.ResponseWriter, req *http.Request) {
	if err := p.SignIn.Finish(rw, req); err != nil {
		p.refuse(rw, err)
	}
}

// refuse says why nobody is signed in, and what to do.
func (p *Pages) refuse(rw http.ResponseWriter, err error) {
	var refused *access.Refusal
	if !errors.As(err, &refused) {
		p.fail(rw, err)
		return
	}
	fields := []zap.Field{zap.Error(refused.Cause)}
	if entra, ok := errors.AsType[*auth.Error](refused.Cause); ok {
		fields = append(fields, zap.String("code", entra.Code))
	}
	p.log.Warn("sign-in of a person refused", fields...)
	data := refusedPage{What: refused.What, Do: refused.Do}
	if refused.Again {
		data.SignIn = access.Asked{Then: meHome, Choose: true}.Path()
	}
	p.show(rw, refused.Status, "refused", page{Title: "You are not signed in", Data: data})
}

func (p *Pages) signOut(rw http.ResponseWriter, req *http.Request) {
	if _, err := p.Sessions.SignOutPerson(rw, req); err != nil {
		p.fail(rw, err)
		return
	}
	http.Redirect(rw, req, "/auth/signed-out", http.StatusSeeOther)
}

// signedOut says what was ended, and what was not.
func (p *Pages) signedOut(rw http.ResponseWriter, req *http.Request) {
	ctx, cancel := context.WithTimeout(req.Context(), shownWithin)
	defer cancel()
	p.show(rw, http.StatusOK, "refused", page{Title: "You are signed out", Data: refusedPage{
		What:   "You are signed out of the print service, at this browser and at every other.",
		Do:     "This browser is still signed in to Microsoft. On a device that others use, sign out there too.",
		SignIn: access.Asked{Then: meHome, Choose: true}.Path(),
	}, Home: p.SignIn.SignOutURL(ctx)})
}

// askSignIn asks whoever may not use a page of the console to sign in, or says why the sign-in that
// there is does not do.
func (p *Pages) askSignIn(rw http.ResponseWriter, req *http.Request) {
	if p.SignIn == nil {
		p.showSignIn(rw, req, "")
		return
	}
	who, state, err := p.Sessions.Person(req)
	switch {
	case err != nil:
		p.fail(rw, err)
	case state == access.Unconfirmed:
		p.confirm(rw, req)
	case state == access.Confirmed:
		shown := p.pageFor(req.Context(), who, "You have no role here")
		shown.Data = refusedPage{
			What:   "Your account may not use the console. Your own jobs are behind My jobs, at the top.",
			Do:     "To use the console, ask your administrator for a role and sign in again, or sign in with another account.",
			SignIn: access.Asked{Then: req.URL.RequestURI(), Choose: true}.Path(),
		}
		p.show(rw, http.StatusForbidden, "refused", shown)
	default:
		p.showSignIn(rw, req, "")
	}
}

// showSignIn shows the ways to sign in at the console that there are, and what was wrong with the one
// that was tried.
func (p *Pages) showSignIn(rw http.ResponseWriter, req *http.Request, wrong string) {
	if p.SignIn == nil {
		p.show(rw, http.StatusUnauthorized, "login", page{Title: "Sign in", Wrong: wrong, Data: "/login"})
		return
	}
	p.show(rw, http.StatusUnauthorized, "signin", page{Title: "Sign in", Wrong: wrong, Data: p.signInFor(req)})
}

// signInFor begins a sign-in that leads back to the page that was asked for.
func (p *Pages) signInFor(req *http.Request) signInPage {
	return signInPage{access.Asked{Then: wayBack(req)}.Path()}
}

// wayBack is the page of a form, or the page itself.
func wayBack(req *http.Request) string {
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		return req.URL.RequestURI()
	}
	return path.Dir(req.URL.Path)
}

// confirm has Entra confirm who is signed in: a page does so by itself and comes back, a form is
// not acted on.
func (p *Pages) confirm(rw http.ResponseWriter, req *http.Request) {
	again := access.Asked{Then: wayBack(req), Silent: true}.Path()
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		if req.URL.RawQuery == "" {
			http.Redirect(rw, req, again, http.StatusSeeOther)
			return
		}
		// It may be a form, as that of the console's filter: browsers follow none to another site by
		// redirects, as form-action in pagePolicy says, but leave the page as it is.
		p.show(rw, http.StatusUnauthorized, "refused", page{Title: "One moment", Refresh: 1, Then: again, Data: refusedPage{
			What: "Microsoft confirms that it is still you.", Do: "If nothing happens, sign in.", SignIn: again,
		}})
		return
	}
	p.show(rw, http.StatusForbidden, "refused", page{Title: "Nothing was done", Data: refusedPage{
		What: "You have been here for a while, and Microsoft has to confirm that it is still you.",
		Do:   "Sign in, which may need no more than this click, and do it again.", SignIn: again,
	}})
}

// pageFor is a page for who is signed in at the console.
func (p *Pages) pageFor(ctx context.Context, c access.Caller, title string) page {
	return page{
		Title: title, Caller: p.callerName(ctx, c), Person: c.Person != "", ByToken: p.SignIn != nil && c.Person == "",
		Operate: c.May(access.RoleOperate),
	}
}

// callerName is the user name of a person as Graph tells it now, or else the object id; of a token,
// its name. Names of people are not stored.
func (p *Pages) callerName(ctx context.Context, c access.Caller) string {
	if c.Person == "" || p.Users == nil {
		return c.Name
	}
	ctx, cancel := context.WithTimeout(ctx, shownWithin)
	defer cancel()
	if u, ok, err := p.Users.User(ctx, c.Person); err == nil && ok && u.UserPrincipalName != "" {
		return u.UserPrincipalName
	}
	return c.Name
}

// tokenSignedIn audits that a token is used where people can sign in.
func (p *Pages) tokenSignedIn(ctx context.Context, c access.Caller) error {
	if p.SignIn == nil {
		return nil
	}
	return p.Jobs.StoreAction(ctx, admin.Action{Action: actionTokenSignIn, Actor: c.Name})
}
