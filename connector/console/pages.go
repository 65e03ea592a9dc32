// Package console serves the pages for people: the console for those who run the service,
// the release stations beside the printers, and a page of one's own. They are forms and tables that work without
// a script; a station's has one for its reader. Whatever a page has done is done by package
// admin, and audited as there.
package console

import (
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/access"
	"pullprint/connector/admin"
	"pullprint/connector/catalog"
	"pullprint/connector/directory"
	"pullprint/connector/evaluate"
	"pullprint/connector/health"
	"pullprint/connector/index"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/connector/tap"
	"pullprint/policy/badge"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// maxForm bounds a form: a card and a ticket are far less, and so is a reason that an
// operator writes.
const maxForm = 64 << 10

//go:embed pages
var pageFiles embed.FS

// pagePolicy is what a page may load: our own style sheet and nothing else. The pages of a
// station have a script, which requests further pages of ours.
const pagePolicy = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri " +
	"'none'; frame-ancestors 'none'"

const stationPolicy = pagePolicy + "; script-src 'self'; connect-src 'self'"

// Jobs lists and ends jobs as the HTTP API does, and audits what is asked for; *admin.API
// is one.
type Jobs interface {
	// List is the first page of those that fit; in an error the owner is called by field.
	List(ctx context.Context, field string, f admin.JobFilter, limit int) (admin.JobList, error)
	Record(ctx context.Context, ref graph.Ref) (job.Record, error)
	Job(ctx context.Context, ref graph.Ref) (admin.JobDetail, error)
	Cancel(ctx context.Context, c release.Cancellation) (release.Refused, error)
	StoreAction(ctx context.Context, about admin.Action) error
}

// Deps are the dependencies of the pages. Badges and Taps are nil when no badges are configured.
type Deps struct {
	Jobs     Jobs
	Releaser *release.Releaser
	Taps     *tap.Taps
	Badges   *badge.Registry
	// Users finds people by object id; nil without access to Entra.
	Users directory.Finder
	// Graph is read for what a station shows; nil without.
	Graph    Graph
	Tokens   *access.Tokens
	Sessions *access.Sessions
	// SignIn signs people in with Entra; nil when only tokens do. Account is for their own page.
	SignIn  *access.SignIn
	Account func(ctx context.Context, a quota.Account) (evaluate.AccountStatus, error)
	Visits  *Visits
	Recent  *Recent
	Health  *health.Checks
	// Held is how many jobs each queue holds, by its name.
	Held func() map[string]int
	// Failures are the n printers at which most jobs failed since a time; nil shows none.
	Failures func(since time.Time, n int) []index.Failures
	// Swept is when this instance last swept; zero when another does.
	Swept func() time.Time
	// Zone is the one in which times are shown when the stations have none of their own.
	Zone    func() *time.Location
	Station Config
	Queues  []printer.Queue
	Devices []printer.Device
	// DeviceEntries are the devices as the API lists them.
	DeviceEntries func() []admin.DeviceEntry
	Logger        *zap.Logger
}

// Pages are the console and the release stations. They sign people in by the tokens of the
// API, and with Entra.
type Pages struct {
	Deps
	templates map[string]*template.Template
	script    string // where that of a station is, and which one
	catalog   *catalog.Catalog
	zone      *time.Location // of the stations; nil is Zone
	people    *people
	results   formResults
	log       *zap.Logger
	handler   http.Handler
}

// NewPages reads the templates; it starts nothing.
func NewPages(d Deps) (*Pages, error) {
	p := &Pages{
		Deps: d, templates: map[string]*template.Template{}, log: d.Logger.Named("admin"), people: newPeople(d.Graph),
	}
	if err := p.load(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServerFS(mustSub(pageFiles))))
	for pattern, handle := range p.routes() {
		mux.HandleFunc(pattern, handle)
	}
	if p.SignIn != nil {
		for pattern, handle := range p.personRoutes() {
			mux.HandleFunc(pattern, handle)
		}
	}
	mux.HandleFunc("/", p.notFound)
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(p.crossOrigin))
	p.handler = protection.Handler(mux)
	return p, nil
}

// load reads what the pages are made of.
func (p *Pages) load() (err error) {
	if p.script, err = stationScript(); err != nil {
		return err
	}
	if p.catalog, err = catalog.Load(); err != nil {
		return err
	}
	if z := p.Station.Zone; z != "" {
		if p.zone, err = time.LoadLocation(z); err != nil {
			return fmt.Errorf("station.zone: %w", err)
		}
	}
	for _, name := range []string{
		"login", "signin", "refused", "me", "mecancel", "console", "job", "station", "jobs", "done", "options", "enrol", "message",
	} {
		t, err := template.New("").Funcs(functions).Funcs(p.times()).ParseFS(
			pageFiles, "pages/layout.html", "pages/card.html", "pages/waiting.html", "pages/"+name+".html")
		if err != nil {
			return err
		}
		p.templates[name] = t
	}
	return nil
}

// routes are all pages and forms. Each handler asks who is there: reader and operator at the
// console, at at a station.
func (p *Pages) routes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /{$}":                           p.console,
		"POST /login":                        p.login,
		"POST /logout":                       p.logout,
		"GET /jobs/{printer}/{job}":          p.job,
		"POST /jobs/{printer}/{job}/cancel":  p.cancelJob,
		"POST /jobs/{printer}/{job}/release": p.releaseJob,
		"GET /station/{device}":              p.station,
		"POST /station/{device}/login":       p.stationLogin,
		"POST /station/{device}/jobs":        p.stationJobs,
		"GET /station/{device}/jobs":         p.stationVisit,
		"POST /station/{device}/release":     p.stationRelease,
		"POST /station/{device}/cancel":      p.stationCancel,
		"POST /station/{device}/options":     p.stationOptions,
		"GET /station/{device}/progress":     p.stationProgress,
		"POST /station/{device}/leave":       p.stationLeave,
		"GET /station/{device}/enrol":        p.stationEnrol,
		"POST /station/{device}/enrol":       p.stationRedeem,
		"GET /station/{device}/{page}":       p.stationAgain,
	}
}

// crossOrigin refuses a form that another site sent, with a link back.
func (p *Pages) crossOrigin(rw http.ResponseWriter, req *http.Request) {
	home := consoleHome
	if rest, ok := strings.CutPrefix(req.URL.Path, "/station/"); ok {
		device, _, _ := strings.Cut(rest, "/")
		home = stationPath(device)
	}
	p.show(rw, http.StatusForbidden, "message", page{
		Title: "The form was not sent from this site", Home: home,
		Data: "If it was, a proxy changes the name of the host: let it keep the header Host.",
	})
}

// stationScript is the address of the script of a station, with a hash of the script and the
// style sheet. A station's browser keeps those of the page that it loaded first, and reloads
// the page when the address has changed.
func stationScript() (string, error) {
	sum := sha256.New()
	for _, name := range []string{"station.js", "style.css"} {
		text, err := pageFiles.ReadFile("pages/" + name)
		if err != nil {
			return "", err
		}
		sum.Write(text)
	}
	return "/assets/station.js?v=" + hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

// times are the functions of the templates for times, which are shown in the zone of the stations, or
// else in Zone.
func (p *Pages) times() template.FuncMap {
	zone := func() *time.Location { return cmp.Or(p.zone, p.Zone()) }
	in := func(layout string) func(t time.Time) string {
		return func(t time.Time) string { return t.In(zone()).Format(layout) }
	}
	return template.FuncMap{
		"clock": in("Mon 15:04 MST"), "date": in("Mon 2 Jan 15:04 MST"),
		"moment": in("Mon 2 Jan 15:04:05 MST"), // steps of a job are seconds apart
		"until": func(now, t time.Time) string {
			return p.catalog.Choose().Until(now.In(zone()), t.In(zone()))
		},
	}
}

// part is an amount out of another: the unit is written once when both have the same.
func part(left, limit string) string {
	n, unit, _ := strings.Cut(left, " ")
	all, of, _ := strings.Cut(limit, " ")
	if strings.TrimSuffix(unit, "s") == strings.TrimSuffix(of, "s") {
		return n + " of " + all
	}
	return left + " of " + limit
}

// ServeHTTP answers for a page. A form that another site sends is refused.
func (p *Pages) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	h := rw.Header()
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	req.Body = http.MaxBytesReader(rw, req.Body, maxForm)
	p.handler.ServeHTTP(spoken{rw, req.Header.Get("Accept-Language")}, req)
}

// page is what every page knows.
type page struct {
	Title string
	// Refresh, when set, makes the browser go to Then after so many seconds.
	Refresh int
	Then    string
	// Script is where the page's script is, if it has one.
	Script string
	// Caller is who is signed in at the console.
	Caller  string
	Operate bool
	// Person is set when that is a person, ByToken when a token is used where people can sign in.
	Person, ByToken bool
	Now             time.Time
	// Home is where a message leads to, if anywhere.
	Home string
	// Wrong is what was wrong with what was sent.
	Wrong string
	Data  any
	// In is the language of a station's page; that of the console is English.
	In words
}

func (p *Pages) show(rw http.ResponseWriter, status int, name string, data page) {
	data.Now = time.Now()
	if s, station := data.Data.(stationPage); station {
		if away, ok := rw.(byAddress); ok {
			away.lead(name, s, data.Wrong)
			return
		}
		data.Script, data.Data = p.script, p.placed(s)
		data.In = p.words(s.languages, wished(rw))
		data.Title, data.Wrong = data.In.Text(data.Title), data.In.message(data.Wrong)
		rw.Header().Set("Content-Security-Policy", stationPolicy)
	}
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	rw.WriteHeader(status)
	if err := p.execute(rw, name, data); err != nil {
		p.log.Debug("page not sent", zap.String("page", name), zap.Error(err))
	}
}

// execute writes a page; one that has no language is English.
func (p *Pages) execute(to io.Writer, name string, data page) error {
	if data.In.zone == nil {
		data.In = p.words("en")
	}
	return p.templates[name].ExecuteTemplate(to, "layout", data)
}

func (p *Pages) notFound(rw http.ResponseWriter, _ *http.Request) {
	p.message(rw, http.StatusNotFound, "There is no such page",
		"Your own jobs are at /me, the console is at /, a release station at /station/ and the id of its device.")
}

func (p *Pages) message(rw http.ResponseWriter, status int, title, text string) {
	p.show(rw, status, "message", page{Title: title, Data: text})
}

// fail shows at the console what an error means to a person, and leads back.
func (p *Pages) fail(rw http.ResponseWriter, err error) {
	pr, logged := admin.ProblemOf(err)
	if logged {
		p.log.Warn("page failed", zap.Error(err))
	}
	p.show(rw, pr.Status, "message", page{Title: pr.Title, Data: pr.Detail, Home: consoleHome})
}
