package graph

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// wire sends requests. It follows no redirect: it knows of none.
type wire interface {
	http.RoundTripper
	// renew has the requests from now on go over new connections, after a 503 to
	// a request that began at this time.
	renew(began time.Time)
	closeIdle()
}

// newWire trusts roots; nil are those of this machine.
func newWire(given http.RoundTripper, concurrent int, roots *x509.CertPool) wire {
	if given != nil {
		return lent{given}
	}
	w := &pool{concurrent: concurrent, roots: roots}
	w.current.Store(&generation{Transport: w.transport()})
	return w
}

// lent is a transport that belongs to somebody else.
type lent struct{ http.RoundTripper }

func (l lent) renew(time.Time) { l.closeIdle() }

func (l lent) closeIdle() {
	if c, ok := l.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// pool is our own transport. A 503 can come from one overloaded machine behind
// the balancer: the next try has to go over a new connection to reach another
// (https://learn.microsoft.com/graph/errors: 503). Closing the idle connections
// isn't enough, as an HTTP/2 one is hardly ever idle under load.
type pool struct {
	concurrent int
	tls        *tls.Config // nil but in tests
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

func (p *pool) renew(began time.Time) {
	old := p.current.Load()
	if began.Before(old.since) || time.Since(old.since) < renewPause {
		return // it came over older connections, or these are new
	}
	if p.current.CompareAndSwap(old, &generation{Transport: p.transport(), since: time.Now()}) {
		old.CloseIdleConnections() // those in use close when their answer is read
	}
}

func (p *pool) closeIdle() { p.current.Load().CloseIdleConnections() }

// transport makes a tuned transport, with as many idle connections as calls at
// once. How long an answer may take is the business of each try's context.
func (p *pool) transport() *http.Transport {
	secure := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: p.roots}
	if p.tls != nil {
		secure = p.tls.Clone()
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        secure,
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
