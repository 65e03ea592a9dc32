// Package graph is a typed client for the part of Microsoft Graph that pullprint needs of
// Universal Print. With its packages auth and transport it is the only code that speaks HTTP
// to Graph and OAuth to Entra.
//
// A Client is safe for concurrent use. Reads are retried within a budget of 20 seconds. Writes
// are retried only when Graph certainly did not process them: refused with 429, refused with
// 401 (once), or never sent. Any other failure of a write is an *Error whose Ambiguous method
// tells whether the write may have taken effect; the caller then reads back.
//
// The bearer token is sent to the configured host only: redirects are not followed, and a
// nextLink must be below the configured base URL.
package graph

import (
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/transport"
)

// Endpoints replace the addresses of the cloud; empty ones do not. http is accepted for
// loopback hosts only.
type Endpoints struct {
	// Graph is the base URL with the version, as https://graph.microsoft.com/v1.0.
	Graph string `yaml:"graph"`
	// Authority is the token authority, as https://login.microsoftonline.com.
	Authority string `yaml:"authority"`
	// CAFile holds certificates, in PEM, of authorities to trust besides those of this machine:
	// that of a proxy that inspects TLS.
	CAFile string `yaml:"ca_file"`
}

// Config says which tenant of which cloud to call, and with how many requests at once.
type Config struct {
	// TenantID is the directory (tenant) id.
	TenantID string
	// Cloud is global (the default), us-l4 or us-l5
	// (https://learn.microsoft.com/graph/deployments).
	Cloud     string
	Endpoints Endpoints
	Auth      auth.Config
	// MaxConcurrent limits the requests under way at once; 0 means 64.
	MaxConcurrent int
}

// Options are what the process provides to a Client. All may be nil or empty.
type Options struct {
	Logger     *zap.Logger
	Registerer prometheus.Registerer
	// Transport replaces the default one. It is called once per try, and must not follow
	// redirects.
	Transport http.RoundTripper
	UserAgent string
}

// defaultConcurrent keeps a daemon far from Graph's throttling limits; more calls wait for
// their turn.
const defaultConcurrent = 64

// Client calls Graph as one app of one tenant, or as a person who signed in to it.
type Client struct {
	base      url.URL // no trailing slash
	tokens    tokenSource
	app       *auth.App    // nil with the token of a person
	person    *auth.Person // nil with the token of the app
	transport transport.Transport
	slots     chan struct{}
	agent     []string
	metrics   *metrics
	log       *zap.Logger
	clock     clock
	pauses    pauses
	last      atomic.Int64 // unix nanoseconds of LastSuccess
	silence   silence
}

// New returns a Client, after checking its configuration and reading the files of its
// credential. It starts nothing and makes no request. An error is permanent: fix the
// configuration.
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

// newClient returns a Client without a source of tokens, and the options for creating one.
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
	return c, auth.Options{
		TenantID: cfg.TenantID, Resource: at.resource, TokenURL: at.token, Transport: c.transport, Logger: c.log,
		Observe: func(status int, err error, began time.Time) { c.metrics.observe(signIn, label(status, err), began) },
	}, nil
}

// LastSuccess returns when Graph last answered as a working service does: with a 2xx, or a 4xx
// other than 401 and 429. It is zero before the first such answer.
func (c *Client) LastSuccess() time.Time {
	if n := c.last.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

// CloseIdleConnections closes the connections that no call uses. The Client can still be used.
func (c *Client) CloseIdleConnections() { c.transport.CloseIdleConnections() }
