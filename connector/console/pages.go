// Package console serves the pages for people: the console for those who run the service, which is
// here, and those of the packages below it, which it puts together. They are forms and tables that work
// without a script; a station's has one for its reader. Whatever a page has done is done by package
// admin, and audited as there.
package console

import (
	"context"
	"embed"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/access"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/cache"
	"pullprint/connector/console/at"
	"pullprint/connector/console/own"
	"pullprint/connector/console/signin"
	"pullprint/connector/console/station"
	"pullprint/connector/console/view"
	"pullprint/connector/decision"
	"pullprint/connector/directory"
	"pullprint/connector/evaluate"
	"pullprint/connector/health"
	"pullprint/connector/index"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/policy"
	"pullprint/policy/badge"
	"pullprint/trigger/graph"
)

// maxForm bounds a form: a card and a ticket are far less, and so is a reason that an
// operator writes.
const maxForm = 64 << 10

//go:embed pages
var files embed.FS

// Jobs lists and ends jobs as the HTTP API does, and audits what is asked for; *admin.API
// is one.
type Jobs interface {
	// ListPage is a page of those that fit, behind a cursor; in an error the owner is called by field.
	ListPage(ctx context.Context, field string, f apiclient.JobFilter, cursor string, limit int) (apiclient.JobList, error)
	Record(ctx context.Context, ref graph.Ref) (job.Record, error)
	Job(ctx context.Context, ref graph.Ref) (apiclient.JobDetail, error)
	Cancel(ctx context.Context, c release.Cancellation) (release.Refused, error)
	StoreAction(ctx context.Context, about apiclient.Action) error
}

// Deps are the dependencies of the pages.
type Deps struct {
	Site    *view.Site
	Callers *signin.Pages
	// Station are the pages beside the printers, Own those of a person's own, and At those of the devices on
	// phones; the latter are nil when people can't sign in.
	Station *station.Pages
	Own     *own.Pages
	At      *at.Pages

	// API does what a caller asks for beyond Jobs, in their name.
	API      func(who access.Caller) *apiclient.Client
	Jobs     Jobs
	Releaser *release.Releaser
	// Users and Search find people in Entra; nil without access to it.
	Users  directory.Finder
	Search view.Search
	// Titles says whether titles of jobs are hidden, as display.Hidden; otherwise they are shown.
	Titles string
	// Policy is the one in force.
	Policy func() *policy.Policy
	// Settings are those of the configuration that decide beside it; none is a secret or names a file.
	Settings []Setting
	// NoBadges is set when none are configured.
	NoBadges bool
	Recent   *Recent
	Health   *health.Checks
	// Held is how many jobs each queue holds, by its name.
	Held func() map[string]int
	// Failures are the n printers at which most jobs failed since a time; nil shows none.
	Failures func(since time.Time, n int) []index.Failures
	// Swept is when this instance last swept; zero when another does.
	Swept   func() time.Time
	Queues  []printer.Queue
	Devices []printer.Device
	// DeviceEntries are the devices as the API lists them.
	DeviceEntries func(ctx context.Context) []apiclient.DeviceEntry
	Logger        *zap.Logger
}

// Pages are all pages for people.
type Pages struct {
	Deps
	log     *zap.Logger
	handler http.Handler
	loading cache.Shares // of people
	issued  *cache.TTL[apiclient.CodeIssued]
}

// New adds the console to the pages of the site, and serves them all; it starts nothing.
func New(d Deps) (*Pages, error) {
	p := &Pages{
		Deps: d, log: d.Logger.Named("admin"), issued: cache.NewTTL[apiclient.CodeIssued](codeLife, maxCodes),
	}
	if err := d.Site.Add(view.Templates{
		Files: files, Funcs: p.functions(), Shared: []string{"lists"},
		Pages: []string{"console", "job", "people", "person", "code", "bulk", "audit", "badges", "accounts", "account", "policy"},
	}); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /assets/style.css", view.ServeStyleSheet)
	mux.HandleFunc("GET /assets/station.js", station.ServeScript)
	for pattern, handle := range p.routes() {
		mux.HandleFunc(pattern, handle)
	}
	mux.HandleFunc("/", p.notFound)
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(p.crossOrigin))
	p.handler = protection.Handler(mux)
	return p, nil
}

// routes are all pages and forms. Each handler asks who is there.
func (p *Pages) routes() map[string]http.HandlerFunc {
	routes := map[string]http.HandlerFunc{
		"GET /{$}":                           p.console,
		"GET /jobs/{printer}/{job}":          p.job,
		"POST /jobs/{printer}/{job}/cancel":  p.cancelJob,
		"POST /jobs/{printer}/{job}/release": p.releaseJob,
		"POST /jobs/bulk":                    p.bulk,
		"GET /audit":                         p.audit,
		"GET /policy":                        p.policy,
		"GET /badges":                        p.badges,
		"GET /accounts":                      p.accounts,
		"GET /accounts/{account}":            p.account,
		"POST /accounts/{account}/adjust":    p.adjustShared,
		"GET /people":                        p.people,
		"GET /people/{person}":               p.person,
		"POST /people/{person}/code":         p.issueCode,
		"POST /people/{person}/revoke":       p.toPerson(p.Callers.Operator, "revoked", revokeBadge),
		"POST /people/{person}/adjust":       p.toPerson(p.Callers.Administrator, "adjusted", adjustAccount),
		"POST /people/{person}/end-sessions": p.toPerson(p.Callers.Administrator, "ended", endSessions),
	}
	maps.Copy(routes, p.Callers.Routes())
	maps.Copy(routes, p.Station.Routes())
	if p.Own != nil {
		p.addShared(routes, p.Own.Routes())
	}
	if p.At != nil {
		p.addShared(routes, p.At.Routes())
	}
	return routes
}

// personPages is how many pages a person may load at once: some tabs and a phone, each with a form under
// way. A page may read 20 jobs and people at Graph, which answers 64 requests at once for all.
const personPages = 8

// addShared adds routes of which each person may use so many at once.
func (p *Pages) addShared(routes, shared map[string]http.HandlerFunc) {
	for route, serve := range shared {
		routes[route] = func(rw http.ResponseWriter, req *http.Request) {
			who, state, err := p.Callers.Sessions.Person(req)
			if err != nil || state == access.Nobody {
				serve(rw, req) // which says so
				return
			}
			free, ok := p.loading.Take(who.Person, personPages)
			if !ok {
				in := p.Site.WordsFor(req.Context(), rw, who.Person)
				rw.Header().Set("Retry-After", "1")
				p.Site.Show(rw, http.StatusTooManyRequests, "message", view.Page{
					In: in, Title: in.Text("Not at the moment"), Home: signin.OwnHome, Data: in.Text(view.TryAgain),
				})
				return
			}
			defer free()
			serve(rw, req)
		}
	}
}

// crossOrigin refuses a form that another site sent, with a link back.
func (p *Pages) crossOrigin(rw http.ResponseWriter, req *http.Request) {
	home := view.Home
	if rest, ok := strings.CutPrefix(req.URL.Path, "/station/"); ok {
		device, _, _ := strings.Cut(rest, "/")
		home = station.Path(device)
	} else if strings.HasPrefix(req.URL.Path, "/at/") {
		home = "" // the address of the form has the link, and may have been made up
	}
	in := p.Site.Words(view.Wished(rw))
	p.Site.Show(rw, http.StatusForbidden, "message", view.Page{
		In: in, Title: in.Text("The form was not sent from this site"), Home: home,
		Data: in.Text("If it was, a proxy changes the name of the host: let it keep the header Host."),
	})
}

// functions are those of the templates of the console.
func (p *Pages) functions() template.FuncMap {
	return template.FuncMap{
		"path":        func(r graph.Ref) string { return "/jobs/" + url.PathEscape(r.Printer) + "/" + url.PathEscape(r.Job) },
		"another":     another,
		"joblist":     p.jobList,
		"accountpath": accountPath,
		"balances":    func(shown view.Page, list []evaluate.Balance) balanceList { return balanceList{shown, list} },
		"badgestate":  func(shown view.Page, b badge.Badge) badgeLine { return badgeLine{shown, b} },
		"act":         func(shown view.Page, path string) actForm { return actForm{shown, path} },
		"decisions":   func(shown view.Page, list []decision.Decision) decisionList { return decisionList{shown, list} },
	}
}

// balanceList is what the template of balances knows.
type balanceList struct {
	Page     view.Page
	Balances []evaluate.Balance
}

// badgeLine is what the template of a badge's state knows.
type badgeLine struct {
	Page  view.Page
	Badge badge.Badge
}

// actForm is what the template of a form knows that acts on what has a path.
type actForm struct {
	Page view.Page
	Path string
}

// decisionList is what the template of decisions knows.
type decisionList struct {
	Page      view.Page
	Decisions []decision.Decision
}

// jobList is what the template of a list of jobs knows; on a person's page all are the person's.
type jobList struct {
	Page    view.Page
	Jobs    jobsPage
	Names   view.Names
	Person  string
	Acts    bool
	Devices []string
}

// jobList is a list on a page; one that reloads itself has no form, as reloading loses what is chosen.
func (p *Pages) jobList(shown view.Page, jobs jobsPage) jobList {
	l := jobList{Page: shown, Jobs: jobs, Acts: shown.Operate && shown.Refresh == 0 && anyHeld(jobs.Jobs)}
	switch data := shown.Data.(type) {
	case personPage:
		l.Names, l.Person = data.Names, data.ID
	case consolePage:
		l.Names = data.Names
	}
	for _, d := range p.Devices {
		l.Devices = append(l.Devices, d.ID)
	}
	return l
}

func anyHeld(jobs []apiclient.JobEntry) bool {
	return slices.ContainsFunc(jobs, func(e apiclient.JobEntry) bool { return e.State == job.Held })
}

// ServeHTTP answers for a page. A form that another site sends is refused.
func (p *Pages) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	h := rw.Header()
	h.Set("Content-Security-Policy", view.Policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	req.Body = http.MaxBytesReader(rw, req.Body, maxForm)
	p.handler.ServeHTTP(view.Speak(rw, req), req)
}

func (p *Pages) notFound(rw http.ResponseWriter, _ *http.Request) {
	p.Site.Message(rw, http.StatusNotFound, "There is no such page",
		"Your own jobs are at /me, the console is at /, a release station at /station/ and the id of its device.")
}
