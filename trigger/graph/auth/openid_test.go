package auth_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"

	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/graphtest"
)

const openIDRedirect = "https://print.example.com/auth/callback"

var openIDChallenge = auth.Challenge{State: "state", Nonce: "nonce", Verifier: strings.Repeat("v", 43)}

// newOpenID is the sign-in at the simulator with one kind of credential.
func newOpenID(t *testing.T, sim *graphtest.Sim, a auth.Config) *auth.OpenID {
	t.Helper()
	a.ClientID = signInApp
	o, err := graph.NewOpenID(graph.Config{TenantID: sim.Tenant(), Auth: a}, graph.Options{Transport: sim.Transport()}, openIDRedirect)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// codeFor is the code that a person gets at the simulator.
func codeFor(t *testing.T, sim *graphtest.Sim, o *auth.OpenID, person string) string {
	t.Helper()
	at, err := o.URL(t.Context(), openIDChallenge, auth.SignInOptions{})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, at, strings.NewReader(url.Values{"user": {person}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	res, err := sim.Transport().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	back, err := res.Location()
	if err != nil || !strings.HasPrefix(back.String(), openIDRedirect+"?") {
		t.Fatalf("led back to %s, %v", back, err)
	}
	return back.Query().Get("code")
}

// A code is redeemed with each kind of credential that can, once, and with its own verifier.
func TestOpenIDCredentials(t *testing.T) {
	now := time.Now()
	cert, cluster := newPair(t, now.Add(-time.Hour), now.Add(time.Hour)), newPair(t, now, now.Add(time.Hour))
	sim := graphtest.New(graphtest.Calm())
	t.Cleanup(sim.Close)
	const issuer, subject = "https://oidc.contoso.com/cluster", "system:serviceaccount:print:pullprint"
	sim.AddApp(graphtest.App{
		ClientID: signInApp, Secret: "a-secret", Certificates: []*x509.Certificate{cert.cert},
		Federation: []graphtest.Federation{{Issuer: issuer, Subject: subject, Key: &cluster.key.PublicKey}},
	})
	anna := sim.AddUser(graphtest.User{UPN: "anna@contoso.com", AppRoles: []string{"pullprint.admin"}})
	secret, federated := filepath.Join(t.TempDir(), "secret"), filepath.Join(t.TempDir(), "token")
	write(t, secret, []byte("a-secret\n"))
	token, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": issuer, "sub": subject, "aud": "api://AzureADTokenExchange", "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}).SignedString(cluster.key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, federated, []byte(token))
	for name, a := range map[string]auth.Config{
		"secret": {ClientSecretFile: secret}, "certificate": {CertificateFile: cert.crt, PrivateKeyFile: cert.pem},
		"federated": {FederatedTokenFile: federated},
	} {
		o := newOpenID(t, sim, a)
		code := codeFor(t, sim, o, anna.ID)
		who, err := o.Redeem(t.Context(), code, openIDChallenge)
		if err != nil || who.User != anna.ID || len(who.Roles) != 1 || who.Roles[0] != "pullprint.admin" {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
		_, err = o.Redeem(t.Context(), code, openIDChallenge)
		if e, ok := errors.AsType[*auth.Error](err); !ok || e.Code != "AADSTS54005" || !e.Permanent() {
			t.Errorf("%s, a second time: %v", name, err)
		}
		other := openIDChallenge
		other.Verifier = oauth2.GenerateVerifier()
		_, err = o.Redeem(t.Context(), codeFor(t, sim, o, anna.ID), other)
		if e, ok := errors.AsType[*auth.Error](err); !ok || e.Code != "AADSTS501481" {
			t.Errorf("%s, with another verifier: %v", name, err)
		}
	}
	write(t, secret, []byte("wrong"))
	o := newOpenID(t, sim, auth.Config{ClientSecretFile: secret})
	write(t, secret, []byte("a-secret"))
	if _, err := o.Redeem(t.Context(), codeFor(t, sim, o, anna.ID), openIDChallenge); err != nil {
		t.Errorf("after the secret changed: %v", err)
	}
}

// A managed identity is no app registration: nobody can sign in to it.
func TestOpenIDManagedIdentity(t *testing.T) {
	_, err := graph.NewOpenID(graph.Config{
		TenantID: "84bd8158-6d4d-4958-8b9f-9d6445542f95", Auth: auth.Config{ClientID: signInApp, ManagedIdentity: true},
	}, graph.Options{}, openIDRedirect)
	if err == nil || !strings.Contains(err.Error(), "can't sign people in") {
		t.Error(err)
	}
}

// provider is an OpenID provider that is not the simulator: its configuration, keys and tokens are made
// by go-oidc's own test server.
type provider struct {
	*oidctest.Server
	key    *rsa.PrivateKey
	claims map[string]any
	tokens string // the address of its token endpoint in the configuration, if another
	asked  url.Values
	raw    string                    // the id token, if another
	keySet func(http.ResponseWriter) // answers for the keys, if not go-oidc's server
	// keysAsked is how often the keys were asked for.
	keysAsked atomic.Int32
}

func newProvider(t *testing.T, tenant string) (p *provider, o *auth.OpenID) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p = &provider{key: key, Server: &oidctest.Server{
		PublicKeys: []oidctest.PublicKey{{PublicKey: key.Public(), KeyID: "one", Algorithm: "RS256"}},
	}}
	server := httptest.NewServer(p.handler(tenant))
	t.Cleanup(server.Close)
	issuer := server.URL + "/" + tenant + "/v2.0"
	p.SetIssuer(issuer)
	p.claims = map[string]any{
		"iss": issuer, "aud": signInApp, "sub": "x", "tid": tenant, "oid": "5b0c3a9e-0001-4c1d-8a2b-3c4d5e6f7081", "nonce": "nonce",
		"exp": time.Now().Add(time.Hour).Unix(), "roles": []string{"pullprint.read"},
	}
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, []byte("a-secret"))
	o, err = graph.NewOpenID(graph.Config{
		TenantID: tenant, Auth: auth.Config{ClientID: signInApp, ClientSecretFile: secret},
		Endpoints: graph.Endpoints{Authority: server.URL},
	}, graph.Options{}, openIDRedirect)
	if err != nil {
		t.Fatal(err)
	}
	return p, o
}

func (p *provider) handler(tenant string) http.Handler {
	mux := http.NewServeMux()
	base := "/" + tenant + "/v2.0"
	mux.HandleFunc("POST "+base+"/token", func(rw http.ResponseWriter, req *http.Request) {
		_ = req.ParseForm()
		p.asked = req.PostForm
		claims, _ := json.Marshal(p.claims)
		token := p.raw
		if token == "" {
			token = oidctest.SignIDToken(p.key, "one", "RS256", string(claims))
		}
		rw.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(rw, `{"access_token":"x","token_type":"Bearer","id_token":%q}`, token)
	})
	mux.HandleFunc("GET "+base+"/keys", func(rw http.ResponseWriter, req *http.Request) {
		p.keysAsked.Add(1)
		if p.keySet != nil {
			p.keySet(rw)
			return
		}
		http.StripPrefix(base, p.Server).ServeHTTP(rw, req)
	})
	mux.HandleFunc("GET "+base+"/.well-known/openid-configuration", func(rw http.ResponseWriter, req *http.Request) {
		rec := httptest.NewRecorder()
		http.StripPrefix(base, p.Server).ServeHTTP(rec, req)
		var all map[string]any
		_ = json.Unmarshal(rec.Body.Bytes(), &all)
		if p.tokens != "" {
			all["token_endpoint"] = p.tokens
		}
		rw.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(rw).Encode(all)
	})
	mux.Handle(base+"/", http.StripPrefix(base, p.Server))
	return mux
}

// The sign-in works with a provider that shares nothing with the simulator.
func TestOpenIDOfAnotherProvider(t *testing.T) {
	p, o := newProvider(t, "84bd8158-6d4d-4958-8b9f-9d6445542f95")
	who, err := o.Redeem(t.Context(), "a-code", openIDChallenge)
	if err != nil || who.User != p.claims["oid"] || len(who.Roles) != 1 {
		t.Errorf("%+v, %v", who, err)
	}
	for name, want := range map[string]string{
		"code": "a-code", "client_id": signInApp, "client_secret": "a-secret", "code_verifier": openIDChallenge.Verifier,
		"redirect_uri": openIDRedirect, "grant_type": "authorization_code",
	} {
		if p.asked.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, p.asked.Get(name), want)
		}
	}
	for _, c := range []struct {
		claim string
		value any
		want  error
	}{
		{"tid", "99999999-6d4d-4958-8b9f-9d6445542f95", auth.ErrTenant},
		{"aud", "another", auth.ErrIDToken},
		{"iss", "https://evil.example.com", auth.ErrIDToken},
		{"nonce", "another", auth.ErrIDToken},
		{"exp", time.Now().Add(-time.Minute).Unix(), auth.ErrClock},
		{"nbf", time.Now().Add(10 * time.Minute).Unix(), auth.ErrClock},
	} {
		before, had := p.claims[c.claim]
		p.claims[c.claim] = c.value
		if _, err := o.Redeem(t.Context(), "a-code", openIDChallenge); !errors.Is(err, c.want) {
			t.Errorf("%s %v: %v, want %v", c.claim, c.value, err, c.want)
		}
		if p.claims[c.claim] = before; !had {
			delete(p.claims, c.claim)
		}
	}
}

// The credential of the app goes to the configured authority alone, whatever its configuration says.
func TestOpenIDTokenEndpointElsewhere(t *testing.T) {
	for _, elsewhere := range []string{"https://evil.example.com/token", "http://127.0.0.1:1/token", "/token", "::"} {
		p, o := newProvider(t, "84bd8158-6d4d-4958-8b9f-9d6445542f95")
		p.tokens = elsewhere
		if _, err := o.URL(t.Context(), openIDChallenge, auth.SignInOptions{}); err == nil {
			t.Errorf("%s is taken", elsewhere)
		}
		if _, err := o.Redeem(t.Context(), "a-code", openIDChallenge); err == nil || p.asked != nil {
			t.Errorf("%s: %v", elsewhere, err)
		}
	}
}
