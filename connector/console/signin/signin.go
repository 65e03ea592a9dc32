// Package signin is who asks for a page: it signs people in with Entra or by a token, asks those who
// are not, and keeps everybody else from the pages of the console and from those of one's own. A page
// that calls Reader, Operator or Self goes on only if that reports true; else it is answered already.
package signin

import (
	"context"
	"embed"
	"errors"
	"net/http"
	"path"
	"strings"
	"time"

	"pullprint/connector/access"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/console/view"
	"pullprint/connector/directory"
	"pullprint/trigger/graph/auth"

	"go.uber.org/zap"
)

//go:embed pages
var files embed.FS

// OwnHome is a person's own page.
const OwnHome = "/me"

// actionTokenSignIn is a token that was used at the console although people can sign in.
const actionTokenSignIn = "token-sign-in"

// sessionLife is how long a token stays signed in: a working day.
const sessionLife = 8 * time.Hour

// Audit stores what was done; *admin.API is one.
type Audit interface {
	StoreAction(ctx context.Context, about apiclient.Action) error
}

// Deps are the dependencies of the pages.
type Deps struct {
	Site     *view.Site
	Audit    Audit
	Tokens   *access.Tokens
	Sessions *access.Sessions
	// Entra signs people in; nil when only tokens do.
	Entra *access.SignIn
	// Users finds people by object id; nil without access to Entra.
	Users  directory.Finder
	Logger *zap.Logger
}

// Pages sign people in and out.
type Pages struct {
	Deps
	log *zap.Logger
}

// New adds the pages to the site; it starts nothing.
func New(d Deps) (*Pages, error) {
	return &Pages{d, d.Logger.Named("admin")}, d.Site.Add(view.Templates{Files: files, Pages: []string{"signin", "refused"}})
}

// Routes are the pages and forms, which are for everybody.
func (p *Pages) Routes() map[string]http.HandlerFunc {
	routes := map[string]http.HandlerFunc{"POST /login": p.login, "POST /logout": p.logout}
	if p.Entra != nil {
		routes["GET /auth/sign-in"] = p.beginSignIn
		routes["GET "+access.CallbackPath] = p.finishSignIn
		routes["POST /auth/sign-out"] = p.signOut
		routes["GET /auth/signed-out"] = p.signedOut
	}
	return routes
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
	if err := p.Entra.Begin(rw, req); err != nil {
		p.refuse(rw, err)
	}
}

func (p *Pages) finishSignIn(rw http.ResponseWriter, req *http.Request) {
	if err := p.Entra.Finish(rw, req); err != nil {
		p.refuse(rw, err)
	}
}

// refuse says why nobody is signed in, and what to do.
func (p *Pages) refuse(rw http.ResponseWriter, err error) {
	var refused *access.Refusal
	if !errors.As(err, &refused) {
		p.Site.Fail(rw, err)
		return
	}
	fields := []zap.Field{zap.Error(refused.Cause)}
	if entra, ok := errors.AsType[*auth.Error](refused.Cause); ok {
		fields = append(fields, zap.String("code", entra.Code))
	}
	p.log.Warn("sign-in of a person refused", fields...)
	data := refusedPage{What: refused.What, Do: refused.Do}
	if refused.Again {
		data.SignIn = access.Asked{Then: OwnHome, Choose: true}.Path()
	}
	p.Site.Show(rw, refused.Status, "refused", view.Page{Title: "You are not signed in", Data: data})
}

func (p *Pages) signOut(rw http.ResponseWriter, req *http.Request) {
	if _, err := p.Sessions.SignOutPerson(rw, req); err != nil {
		p.Site.Fail(rw, err)
		return
	}
	http.Redirect(rw, req, "/auth/signed-out", http.StatusSeeOther)
}

// signedOut says what was ended, and what was not.
func (p *Pages) signedOut(rw http.ResponseWriter, req *http.Request) {
	ctx, cancel := context.WithTimeout(req.Context(), view.Within)
	defer cancel()
	p.Site.Show(rw, http.StatusOK, "refused", view.Page{Title: "You are signed out", Data: refusedPage{
		What:   "You are signed out of the print service, at this browser and at every other.",
		Do:     "This browser is still signed in to Microsoft. On a device that others use, sign out there too.",
		SignIn: access.Asked{Then: OwnHome, Choose: true}.Path(),
	}, Home: p.Entra.SignOutURL(ctx)})
}

// askSignIn asks whoever may not use a page of the console to sign in, or says why the sign-in that
// there is does not do.
func (p *Pages) askSignIn(rw http.ResponseWriter, req *http.Request) {
	if p.Entra == nil {
		p.showSignIn(rw, req, "")
		return
	}
	who, state, err := p.Sessions.Person(req)
	switch {
	case err != nil:
		p.Site.Fail(rw, err)
	case state == access.Unconfirmed:
		p.confirm(rw, req)
	case state == access.Confirmed:
		shown := p.PageFor(req.Context(), who, "You have no role here")
		shown.Data = refusedPage{
			What:   "Your account may not use the console. Your own jobs are behind My jobs, at the top.",
			Do:     "To use the console, ask your administrator for a role and sign in again, or sign in with another account.",
			SignIn: access.Asked{Then: req.URL.RequestURI(), Choose: true}.Path(),
		}
		p.Site.Show(rw, http.StatusForbidden, "refused", shown)
	default:
		p.showSignIn(rw, req, "")
	}
}

// showSignIn shows the ways to sign in at the console that there are, and what was wrong with the one
// that was tried.
func (p *Pages) showSignIn(rw http.ResponseWriter, req *http.Request, wrong string) {
	if p.Entra == nil {
		p.Site.Show(rw, http.StatusUnauthorized, "login", view.Page{Title: "Sign in", Wrong: wrong, Data: "/login"})
		return
	}
	p.Site.Show(rw, http.StatusUnauthorized, "signin", view.Page{Title: "Sign in", Wrong: wrong, Data: p.signInFor(req)})
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
	switch at := path.Dir(req.URL.Path); {
	case at == "/jobs": // no page
		return view.Home
	case strings.HasPrefix(at, OwnHome+"/jobs/"):
		return OwnHome
	default:
		return at
	}
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
		// redirects, as form-action in view.Policy says, but leave the page as it is.
		p.Site.Show(rw, http.StatusUnauthorized, "refused", view.Page{Title: "One moment", Refresh: 1, Then: again, Data: refusedPage{
			What: "Microsoft confirms that it is still you.", Do: "If nothing happens, sign in.", SignIn: again,
		}})
		return
	}
	p.Site.Show(rw, http.StatusForbidden, "refused", view.Page{Title: "Nothing was done", Data: refusedPage{
		What: "You have been here for a while, and Microsoft has to confirm that it is still you.",
		Do:   "Sign in, which may need no more than this click, and do it again.", SignIn: again,
	}})
}
