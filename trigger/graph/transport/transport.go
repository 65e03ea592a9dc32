// Package transport sends requests to Microsoft Graph and its authority, for the client of
// Graph and for the sources of its tokens.
//
// It follows no redirect: a token must not reach a host that was not configured. It computes
// the waits between retries, and its errors never repeat what a server sent.
package transport

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Transport sends requests over connections that it reuses. It is safe for concurrent use.
type Transport interface {
	http.RoundTripper
	// Renew makes later requests use new connections, after a 503 to a request that began at
	// this time.
	Renew(began time.Time)
	// CloseIdleConnections closes the connections that no request uses.
	CloseIdleConnections()
}

// New returns given as a Transport or, if it is nil, a pool of connections for that many
// concurrent requests that trusts roots; nil means those of this machine.
func New(given http.RoundTripper, concurrent int, roots *x509.CertPool) Transport {
	if given != nil {
		return external{given}
	}
	p := &pool{concurrent: concurrent, roots: roots}
	p.current.Store(&generation{Transport: p.transport()})
	return p
}

// Client returns an http.Client over a Transport. It follows no redirect either.
func Client(t http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// external is a transport that the caller provided.
type external struct{ http.RoundTripper }

func (e external) Renew(time.Time) { e.CloseIdleConnections() }

func (e external) CloseIdleConnections() {
	if c, ok := e.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// pool is our own transport. A 503 can come from one overloaded machine behind the load
// balancer: the next try needs a new connection to reach another
// (https://learn.microsoft.com/graph/errors: 503). Closing idle connections isn't enough,
// because under load an HTTP/2 connection is rarely idle.
type pool struct {
	concurrent int
	roots      *x509.CertPool
	current    atomic.Pointer[generation]
}

type generation struct {
	*http.Transport
	since time.Time
}

// renewPause limits new connections to one a second, when a server answers many requests with
// 503.
const renewPause = time.Second

func (p *pool) RoundTrip(r *http.Request) (*http.Response, error) {
	return p.current.Load().RoundTrip(r)
}

func (p *pool) Renew(began time.Time) {
	old := p.current.Load()
	if began.Before(old.since) || time.Since(old.since) < renewPause {
		return // the request used older connections, or these are new
	}
	if p.current.CompareAndSwap(old, &generation{Transport: p.transport(), since: time.Now()}) {
		old.CloseIdleConnections() // connections in use close once their answers are read
	}
}

func (p *pool) CloseIdleConnections() { p.current.Load().CloseIdleConnections() }

// transport returns an http.Transport with as many idle connections as concurrent requests. The
// context of each request limits how long its answer may take.
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
		DisableCompression:     true, // answers are small and few
	}
}
