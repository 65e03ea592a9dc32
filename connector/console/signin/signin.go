// Package signin is who asks for a page: it signs people in with Entra or by a token, asks those who
// are not, and keeps everybody else from the pages of the console and from those of one's own. A page
// that calls Reader, Operator or Self goes on only if that reports true; else it is answered already.
package signin

import (
	"context"
	"embed"
	"errors"
	"net/http"
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
		p.fail(rw, err)
		return
	}
	fields := []zap.Field{zap.Error(refused.Cause)}
	if entra, ok := errors.AsType[*auth.Error](refused.Cause); ok {
		fields = append(fields, zap.String("code", entra.Code))
	}
	p.log.Warn("sign-in of a person refused", fields...)
	in := p.Site.Words(view.Wished(rw))
	s := Stopped{What: in.Text(refused.What, refused.Args...), Do: in.Text(refused.Do)}
	if refused.Again {
		s.Go, s.Button = access.Asked{Then: OwnHome, Choose: true}.Path(), in.Text("Sign in")
	}
	p.Stop(rw, refused.Status, view.Page{In: in, Title: in.Text("You are not signed in")}, s)
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
	ctx, cancel := context.WithTimeout(req.Context(), view.Within)
	defer cancel()
	in := p.Site.Words(view.Wished(rw))
	p.Stop(rw, http.StatusOK, view.Page{In: in, Title: in.Text("You are signed out")}, Stopped{
		What:  in.Text("You are signed out of the print service, at this browser and at every other."),
		Do:    in.Text("This browser is still signed in to Microsoft. On a device that others use, sign out there too."),
		First: view.Link{Path: p.Entra.SignOutURL(ctx), Text: in.Text("Sign out of Microsoft")},
		Go:    access.Asked{Then: OwnHome, Choose: true}.Path(), Button: in.Text("Sign in"),
	})
}

// requireSignIn asks whoever may not use a page of the console to sign in, or says why the sign-in that
// there is does not do.
func (p *Pages) requireSignIn(rw http.ResponseWriter, req *http.Request) {
	if p.Entra == nil {
		p.showSignIn(rw, req, "")
		return
	}
	who, state, err := p.Sessions.Person(req)
	switch {
	case err != nil:
		p.fail(rw, err)
	case state == access.Unconfirmed:
		p.confirm(rw, req, p.Site.WordsFor(req.Context(), rw, who.Person), Asks{Then: wayBack(req)})
	case state == access.Confirmed:
		p.noRole(rw, req, who)
	default:
		p.showSignIn(rw, req, "")
	}
}

// noRole says to who is signed in that they may not use the console.
func (p *Pages) noRole(rw http.ResponseWriter, req *http.Request, who access.Caller) {
	in := p.Site.WordsFor(req.Context(), rw, who.Person)
	shown := p.PageFor(req.Context(), who, in.Text("You have no role here"))
	shown.In = in
	p.Stop(rw, http.StatusForbidden, shown, Stopped{
		What: in.Text("Your account may not use the console. Your own jobs are behind “%s”, at the top.", in.Text("My jobs")),
		Do: in.Text("To use the console, ask your administrator for a role and sign in again, or sign in with another " +
			"account."),
		First: view.Link{Path: OwnHome, Text: in.Text("My jobs")},
		Go:    access.Asked{Then: req.URL.RequestURI(), Choose: true}.Path(), Button: in.Text("Sign in"),
	})
}

// showSignIn shows the ways to sign in at the console that there are, and what was wrong with the one
// that was tried.
func (p *Pages) showSignIn(rw http.ResponseWriter, req *http.Request, wrong string) {
	in := p.Site.Words(view.Wished(rw))
	shown := view.Page{In: in, Title: in.Text("Sign in"), Data: "/login"}
	if wrong != "" {
		shown.Wrong = in.Text(wrong)
	}
	if p.Entra == nil {
		p.Site.Show(rw, http.StatusUnauthorized, "login", shown)
		return
	}
	shown.Data = signInPage{access.Asked{Then: wayBack(req)}.Path()}
	p.Site.Show(rw, http.StatusUnauthorized, "signin", shown)
}

// fail shows that nobody can sign in or out at the moment.
func (p *Pages) fail(rw http.ResponseWriter, err error) {
	p.Site.FailIn(rw, p.Site.Words(view.Wished(rw)), view.Home, err)
}
