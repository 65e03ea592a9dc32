package graph

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"pullprint/trigger/secretfile"
)

// clouds are the national deployments that have a print API, with the base URLs of Graph and of
// the token authority (https://learn.microsoft.com/graph/deployments).
var clouds = map[string]struct{ graph, authority string }{
	"global": {"https://graph.microsoft.com", "https://login.microsoftonline.com"},
	"us-l4":  {"https://graph.microsoft.us", "https://login.microsoftonline.us"},
	"us-l5":  {"https://dod-graph.microsoft.us", "https://login.microsoftonline.us"},
}

// addresses are the only ones to which a Client sends credentials or tokens.
type addresses struct {
	graph url.URL // with the version
	token string  // of the token endpoint
	// resource is the base URL of Graph in its cloud, with which scopes begin.
	resource string
}

// resolve checks the configuration except for its files.
func (cfg Config) resolve() (addresses, error) {
	name := cfg.Cloud
	if name == "" {
		name = "global"
	}
	cloud, ok := clouds[name]
	if !ok {
		return addresses{}, fmt.Errorf("unknown cloud %q: use global, us-l4 or us-l5", cfg.Cloud)
	}
	if !validTenant(cfg.TenantID) {
		return addresses{}, errors.New("tenant_id is no directory id: copy it from the overview page of Microsoft Entra ID")
	}
	if !ValidID(cfg.Auth.ClientID) {
		return addresses{},
			errors.New("auth.client_id is no application id: copy the Application (client) ID of the app registration")
	}
	graph, err := endpoint("endpoints.graph", cfg.Endpoints.Graph, cloud.graph+"/v1.0")
	if err != nil {
		return addresses{}, err
	}
	authority, err := endpoint("endpoints.authority", cfg.Endpoints.Authority, cloud.authority)
	if err != nil {
		return addresses{}, err
	}
	return addresses{
		graph:    graph,
		token:    authority.String() + "/" + cfg.TenantID + "/oauth2/v2.0/token",
		resource: cloud.graph,
	}, nil
}

// validTenant accepts a GUID or a domain name: the two forms of a tenant in a token URL
// (https://learn.microsoft.com/entra/identity-platform/v2-protocols).
func validTenant(s string) bool {
	return s != "" && len(s) <= 128 && !strings.Contains(s, "..") && s[0] != '.' &&
		strings.IndexFunc(s, func(r rune) bool { return !idRune(r) && r != '.' }) < 0
}

// endpoint parses a base URL to which secrets or tokens are sent.
func endpoint(key, value, standard string) (url.URL, error) {
	u, err := url.Parse(cmp.Or(value, standard))
	if err != nil || u.Host == "" || *u != (url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}) {
		return url.URL{}, fmt.Errorf("%s must be a plain URL as %s", key, standard)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return url.URL{}, fmt.Errorf("%s must be https: plain http is allowed to a loopback host only", key)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return *u, nil
}

// roots returns the certificate authorities to trust; nil means those of this machine.
func (e Endpoints) roots() (*x509.CertPool, error) {
	if e.CAFile == "" {
		return nil, nil
	}
	src, err := secretfile.PEM(e.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read endpoints.ca_file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(src) {
		return nil, errors.New("endpoints.ca_file holds no certificate in PEM: convert one in DER with `openssl x509 " +
			"-inform der`")
	}
	return pool, nil
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
