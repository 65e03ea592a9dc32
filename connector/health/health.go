// Package health serves readiness with its checks, liveness and the metrics, on a listener of
// its own. Checks get a context that ends after two seconds.
package health

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// checkWithin bounds the checks of one request: probes of Kubernetes usually wait 1 to 5 s.
const checkWithin = 2 * time.Second

// Check is one condition for the daemon to be ready. Ready must be quick and safe for
// concurrent use; its error says what is wrong and what will happen or has to be done, and
// contains no secret.
type Check struct {
	Name  string
	Ready func(ctx context.Context) error
}

// Checks answer /healthz and /readyz.
type Checks struct {
	// Lives, when set, says why only a restart can help, or nil. It is set before
	// the first request.
	Lives func() error

	checks  []Check
	advices []Check

	mu       sync.Mutex // guards stopping
	stopping bool
}

// New is ready when all checks are.
func New(checks ...Check) *Checks { return &Checks{checks: checks} }

// Advise adds checks that do not affect readiness: what they find is shown with the others.
// It is called before the first request.
func (h *Checks) Advise(advices ...Check) { h.advices = append(h.advices, advices...) }

// Stop makes the daemon unready for good, so that nobody sends it new work.
func (h *Checks) Stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopping = true
}

// Live answers 200 while the process answers, and 503 when only a restart can help.
func (h *Checks) Live(rw http.ResponseWriter, _ *http.Request) {
	plain(rw)
	if h.Lives != nil {
		if err := h.Lives(); err != nil {
			rw.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(rw, err)
			return
		}
	}
	fmt.Fprintln(rw, "ok")
}

// Ready answers 200 when every check succeeds and 503 otherwise; with ?verbose it lists each
// check. ?exclude=NAME leaves one out: a load balancer that sends traffic to ready instances
// only must not wait for a subscription, because it takes traffic to get one.
func (h *Checks) Ready(rw http.ResponseWriter, req *http.Request) {
	ctx, cancel := context.WithTimeout(req.Context(), checkWithin)
	defer cancel()
	query := req.URL.Query()
	excluded := query["exclude"]
	plain(rw)
	if known := h.names(); slices.ContainsFunc(excluded, func(name string) bool { return !slices.Contains(known, name) }) {
		// A misspelt name would exclude nothing, unnoticed.
		rw.WriteHeader(http.StatusBadRequest)
		fmt.Fprintln(rw, "exclude: no such check; they are", strings.Join(known, ", "))
		return
	}
	results := h.run(ctx, excluded)
	ready := !slices.ContainsFunc(results, func(r Result) bool { return r.state == stateFailed })
	if !ready {
		rw.WriteHeader(http.StatusServiceUnavailable)
	}
	if query.Has("verbose") || !ready {
		for _, r := range results {
			fmt.Fprintln(rw, r)
		}
	}
	if ready {
		fmt.Fprintln(rw, "ready")
	} else {
		fmt.Fprintln(rw, "not ready")
	}
}

// names are those of the checks.
func (h *Checks) names() []string {
	out := make([]string, len(h.checks))
	for i, c := range h.checks {
		out[i] = c.Name
	}
	return out
}

// The states of a check.
const (
	stateOK       = '+'
	stateFailed   = '-'
	stateExcluded = ' '
	stateAdvice   = '!' // changes nothing about readiness
)

// Result is the result of one check.
type Result struct {
	Name string
	// Err is why it failed, or what is advised.
	Err error

	state rune
}

// OK reports whether the check succeeded.
func (r Result) OK() bool { return r.state == stateOK }

// Text is the result without the name of the check.
func (r Result) Text() string {
	switch {
	case r.Err != nil:
		return r.Err.Error()
	case r.state == stateExcluded:
		return "excluded"
	}
	return "ok"
}

// String is a line of /readyz.
func (r Result) String() string { return fmt.Sprintf("[%c] %s: %s", r.state, r.Name, r.Text()) }

var errStopping = errors.New("stopping")

// Results runs every check, for checkWithin at most.
func (h *Checks) Results(ctx context.Context) []Result {
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	return h.run(ctx, nil)
}

// run runs every check but the excluded ones.
func (h *Checks) run(ctx context.Context, excluded []string) (results []Result) {
	h.mu.Lock()
	if h.stopping {
		results = append(results, Result{"daemon", errStopping, stateFailed})
	}
	h.mu.Unlock()
	for _, c := range h.checks {
		if slices.Contains(excluded, c.Name) {
			results = append(results, Result{c.Name, nil, stateExcluded})
		} else if err := c.Ready(ctx); err != nil {
			results = append(results, Result{c.Name, err, stateFailed})
		} else {
			results = append(results, Result{c.Name, nil, stateOK})
		}
	}
	for _, c := range h.advices {
		if err := c.Ready(ctx); err != nil {
			results = append(results, Result{c.Name, err, stateAdvice})
		}
	}
	return results
}

func plain(rw http.ResponseWriter) {
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	rw.Header().Set("X-Content-Type-Options", "nosniff")
	rw.Header().Set("Cache-Control", "no-store")
}

// Collector exports each check as the metric pullprint_ready.
func (h *Checks) Collector() prometheus.Collector { return readiness{h} }

var readyDesc = prometheus.NewDesc("pullprint_ready", "1 when this check of /readyz is well, else 0.",
	[]string{"check"}, nil)

// readiness runs the checks at each scrape.
type readiness struct{ h *Checks }

func (r readiness) Describe(ch chan<- *prometheus.Desc) { ch <- readyDesc }

func (r readiness) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), checkWithin)
	defer cancel()
	for _, c := range r.h.checks {
		value := 1.0
		if c.Ready(ctx) != nil {
			value = 0
		}
		ch <- prometheus.MustNewConstMetric(readyDesc, prometheus.GaugeValue, value, c.Name)
	}
}
