package graph

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"pullprint/trigger/graph/transport"
)

// Reach is the result of trying to reach a host, step by step.
type Reach struct {
	// Host is its name and port.
	Host string
	// Step is the one that failed, with Err: resolve, connect, tls or http. It is empty if none
	// did.
	Step string
	Err  error
	// Proxy is the name and port of the proxy on the way, or empty; the steps resolve and
	// connect are then those to the proxy.
	Proxy string
	// Issuer is the root that signed the certificate of the host, Expires the end of its
	// validity; both are empty without TLS.
	Issuer  string
	Expires time.Time
	// Skew is how far this machine's clock is ahead of the host's, to about a second; zero if
	// the host did not tell its time.
	Skew time.Duration
}

// reachTimeout bounds all steps to one host.
const reachTimeout = 10 * time.Second

// Reachable tries to reach Graph and the token authority, without a token and without the
// connections of a Client. If the environment names a proxy, the first steps are those to the
// proxy, which resolves and connects for us.
func Reachable(ctx context.Context, cfg Config) ([]Reach, error) {
	at, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	authority, err := url.Parse(at.token)
	if err != nil {
		return nil, errInvalid
	}
	roots, err := cfg.Endpoints.roots()
	if err != nil {
		return nil, err
	}
	return []Reach{reach(ctx, &at.graph, roots), reach(ctx, authority, roots)}, nil
}

func reach(ctx context.Context, u *url.URL, roots *x509.CertPool) Reach {
	r := Reach{Host: net.JoinHostPort(u.Hostname(), port(u))}
	failed := func(step string, err error) Reach { r.Step, r.Err = step, transport.Error{Cause: err}; return r }
	first := u // the host to connect to
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); err != nil {
		return failed("http", err)
	} else if proxy != nil {
		first, r.Proxy = proxy, net.JoinHostPort(proxy.Hostname(), port(proxy))
	}
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	if _, err := net.DefaultResolver.LookupHost(ctx, first.Hostname()); err != nil {
		return failed("resolve", err)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(first.Hostname(), port(first)))
	if err != nil {
		return failed("connect", err)
	}
	_ = conn.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, u.Scheme+"://"+u.Host+"/", nil)
	if err != nil {
		return failed("http", errInvalid)
	}
	client := &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	var untrusted *tls.CertificateVerificationError
	var broken tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.As(err, &untrusted), errors.As(err, &broken), errors.As(err, &alert):
		return failed("tls", err)
	case err != nil:
		return failed("http", err)
	}
	defer res.Body.Close()
	if res.TLS != nil && len(res.TLS.VerifiedChains) > 0 {
		chain := res.TLS.VerifiedChains[0]
		by := chain[len(chain)-1].Subject
		r.Issuer, r.Expires = cmp.Or(by.CommonName, by.String()), chain[0].NotAfter
	}
	r.Skew, _ = transport.Skew(res.Header)
	return r
}

// Roles returns the application permissions in the current token. Entra documents tokens as
// opaque to clients, so this is for diagnosis only. ok is false if the token does not tell.
func (c *Client) Roles(ctx context.Context) (roles []string, ok bool, err error) {
	b, err := c.tokens.Token(ctx)
	if err != nil {
		return nil, false, err
	}
	parts := strings.Split(strings.TrimPrefix(b.Header()[0], "Bearer "), ".")
	if len(parts) != 3 {
		return nil, false, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, false, nil //nolint:nilerr // a token of another form is no error
	}
	var claims struct {
		Roles []string `json:"roles"`
	}
	if json.Unmarshal(raw, &claims) != nil || claims.Roles == nil {
		return nil, false, nil
	}
	slices.Sort(claims.Roles)
	return claims.Roles, true, nil
}
