package signin

import (
	"net/http"
	"path"
	"strings"

	"pullprint/connector/access"
	"pullprint/connector/console/view"
)

// Stopped is what a page says to somebody who can't go on, in their language.
type Stopped struct {
	// What is what happened, Do what they can do; Do may be empty.
	What, Do string
	// Go is where the Button leads; without a Button nowhere.
	Go, Button string
	// First is what most people want, before the Button; without a Path there is none.
	First view.Link
	// Help is whom to ask; it may be empty.
	Help string
}

// Stop answers with such a page. Of shown it needs In and Title.
func (p *Pages) Stop(rw http.ResponseWriter, status int, shown view.Page, s Stopped) {
	shown.Data = s
	p.Site.Show(rw, status, "refused", shown)
}

// Asks is how a page for people who are signed in asks who is not to sign in.
type Asks struct {
	// Then is where a sign-in leads to.
	Then string
	// Link is set when the page is reached by links alone, and no form leads to it.
	Link bool
	// Place is the device whose page it is, Help whom to ask there; empty for a person's own pages.
	Place, Help string
}

// Self is the person who is signed in, and how pages speak to them; otherwise a page says how to sign in.
func (p *Pages) Self(rw http.ResponseWriter, req *http.Request, asks Asks) (who access.Caller, in view.Words, ok bool) {
	who, state, err := p.Sessions.Person(req)
	in = p.Site.WordsFor(req.Context(), rw, who.Person)
	if asks.Then == "" {
		asks.Then = wayBack(req)
	}
	switch {
	case err != nil:
		p.Site.FailIn(rw, in, asks.Then, err)
	case state == access.Unconfirmed:
		p.confirm(rw, req, in, asks)
	case state == access.Nobody:
		p.showSelf(rw, in, asks)
	}
	return who, in, err == nil && state == access.Confirmed
}

// showSelf asks a person to sign in.
func (p *Pages) showSelf(rw http.ResponseWriter, in view.Words, asks Asks) {
	title := in.Text("Your print jobs")
	what := in.Text("Sign in with your account to see what waits for you, what it costs and what became of the rest.")
	if asks.Place != "" {
		title, what = asks.Place, in.Text("Sign in to see the jobs that wait for you, and to print them here.")
	}
	p.Stop(rw, http.StatusUnauthorized, view.Page{In: in, Title: title}, Stopped{
		What: what, Go: access.Asked{Then: asks.Then}.Path(), Button: in.Text("Sign in"), Help: asks.Help,
	})
}

// confirm has Entra confirm who is signed in: a page does so by itself and comes back, a form is
// not acted on.
func (p *Pages) confirm(rw http.ResponseWriter, req *http.Request, in view.Words, asks Asks) {
	s := Stopped{Go: access.Asked{Then: asks.Then, Silent: true}.Path(), Button: in.Text("Sign in"), Help: asks.Help}
	switch {
	case !reads(req):
		s.What = in.Text("You have been here for a while, and Microsoft has to confirm that it is still you.")
		s.Do = in.Text("Sign in, which may need no more than this click, and do it again.")
		p.Stop(rw, http.StatusForbidden, view.Page{In: in, Title: in.Text("Nothing was done")}, s)
	case asks.Link || req.URL.RawQuery == "":
		http.Redirect(rw, req, s.Go, http.StatusSeeOther)
	default:
		// It may be a form, as that of the console's filter: browsers follow none to another site by
		// redirects, as form-action in view.Policy says, but leave the page as it is.
		s.What, s.Do = in.Text("Microsoft confirms that it is still you."), in.Text("If nothing happens, sign in.")
		p.Stop(rw, http.StatusUnauthorized, view.Page{In: in, Title: in.Text("One moment"), Refresh: 1, Then: s.Go}, s)
	}
}

// reads reports whether a request asks for a page, and is no form.
func reads(req *http.Request) bool {
	return req.Method == http.MethodGet || req.Method == http.MethodHead
}

// wayBack is the page of a form, or the page itself.
func wayBack(req *http.Request) string {
	if reads(req) {
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
