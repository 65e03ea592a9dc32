package config

import (
	"net"
	"net/netip"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"pullprint/connector/health"
)

// loopback reports whether a host is this machine for sure.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.IsLoopback())
}

// parseURL reads an absolute URL with a host, and with a port only when that is
// one.
func parseURL(value string, schemes ...string) (*url.URL, bool) {
	u, err := url.Parse(value)
	if err != nil || u.Hostname() == "" || strings.HasSuffix(u.Host, ":") || !slices.Contains(schemes, u.Scheme) {
		return nil, false
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, false
		}
	}
	return u, true
}

// moreThanPath reports whether a URL has what does not belong into a base
// address, also when it is empty: a path that is added would end up in it.
func moreThanPath(u *url.URL, value string) bool {
	return u.RawQuery != "" || u.ForceQuery || u.User != nil || strings.Contains(value, "#")
}

// url checks an address that the bearer token is sent to.
func (k *checker) url(path, value, example string) {
	if value == "" {
		return
	}
	u, ok := parseURL(value, "https", "http")
	switch {
	case !ok:
		k.add(path, "for example "+example, "%s is not an http or https URL", path)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		k.add(path, "use https: the token goes there", "%s is plain http to another machine", path)
	case moreThanPath(u, value):
		k.add(path, "write host and path alone, without user, query or fragment", "%s has more than host and path", path)
	}
}

// docsURL checks where the console's links to the documentation lead.
func (k *checker) docsURL(value string) {
	const at = "admin.docs_url"
	if value == "" {
		return
	}
	u, ok := parseURL(value, "https")
	switch {
	case !ok:
		k.add(at, "for example https://docs.example.com/pullprint, below which is README.md", "%s is not an https URL", at)
	case moreThanPath(u, value):
		k.add(at, "write host and path alone: /policy.md#budgets, say, is added to it", "%s has more than host and path", at)
	}
}

// plainPath is a path that nobody on the way to us rewrites.
var plainPath = regexp.MustCompile(`^[A-Za-z0-9._~/-]*$`)

func (k *checker) publicURL(value string) {
	const at = "webhook.public_url"
	u, ok := parseURL(value, "https", "http")
	if !ok {
		k.add(at, "for example https://print.example.com", "%s is not an https URL", at)
		return
	}
	base := strings.TrimRight(u.EscapedPath(), "/") // as the two who add to it do
	switch {
	case u.Scheme == "http" && !loopback(u.Hostname()):
		k.add(at, "use https; Graph posts to nothing else", "%s is http, not https", at)
	case moreThanPath(u, value):
		k.add(at, "write host and path alone, without user, query or fragment", "%s has more than host and path", at)
	case strings.HasSuffix(base, "/graph/notifications"), strings.HasSuffix(base, "/graph/lifecycle"):
		k.add(at, "leave /graph/… out: it is added", "%s already has the path of the webhook", at)
	case !plainPath.MatchString(base), (base != "" && path.Clean(base) != base):
		k.add(at, "write a plain path, as https://print.example.com/pullprint",
			"%s has a path that is rewritten on its way: .. or // or a character that is escaped", at)
	}
}

// hostName is what may stand before the port when it is no IP address.
var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)

func (k *checker) listen(path, value string) {
	_, ok := parseListen(value)
	k.refuse(!ok, path, "write host:port, as 127.0.0.1:8443 or :8443", "%s is not an address to listen on", path)
}

// listenAddr is host:port: addr is an IP address, unspecified for all of the
// machine's, or not valid when host is a name.
type listenAddr struct {
	host string
	addr netip.Addr
	port uint64
}

func parseListen(value string) (listenAddr, bool) {
	host, port, err := net.SplitHostPort(value)
	if err != nil {
		return listenAddr{}, false
	}
	l := listenAddr{host: host}
	if l.port, err = strconv.ParseUint(port, 10, 16); err != nil {
		return listenAddr{}, false
	}
	switch host {
	case "":
		l.addr = netip.IPv6Unspecified()
	case "localhost":
		l.addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	default:
		if l.addr, err = netip.ParseAddr(host); err != nil && (strings.Trim(host, "0123456789.") == "" ||
			!hostName.MatchString(host)) {
			return listenAddr{}, false
		}
	}
	return l, true
}

// clash reports whether one machine can't listen on both.
func clash(a, b string) bool {
	l, ok := parseListen(a)
	o, okOther := parseListen(b)
	switch {
	case !ok, !okOther, l.port != o.port, l.port == 0:
		return false
	case !l.addr.IsValid(), !o.addr.IsValid():
		return strings.EqualFold(l.host, o.host)
	}
	all := netip.IPv6Unspecified() // takes IPv4 as well
	either := func(a, b netip.Addr) bool { return a == all || (a.IsUnspecified() && b.Is4()) }
	return l.addr == o.addr || either(l.addr, o.addr) || either(o.addr, l.addr)
}

// metrics also keeps the two servers apart: the second one to start would fail.
func (k *checker) metrics() {
	k.listen("metrics.listen", k.c.Metrics.Listen)
	k.refuse(clash(k.c.Metrics.Listen, k.c.Webhook.Listen), "metrics.listen", "give one of them another port",
		"metrics.listen and webhook.listen are the same address")
	k.webConfig()
}

// webConfig checks the file that says who may read the metrics, and those it names.
func (k *checker) webConfig() {
	const at = "metrics.web_config_file"
	file := k.c.Metrics.WebConfigFile
	if file == "" {
		return
	}
	st, ok := k.stat(at, file, "write the web configuration there, or leave metrics.web_config_file out")
	if !ok {
		return
	}
	err := health.CheckWebConfig(file)
	k.refuse(err != nil, at, "see https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md",
		"%s names a file that is not a web configuration: %v", at, err)
	if src, err := os.ReadFile(file); err == nil && secretKeys.Match(src) {
		k.guarded(at, file, st)
	}
}

// secretKeys are the keys of a web configuration that hold secrets.
var secretKeys = regexp.MustCompile(`(?m)^\s*"?(basic_auth_users|key)"?:`)

// natsURL checks one address or several, separated by commas.
func (k *checker) natsURL(value string) {
	for one := range strings.SplitSeq(value, ",") {
		u, ok := parseURL(strings.TrimSpace(one), "nats", "tls", "ws", "wss")
		switch {
		case !ok:
			k.add("nats.url", "for example nats://nats:4222, or tls://…; several are separated by commas",
				"nats.url is not a NATS address")
			return
		case u.User != nil:
			k.add("nats.url", "leave it out and use nats.credentials_file", "nats.url has a user, a password or a token in it")
			return
		}
	}
}
