// Package admin is the HTTP API below /v1/. Whatever changes something is
// authorized by the role of a token and stored in the audit before it is carried out; what a
// caller can use up of the process is bounded.
package admin

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/access"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/cache"
	"pullprint/connector/delegation"
	"pullprint/connector/directory"
	"pullprint/connector/evaluate"
	"pullprint/connector/health"
	"pullprint/connector/index"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/connector/privacy"
	"pullprint/connector/release"
	"pullprint/connector/sweep"
	"pullprint/connector/tap"
	"pullprint/policy/badge"
	"pullprint/policy/pin"
)

// The bounds of a request.
const (
	maxBody   = 64 << 10 // no body but an import needs more than some KiB
	maxImport = 16 << 20 // a line of a badge has about 80 bytes: 200,000 badges
	// maxRequests is how many requests are carried out at once. A thousand readers with a tap
	// every ten seconds each need 100, when a release takes a second.
	maxRequests = 256
	// maxImports is how many imports are carried out at once. Each needs 20 MiB for its rows
	// and makes seven times that to collect; the process may have 512 MiB.
	maxImports = 4
)

// Deps are the dependencies of the API. Badges and Taps are nil when no badges are configured.
type Deps struct {
	Jobs      *job.Store
	Index     *index.Index
	Evaluator *evaluate.Evaluator
	Releaser  *release.Releaser
	Taps      *tap.Taps
	// Readers knows when readers were last heard of; nil tells nothing of it.
	Readers     *tap.Readers
	Badges      *badge.Registry
	PINs        *pin.PINs // nil without badges
	Delegations *delegation.Store
	People      *privacy.People
	// Users finds people by user name; nil without access to Entra.
	Users directory.Finder
	// Visits ends the visit of whoever is at a device's station, as a card was shown there; nil
	// without stations.
	Visits interface {
		End(ctx context.Context, device string) error
	}
	// Forget takes a person's decisions out of what is shown; nil when nothing is kept.
	Forget  func(owner string)
	Audit   Audit
	Ledger  Ledger
	History History
	// Backup writes a copy of everything that is stored.
	Backup func(ctx context.Context, w io.Writer) (held time.Duration, err error)
	Tokens *access.Tokens
	// Sessions are those of people who signed in with Entra, if they can; nil when nobody has one.
	Sessions *access.Sessions
	// Phones makes the links of devices; nil when nobody signs in with Entra.
	Phones Phones
	Health *health.Checks
	// TellUsage sets the gauges of a comparison with Graph's own report.
	TellUsage func(u sweep.UsageDay, now time.Time)
	Queues    []printer.Queue
	Devices   []printer.Device
	Process   Process
	Instance  string
	Logger    *zap.Logger
}

// API is the HTTP API: routes, who may use them, and what they do.
type API struct {
	Deps
	log     *zap.Logger
	mux     *http.ServeMux
	slots   chan struct{} // one for each request that is carried out
	imports chan struct{} // the same, of imports
	shares  cache.Shares  // of tokens
}

// audience says who may use a route.
type audience string

const (
	// forAll needs no token: the answer is not secret.
	forAll audience = "all"
	// forReaders needs the token of the device, or operate.
	forReaders audience = "reader"
	forRead    audience = audience(access.RoleRead)
	forOperate audience = audience(access.RoleOperate)
	forAdmin   audience = audience(access.RoleAdmin)
)

// route is one entry of the API. The authorization test walks this list.
type route struct {
	method, path string
	audience     audience
	// action names the route in the audit; a route that changes something has one.
	action string
	limit  int64
	// within is how long the answer may take; 0 is answerWithin.
	within time.Duration
	do     func(a *API, r *request) (any, error)
}

// request is one call of a route.
type request struct {
	*http.Request
	caller access.Caller
	audit  func(ctx context.Context, about apiclient.Action) error
}

//go:embed openapi.json
var openAPI []byte

// actionTap is a badge that was shown with another token than that of the device's
// reader. What a reader does is in the decisions.
const actionTap = "tap"

// reads is a route that changes nothing.
func reads(path string, who audience, do func(*API, *request) (any, error)) route {
	return route{method: http.MethodGet, path: path, audience: who, do: do}
}

// changes is a route with a small body that changes something, which is audited as action.
func changes(method, path string, who audience, action string, do func(*API, *request) (any, error)) route {
	return route{method: method, path: path, audience: who, action: action, limit: maxBody, do: do}
}

// taking is a route whose answer may take long.
func (r route) taking(within time.Duration) route {
	r.within = within
	return r
}

// routes are all routes of the API.
func routes() []route {
	return []route{
		reads("/v1/openapi.json", forAll, func(*API, *request) (any, error) { return json.RawMessage(openAPI), nil }),
		changes("POST", "/v1/taps", forReaders, actionTap, (*API).tap),
		reads("/v1/jobs", forRead, (*API).listJobs),
		reads("/v1/jobs/{printer}/{job}", forRead, (*API).showJob),
		changes("POST", "/v1/jobs/{printer}/{job}/release", forOperate, "release", (*API).releaseJob),
		changes("POST", "/v1/jobs/{printer}/{job}/cancel", forOperate, "cancel", (*API).cancelJob),
		reads("/v1/badges", forRead, (*API).listBadges),
		changes("PUT", "/v1/badges", forOperate, "enrol", (*API).enrolBadge),
		changes("DELETE", "/v1/badges", forOperate, "revoke", (*API).revokeBadges),
		{
			method: http.MethodPost, path: "/v1/badges/import", audience: forOperate, action: "import",
			limit: maxImport, do: (*API).importBadges,
		},
		changes("POST", "/v1/badges/codes", forOperate, "code", (*API).issueCode),
		reads("/v1/pins/{user}", forRead, (*API).showPIN),
		changes("POST", "/v1/pins/{user}/unlock", forOperate, "unlock-pin", (*API).unlockPIN),
		changes("DELETE", "/v1/pins/{user}", forOperate, "reset-pin", (*API).resetPIN),
		reads("/v1/quotas/{account}", forRead, (*API).showQuota),
		changes("PUT", "/v1/quotas/{account}", forAdmin, "set-quota", (*API).putQuota),
		changes("POST", "/v1/quotas/{account}/adjust", forAdmin, "adjust-quota", (*API).adjustQuota),
		reads("/v1/quotas/{account}/history", forRead, (*API).quotaHistory),
		changes("POST", "/v1/usage", forOperate, "usage", (*API).tellUsage),
		reads("/v1/delegations", forRead, (*API).listDelegations),
		changes("PUT", "/v1/delegations", forOperate, actionDelegate, (*API).putDelegation),
		changes("DELETE", "/v1/delegations", forOperate, actionUndelegate, (*API).removeDelegation),
		reads("/v1/devices", forRead, (*API).listDevices),
		reads("/v1/failures", forRead, (*API).listFailures),
		reads("/v1/devices/{device}/link", forOperate, (*API).showLink),
		changes("POST", "/v1/devices/{device}/link", forAdmin, "renew-link", (*API).renewLink),
		reads("/v1/decisions", forRead, (*API).listDecisions),
		reads("/v1/dead", forRead, (*API).listDead),
		reads("/v1/audit", forAdmin, (*API).listActions),
		reads("/v1/diagnostics", forAdmin, (*API).diagnose),
		reads("/v1/people", forOperate, (*API).userNames),
		reads("/v1/people/{user}", forAdmin, (*API).findPerson),
		changes("POST", "/v1/people/{user}/export", forAdmin, actionExport, (*API).exportPerson).taking(apiclient.PeopleTimeout),
		changes("POST", "/v1/people/{user}/erase", forAdmin, "erase-person", (*API).erasePerson).taking(apiclient.PeopleTimeout),
		changes("POST", "/v1/people/{user}/end-sessions", forAdmin, "end-sessions", (*API).endSessions).taking(apiclient.PeopleTimeout),
		changes("POST", "/v1/backup", forAdmin, "backup", (*API).backup),
	}
}

// NewAPI returns the API. It starts no goroutine.
func NewAPI(d Deps) *API {
	a := &API{Deps: d, log: d.Logger.Named("admin"), slots: make(chan struct{}, maxRequests), imports: make(chan struct{}, maxImports)}
	a.mount(routes())
	return a
}

func (a *API) mount(list []route) {
	a.mux = http.NewServeMux()
	for _, r := range list {
		a.mux.Handle(r.method+" "+r.path, a.handle(r))
	}
	a.mux.HandleFunc("/v1/", func(rw http.ResponseWriter, req *http.Request) {
		writeProblem(rw, failure(http.StatusNotFound, apiclient.NoSuchRoute, "There is no such address",
			"GET /v1/openapi.json lists them with their methods."))
	})
}

// ServeHTTP answers requests below /v1/.
func (a *API) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	h := rw.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	a.mux.ServeHTTP(rw, req)
}

// handle answers a route. A request takes one of maxRequests slots after its body was read and
// gives it back before its answer is sent, so that a slow client does not keep a slot. The
// exception is an import: its file is read while it holds the slot, for importWithin at most.
func (a *API) handle(r route) http.HandlerFunc {
	return func(rw http.ResponseWriter, req *http.Request) {
		caller, p := a.caller(r.audience, req)
		if p != nil {
			writeProblem(rw, p)
			return
		}
		if r.audience != forAll {
			free, p := a.share(caller)
			if p != nil {
				writeProblem(rw, p)
				return
			}
			defer free()
		}
		answer, err := a.call(r, caller, rw, req)
		if err != nil {
			p, logged := ProblemOf(err)
			if logged {
				a.log.Warn("request failed", zap.String("route", r.method+" "+r.path), zap.Error(err))
			}
			writeProblem(rw, p)
			return
		}
		if f, ok := answer.(file); ok {
			a.send(rw, f)
			return
		}
		writeJSON(rw, answer)
	}
}

// call reads the body and calls the function of the route.
func (a *API) call(r route, caller access.Caller, rw http.ResponseWriter, req *http.Request) (any, error) {
	if err := takeBody(r.limit, rw, req); err != nil {
		return nil, err
	}
	if r.within > 0 {
		// A writer that has no deadlines is a test's.
		_ = http.NewResponseController(rw).SetWriteDeadline(time.Now().Add(r.within))
	}
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	default:
		return nil, busy()
	}
	store := func(ctx context.Context, about apiclient.Action) error {
		about.Action, about.Actor = r.action, caller.Name
		return a.StoreAction(ctx, about)
	}
	return r.do(a, &request{Request: req, caller: caller, audit: store})
}

// takeBody reads a body of at most limit bytes. The body of an import is not read here but
// while it is processed.
func takeBody(limit int64, rw http.ResponseWriter, req *http.Request) error {
	if limit == 0 {
		return nil
	}
	req.Body = http.MaxBytesReader(rw, req.Body, limit)
	if limit > maxBody {
		// A writer that has no deadlines is a test's; the server has time-outs too.
		_ = http.NewResponseController(rw).SetReadDeadline(time.Now().Add(importWithin))
		return nil
	}
	body, err := io.ReadAll(req.Body)
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return failure(http.StatusRequestEntityTooLarge, "too-large", "The body is too large",
			fmt.Sprintf("At most %d bytes.", tooLarge.Limit))
	}
	if err != nil {
		return badRequest("the body ended early, or did not come in time")
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}
