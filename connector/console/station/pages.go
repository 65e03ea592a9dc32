// Package station serves the page beside a printer, where people show their badge, see what waits for
// them and release it. A page acts for nobody but the owner of the card that was shown last there.
// Whatever a page has done is done by packages release and admin, and audited as there.
package station

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/access"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/console/view"
	"pullprint/connector/directory"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/connector/tap"
	"pullprint/policy/badge"
)

//go:embed pages
var files embed.FS

// pagePolicy is what a page of a station may load: it has a script, which requests further pages of ours.
const pagePolicy = view.Policy + "; script-src 'self'; connect-src 'self'"

// Jobs ends jobs as the HTTP API does, and audits what is asked for; *admin.API is one.
type Jobs interface {
	Cancel(ctx context.Context, c release.Cancellation) (release.Refused, error)
	StoreAction(ctx context.Context, about apiclient.Action) error
}

// Deps are the dependencies of the stations. Badges and Taps are nil when no badges are configured.
type Deps struct {
	Site     *view.Site
	Jobs     Jobs
	Releaser *release.Releaser
	Taps     *tap.Taps
	Badges   *badge.Registry
	// Users finds people by object id; nil without access to Entra.
	Users    directory.Finder
	Tokens   *access.Tokens
	Sessions *access.Sessions
	Visits   *Visits
	Config   Config
	// OwnPage is the address at which people enrol their own badges; empty where they don't.
	OwnPage string
	// PINPage is the address at which people set their PINs; empty where they can't.
	PINPage string
	Devices []printer.Device
	// Heard is told of each page that a station has loaded; nil tells nobody.
	Heard func(ctx context.Context, device string)
	// PhoneCode is the code that a device's station shows to phones at a time, and for how much longer; empty
	// for none. It is nil without phones.
	PhoneCode func(device string, now time.Time) (code string, left time.Duration)
	Logger    *zap.Logger
}

// Pages are the stations. They are set up with the tokens of readers.
type Pages struct {
	Deps
	script  string // where that of a station is, and which one
	results formResults
	log     *zap.Logger
}

// New adds the pages of a station to the site; it starts nothing.
func New(d Deps) (*Pages, error) {
	script, err := scriptPath()
	if err != nil {
		return nil, err
	}
	return &Pages{Deps: d, script: script, log: d.Logger.Named("admin")}, d.Site.Add(view.Templates{
		Files: files, Funcs: template.FuncMap{"quote": lineOf, "options": optionsOf},
		Shared: []string{"card", "waiting"},
		Pages:  []string{"station", "jobs", "done", "options", "enrol", "claim", "pin", "name", "usecode", "newpin"},
	})
}

// Routes are all pages and forms. Each handler asks by at whether this browser is the station.
func (p *Pages) Routes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /station/{device}":          p.station,
		"POST /station/{device}/login":   p.stationLogin,
		"POST /station/{device}/jobs":    p.stationJobs,
		"GET /station/{device}/jobs":     p.stationVisit,
		"POST /station/{device}/release": p.stationRelease,
		"POST /station/{device}/cancel":  p.stationCancel,
		"POST /station/{device}/options": p.stationOptions,
		"GET /station/{device}/progress": p.stationProgress,
		"POST /station/{device}/leave":   p.stationLeave,
		"GET /station/{device}/enrol":    p.stationEnrol,
		"POST /station/{device}/enrol":   p.stationRedeem,
		"GET /station/{device}/claim":    p.byTicket(p.claimAgain),
		"GET /station/{device}/pin":      p.byTicket(p.pinAgain),
		"POST /station/{device}/pin":     p.stationEnterPIN,
		"GET /station/{device}/name":     p.stationName,
		"POST /station/{device}/name":    p.stationClaimName,
		"GET /station/{device}/code":     p.stationCode,
		"POST /station/{device}/code":    p.stationUseCode,
		"GET /station/{device}/{page}":   p.stationAgain,
	}
}

// scriptPath is the address of the script of a station, with a hash of the script and the
// style sheet. A station's browser keeps those of the page that it loaded first, and reloads
// the page when the address has changed.
func scriptPath() (string, error) {
	script, err := files.ReadFile("pages/station.js")
	if err != nil {
		return "", err
	}
	style, err := view.StyleSheet()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append(script, style...))
	return "/assets/station.js?v=" + hex.EncodeToString(sum[:8]), nil
}

// ServeScript answers with the script of a station.
func ServeScript(rw http.ResponseWriter, req *http.Request) {
	http.ServeFileFS(rw, req, files, "pages/station.js")
}

// show answers with a page; behind a form with a card it leads to one instead.
func (p *Pages) show(rw http.ResponseWriter, status int, name string, data view.Page) {
	if s, station := data.Data.(stationPage); station {
		if away, ok := rw.(byAddress); ok {
			away.lead(name, s, data.Wrong)
			return
		}
		data.Script, data.Data = p.script, p.placed(s)
		data.In = p.Site.Words(s.languages, view.Wished(rw))
		data.Title, data.Wrong = data.In.Text(data.Title), data.In.Message(data.Wrong)
		rw.Header().Set("Content-Security-Policy", pagePolicy)
	} else {
		data.In = p.Site.Words(view.Wished(rw))
		if data.Wrong != "" {
			data.Wrong = data.In.Text(data.Wrong)
		}
	}
	p.Site.Show(rw, status, name, data)
}
