package doctor

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"pullprint/trigger"
	"pullprint/trigger/graph"
)

// stepAdvice says what to do when a step to a host fails.
var stepAdvice = map[string]string{
	"resolve": "check the DNS server of this machine",
	"connect": "let the firewall pass outgoing connections to it, or name a proxy in HTTPS_PROXY",
	"tls":     "something between opens the connection, or the root certificates of this machine are old",
	"http":    "check the proxy in HTTPS_PROXY",
}

// The clock may be that wrong before Entra refuses assertions, and before it is
// worth a word.
const (
	skewBroken = 4 * time.Minute
	skewWarned = 30 * time.Second
)

func (ds *diagnostics) network(ctx context.Context) {
	hosts, err := graph.Reachable(ctx, ds.Config.Graph())
	if err != nil {
		ds.say("network", Failed, err.Error(), "correct the configuration")
		return
	}
	for i, r := range hosts {
		about := []string{"graph", "authority"}[i]
		if r.Step != "" {
			ds.say(about, Failed, fmt.Sprintf("%s can't be reached (%s): %v", r.Host, r.Step, r.Err), stepAdvice[r.Step])
			continue
		}
		text := r.Host + " answers"
		if r.Issuer != "" {
			text += fmt.Sprintf(", certificate by %s until %s", r.Issuer, r.Expires.Format(time.DateOnly))
		}
		ds.say(about, OK, text, "")
		skew := max(r.Skew, -r.Skew)
		switch {
		case i > 0:
		case skew >= skewBroken:
			ds.say("clock", Failed, fmt.Sprintf("it differs from Graph's by %s", skew),
				"let it be set by NTP: sign-in fails with a wrong clock")
		case skew >= skewWarned:
			ds.say("clock", Warning, fmt.Sprintf("it differs from Graph's by %s", skew), "let it be set by NTP")
		default:
			ds.say("clock", OK, "as Graph's", "")
		}
	}
}

// publicURL goes the way that Graph goes to the webhook, as far as it can be gone
// from here: name, connection, certificate, and Graph's own question. A machine need
// not reach its own public address: when Graph has been there, that is no failure.
func (ds *diagnostics) publicURL(ctx context.Context) {
	u, err := url.Parse(ds.Config.Webhook.PublicURL)
	if err != nil {
		return
	}
	if ip, err := netip.ParseAddr(u.Hostname()); u.Hostname() == "localhost" || (err == nil && ip.IsLoopback()) {
		if ds.Config.Endpoints.Graph == "" {
			ds.say("public url", Failed, "webhook.public_url is an address of this machine alone: Graph does not reach it",
				"write the https address at which the internet reaches this machine")
			return
		}
	} else if !ds.resolves(ctx, u.Hostname()) {
		return
	}
	for _, path := range []string{trigger.NotificationPath, trigger.LifecyclePath} {
		if !ds.echoes(ctx, strings.TrimRight(u.String(), "/")+path) {
			return
		}
	}
	ds.say("public url", OK, "it answers Graph's question: "+ds.Config.Webhook.PublicURL, "")
}

// worse is how bad it is that this machine does not reach its public address.
func (ds *diagnostics) worse() string {
	if !ds.live.IsZero() {
		return Warning // Graph does
	}
	return Failed
}

// fromElsewhere is what to do about what may be so from here alone.
const fromElsewhere = "try it from the internet; Graph asks from there: curl -X POST '%s?validationToken=x' has to " +
	"answer x"

func (ds *diagnostics) resolves(ctx context.Context, host string) bool {
	ctx, cancel := context.WithTimeout(ctx, nearby)
	defer cancel()
	list := []string{host}
	if _, err := netip.ParseAddr(host); err != nil && ds.dial == nil {
		if list, err = net.DefaultResolver.LookupHost(ctx, host); err != nil {
			ds.say("public url", ds.worse(), "the name "+host+" is not known here",
				"enter it into the public DNS: Graph has to find it")
			return false
		}
	}
	public := func(a string) bool {
		ip, err := netip.ParseAddr(a)
		return err == nil && !ip.IsPrivate() && !ip.IsLoopback()
	}
	if !slices.ContainsFunc(list, public) && ds.live.IsZero() && ds.dial == nil {
		ds.say("public url", Warning, host+" is a private address here: "+strings.Join(list, ", "),
			"look it up in the public DNS: Graph finds that one")
	}
	return true
}

// maxEcho is more than what is asked for.
const maxEcho = 4 << 10

// echoes asks as Graph does, and says what is wrong with the answer.
func (ds *diagnostics) echoes(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*nearby)
	defer cancel()
	token := "doctor " + rand.Text()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"?validationToken="+url.QueryEscape(token), nil)
	if err != nil {
		ds.say("public url", Failed, "webhook.public_url can't be asked", "correct it")
		return false
	}
	client := &http.Client{
		Transport: &http.Transport{
			DialContext: ds.dial, Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: ds.roots},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		ds.notReached(err, address)
		return false
	}
	defer res.Body.Close()
	if res.TLS != nil && strings.HasSuffix(address, trigger.NotificationPath) {
		ds.endsSoon(res.TLS.PeerCertificates[0])
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxEcho))
	kind, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	switch {
	case err == nil && res.StatusCode == http.StatusOK && string(body) == token && kind == "text/plain":
		return true
	case res.StatusCode == http.StatusBadGateway || res.StatusCode == http.StatusServiceUnavailable ||
		res.StatusCode == http.StatusGatewayTimeout:
		text := fmt.Sprintf("a proxy answers with status %d", res.StatusCode)
		if !ds.runs {
			ds.say("public url", Warning, text,
				"start the daemon, and ask again; or let doctor stand in for it with --handshake")
			return false
		}
		ds.say("public url", ds.worse(), text,
			"look at what is between: it does not reach webhook.listen, "+ds.Config.Webhook.Listen)
	case res.StatusCode == http.StatusOK:
		ds.say("public url", ds.worse(), "something answers, and does not give Graph's question back",
			"let the proxy pass POST with its query to webhook.listen, and its answer as it is")
	default:
		ds.say("public url", ds.worse(), fmt.Sprintf("%s is answered with status %d", address, res.StatusCode),
			"let the proxy pass POST to it, without a sign-in of its own")
	}
	return false
}

// notReached says which step failed on the way to the public address.
func (ds *diagnostics) notReached(err error, address string) {
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		timeout net.Error
	)
	say := func(text, do string) { ds.say("public url", ds.worse(), text, do) }
	elsewhere := fmt.Sprintf(fromElsewhere, address)
	switch {
	case errors.As(err, &host):
		say("the certificate is not of this name: "+host.Error(), "get one for the name of webhook.public_url")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		say("the certificate is expired, or not valid yet", "renew it where TLS ends: webhook.tls, or the proxy in front")
	case errors.As(err, &unknown):
		say("the certificate is not of an authority that is known",
			"Graph wants one of a public authority, with its chain (fullchain.pem)")
	case errors.Is(err, http.ErrSchemeMismatch):
		say("what answers speaks no TLS", "set webhook.tls, or end TLS in a proxy in front")
	case !ds.runs:
		ds.say("public url", Warning, "it can't be reached from here: "+plainly(unwrapURL(err)),
			"start the daemon, and ask again; or let doctor stand in for it with --handshake")
	case errors.As(err, &timeout) && timeout.Timeout():
		say("it does not answer from here in time", elsewhere)
	default:
		say("it can't be reached from here: "+plainly(unwrapURL(err)), elsewhere)
	}
}

// unwrapURL is an error of a client without the address, which has a token.
func unwrapURL(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// endsSoon says when the certificate that is served does.
func (ds *diagnostics) endsSoon(leaf *x509.Certificate) {
	if left := time.Until(leaf.NotAfter); left < expiresSoon {
		ds.say("public url", Warning, fmt.Sprintf("its certificate ends on %s", leaf.NotAfter.UTC().Format(time.DateOnly)),
			"renew it where TLS ends: webhook.tls, or the proxy in front")
	}
}
