// Package own serves a person's own pages: what waits for them, what it costs and what became of the
// rest. A person sees and ends their own jobs only; those of others are as if they were not there.
package own

import (
	"context"
	"embed"
	"html/template"
	"net/http"

	"go.uber.org/zap"

	"pullprint/connector/access"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/cache"
	"pullprint/connector/console/signin"
	"pullprint/connector/console/view"
	"pullprint/connector/directory"
	"pullprint/connector/evaluate"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/connector/tap"
	"pullprint/policy/pin"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

//go:embed pages
var files embed.FS

// Jobs lists and ends jobs as the HTTP API does; *admin.API is one.
type Jobs interface {
	// List is the first page of those that fit; in an error the owner is called by field.
	List(ctx context.Context, field string, f apiclient.JobFilter, limit int) (apiclient.JobList, error)
	Record(ctx context.Context, ref graph.Ref) (job.Record, error)
	Cancel(ctx context.Context, c release.Cancellation) (release.Refused, error)
	StoreAction(ctx context.Context, about apiclient.Action) error
}

// Deps are the dependencies of the pages.
type Deps struct {
	Site     *view.Site
	Callers  *signin.Pages
	Jobs     Jobs
	Releaser *release.Releaser
	// SignedIn releases jobs for who is signed in.
	SignedIn *tap.SignedIn
	// Self lends jobs and exports data, Search finds colleagues, Users those of an object id.
	Self   Self
	Search view.Search
	Users  directory.Finder
	// Account is what is left on an account.
	Account func(ctx context.Context, a quota.Account) (evaluate.AccountStatus, error)
	// Notices are which ones people want; nil when nobody is told by mail or in Teams.
	Notices Notices
	// Teams is set when people have the Teams app.
	Teams bool
	// Badges enrol the cards of people who sign in; nil where they don't, as without badges.
	Badges Badges
	// PINs are nil without badges.
	PINs *pin.PINs
	// AskPINs is set where devices ask for PINs: people set theirs then.
	AskPINs bool
	Devices []printer.Device
	Logger  *zap.Logger
}

// Pages are those of a person's own.
type Pages struct {
	Deps
	searches cache.Limit
	pins     cache.Limit
	exports  exports
	log      *zap.Logger
}

// New adds the pages to the site; it starts nothing.
func New(d Deps) (*Pages, error) {
	pages := []string{"me", "mecancel", "meprint", "meprinted", "melend", "menotices", "mebadge", "mepin", "teams"}
	p := &Pages{
		Deps: d, searches: cache.Limit{Times: maxSearches, In: searchesIn}, pins: cache.Limit{Times: maxPINs, In: pinsIn},
		log: d.Logger.Named("admin"),
	}
	p.exports.asked = cache.Limit{Times: 1, In: exportEvery}
	return p, d.Site.Add(view.Templates{Files: files, Pages: pages, Funcs: template.FuncMap{
		"days": func(hours int) int { return hours / 24 },
	}})
}

// visitor is who looks at their own pages, and how these speak to them.
type visitor struct {
	access.Caller
	in view.Words
}

// enter is who is signed in, in the language that the directory says they read, else in one that the browser
// wishes for; otherwise a page says how to sign in.
func (p *Pages) enter(rw http.ResponseWriter, req *http.Request) (v visitor, ok bool) {
	v.Caller, v.in, ok = p.Callers.Self(rw, req, signin.Asks{})
	return v, ok
}

// page is one for a visitor, with a title in their language.
func (p *Pages) page(ctx context.Context, v visitor, title string, data any) view.Page {
	shown := p.Callers.PageFor(ctx, v.Caller, title)
	shown.In, shown.Data = v.in, data
	return shown
}

// Routes are all pages and forms. Each handler asks by enter who is there.
func (p *Pages) Routes() map[string]http.HandlerFunc {
	routes := map[string]http.HandlerFunc{
		"GET " + signin.OwnHome:                p.me,
		"GET " + dataPath:                      p.sendData,
		"GET /me/jobs/{printer}/{job}/cancel":  p.showCancel,
		"POST /me/jobs/{printer}/{job}/cancel": p.cancelOwn,
		"GET " + lendPath:                      p.beginLend,
		"POST " + lendPath:                     p.lend,
		"POST " + lendPath + "/find":           p.findColleague,
		"POST " + lendPath + "/end":            p.endLending,
	}
	p.withNotices(routes)
	p.withTeams(routes)
	if p.SignedIn.Remote() {
		routes["GET "+printPath], routes["POST "+printPath] = p.showPrint, p.print
	}
	if p.Badges != nil {
		routes["GET "+badgePath], routes["POST "+badgePath] = p.beginBadge, p.enrolBadge
	}
	if p.AskPINs {
		routes["GET "+pinPath], routes["POST "+pinPath] = p.beginPIN, p.setPIN
	}
	return routes
}
