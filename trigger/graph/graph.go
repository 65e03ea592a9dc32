// Package graph is a typed, minimal client of Microsoft Graph for what the
// product needs of Universal Print, and the only home of Graph HTTP and OAuth.
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

	"pullprint/trigger/graph/transport"
)

// Auth says how the product proves who it is, by exactly one kind of credential.
type Auth struct {
	// ClientID is the application (client) id of the app registration.
	ClientID string `yaml:"client_id"`
	// ClientSecretFile holds the secret's value. It is read again for every
	// token, so that a new secret takes effect without a restart.
	ClientSecretFile string `yaml:"client_secret_file"`
	// CertificateFile and PrivateKeyFile hold a certificate and its key, in PEM; or
	// CertificateFile, named .pfx or .p12, holds both as PKCS #12, under the password
	// in CertificatePasswordFile if it has one. They are read again for every token.
	CertificateFile         string `yaml:"certificate_file"`
	PrivateKeyFile          string `yaml:"private_key_file"`
	CertificatePasswordFile string `yaml:"certificate_password_file"`
	// AssertionAlg is how the key of the certificate signs: PS256 (the default) or,
	// for a key that can't, RS256.
	AssertionAlg string `yaml:"assertion_alg"`
	// FederatedTokenFile holds a token that the app registration trusts, as that of
	// a Kubernetes service account.
	FederatedTokenFile string `yaml:"federated_token_file"`
	// ManagedIdentity is true on a machine in Azure that has an identity.
	ManagedIdentity bool `yaml:"managed_identity"`
}

// Kinds are the kinds of credentials that are configured, by their keys.
func (a Auth) Kinds() (kinds []string) {
	for _, k := range []struct {
		key string
		set bool
	}{
		{"client_secret_file", a.ClientSecretFile != ""},
		{"certificate_file", a.CertificateFile != "" || a.PrivateKeyFile != ""},
		{"federated_token_file", a.FederatedTokenFile != ""},
		{"managed_identity", a.ManagedIdentity},
	} {
		if k.set {
			kinds = append(kinds, k.key)
		}
	}
	return kinds
}

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
	Auth      Auth
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
	tokens    credential
	app       *tokens // nil with the token of a person
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
	c, at, err := blank(cfg, o)
	if err != nil {
		return nil, err
	}
	if c.app, err = newTokens(cfg, at, c); err != nil {
		return nil, err
	}
	c.tokens = c.app
	return c, nil
}

// blank makes a Client without a credential.
func blank(cfg Config, o Options) (*Client, addresses, error) {
	at, err := cfg.resolve()
	if err != nil {
		return nil, at, err
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
		return nil, at, err
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
	return c, at, nil
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
