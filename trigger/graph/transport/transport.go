// Package transport sends requests to Microsoft Graph and its authority, for the client of
// Graph and for the sources of its tokens.
//
// It follows no redirect: a token must not reach a host that was not configured. It says how
// long to wait between tries, and its errors never repeat what a server sent.
package transport

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Transport sends one request at a time over connections that it keeps. It is safe for
// concurrent use.
type Transport interface {
	http.RoundTripper
	// Renew makes later requests use new connections, after a 503 to a request that
	// began at this time.
	Renew(began time.Time)
	// CloseIdleConnections closes the connections that no request uses now.
	CloseIdleConnections()
}

// New returns given as a Transport or, if it is nil, a pool of connections for that many
// requests at once, which trusts roots; nil are those of this machine.
func New(given http.RoundTripper, concurrent int, roots *x509.CertPool) Transport {
	if given != nil {
		return external{given}
	}
	p := &pool{concurrent: concurrent, roots: roots}
	p.current.Store(&generation{Transport: p.transport()})
	return p
}

// Client is an http.Client over a Transport; like that, it follows no redirect.
func Client(t http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// external is a transport that belongs to the caller.
type external struct{ http.RoundTripper }

func (e external) Renew(time.Time) { e.CloseIdleConnections() }

func (e external) CloseIdleConnections() {
	if c, ok := e.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// pool is our own transport. A 503 can come from one overloaded machine behind
// the balancer: the next try has to go over a new connection to reach another
// (https://learn.microsoft.com/graph/errors: 503). Closing the idle connections
// isn't enough, as an HTTP/2 one is hardly ever idle under load.
type pool struct {
	concurrent int
	roots      *x509.CertPool
	current    atomic.Pointer[generation]
}

type generation struct {
	*http.Transport
	since time.Time
}

// renewPause keeps a server that answers every second call with 503 from
// costing a handshake each.
const renewPause = time.Second

func (p *pool) RoundTrip(r *http.Request) (*http.Response, error) {
	return p.current.Load().RoundTrip(r)
}

func (p *pool) Renew(began time.Time) {
	old := p.current.Load()
	if began.Before(old.since) || time.Since(old.since) < renewPause {
		return // it came over older connections, or these are new
	}
	if p.current.CompareAndSwap(old, &generation{Transport: p.transport(), since: time.Now()}) {
		old.CloseIdleConnections() // those in use close when their answer is read
	}
}

func (p *pool) CloseIdleConnections() { p.current.Load().CloseIdleConnections() }

// transport returns a tuned http.Transport, with as many idle connections as requests at
// once. How long an answer may take is up to the context of each request.
func (p *pool) transport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: p.roots},
		TLSHandshakeTimeout:    5 * time.Second,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
		MaxIdleConns:           2*p.concurrent + 2,
		MaxIdleConnsPerHost:    p.concurrent + 1,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // answers are small, and few
	}
}
