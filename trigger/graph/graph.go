// Package graph is a typed, minimal client of Microsoft Graph for what the
// product needs of Universal Print. With its packages auth and transport it is the only
// code that speaks HTTP to Graph and OAuth to Entra.
//
// A Client is safe for concurrent use. Reads are tried again within a budget of
// 20 seconds. Writes are tried again only when Graph surely did not process
// them: refused with 429, refused with 401 (once), or never sent. Everything
// else that can leave a write half known is an *Error whose Ambiguous method
// says so, and the caller reads back.
//
// The bearer token goes to the configured host and nowhere else: redirects are
// not followed, and a nextLink must stay below the configured base URL.
package graph

import (
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/transport"
)

// Endpoints replaces the addresses of the cloud; empty ones stay as they are.
// http is accepted for loopback hosts only.
type Endpoints struct {
	// Graph is the base URL with the version, as https://graph.microsoft.com/v1.0.
	Graph string `yaml:"graph"`
	// Authority is the token authority, as https://login.microsoftonline.com.
	Authority string `yaml:"authority"`
	// CAFile holds certificates, in PEM, of authorities that are trusted besides
	// those of this machine: that of a proxy that opens connections.
	CAFile string `yaml:"ca_file"`
}

// Config says which tenant of which cloud to talk to, and how hard.
type Config struct {
	// TenantID is the directory (tenant) id.
	TenantID string
	// Cloud is global (the default), us-l4 or us-l5
	// (https://learn.microsoft.com/graph/deployments).
	Cloud     string
	Endpoints Endpoints
	Auth      auth.Config
	// MaxConcurrent caps the requests under way at once; 0 means 64.
	MaxConcurrent int
	// RatePerSecond caps the requests begun per second, with bursts of one
	// second's worth; 0 means no such cap.
	RatePerSecond float64
}

// Options are what a Client takes from the process it lives in. All may be nil
// or empty.
type Options struct {
	Logger     *zap.Logger
	Registerer prometheus.Registerer
	// Transport replaces the tuned one. It gets one call per try, and must not
	// follow redirects.
	Transport http.RoundTripper
	UserAgent string
}

const defaultConcurrent = 64

// Client talks to Graph as one app of one tenant.
type Client struct {
	base      url.URL // no trailing slash
	tokens    tokenSource
	app       *auth.App    // nil with the token of a person
	person    *auth.Person // nil with the token of the app
	transport transport.Transport
	slots     chan struct{}
	limiter   *rate.Limiter // nil: none
	agent     []string
	metrics   *metrics
	log       *zap.Logger
	clock     clock
	pauses    pauses
	last      atomic.Int64 // unix nanoseconds of LastSuccess
	silence   silence
}

// New makes a Client and checks its configuration, with the secret file. It
// starts nothing and calls nobody. An error here is final: fix the configuration.
func New(cfg Config, o Options) (*Client, error) {
	c, ao, err := newClient(cfg, o)
	if err != nil {
		return nil, err
	}
	if c.app, err = auth.NewApp(cfg.Auth, ao); err != nil {
		return nil, err
	}
	c.tokens = c.app
	return c, nil
}

// newClient makes a Client without a source of tokens, and the options of one.
func newClient(cfg Config, o Options) (*Client, auth.Options, error) {
	at, err := cfg.resolve()
	if err != nil {
		return nil, auth.Options{}, err
	}
	if cfg.MaxConcurrent <= 0 {
		cfg.MaxConcurrent = defaultConcurrent
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.UserAgent == "" {
		o.UserAgent = "pullprint"
	}
	roots, err := cfg.Endpoints.roots()
	if err != nil {
		return nil, auth.Options{}, err
	}
	c := &Client{
		base:      at.graph,
		transport: transport.New(o.Transport, cfg.MaxConcurrent, roots),
		slots:     make(chan struct{}, cfg.MaxConcurrent),
		agent:     []string{o.UserAgent},
		metrics:   newMetrics(o.Registerer),
		log:       o.Logger.Named("graph"),
	}
	c.clock.skew, c.clock.log = c.metrics.skew, c.log
	if cfg.RatePerSecond > 0 {
		c.limiter = rate.NewLimiter(rate.Limit(cfg.RatePerSecond), max(1, int(cfg.RatePerSecond)))
	}
	return c, auth.Options{
		TenantID: cfg.TenantID, Resource: at.resource, TokenURL: at.token, Transport: c.transport, Logger: c.log,
		Observe: func(status int, err error, began time.Time) { c.metrics.observe(signIn, label(status, err), began) },
	}, nil
}

// LastSuccess is when Graph last answered like one that is there: any 2xx, or a
// 4xx other than 401 and 429. It is zero before the first such answer.
func (c *Client) LastSuccess() time.Time {
	if n := c.last.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

// CloseIdleConnections closes the connections that no call uses now. The Client
// stays usable.
func (c *Client) CloseIdleConnections() { c.transport.CloseIdleConnections() }
