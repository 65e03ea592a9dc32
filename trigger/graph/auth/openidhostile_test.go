package auth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc/oidctest"

	"pullprint/trigger/graph/auth"
)

const openIDTenant = "84bd8158-6d4d-4958-8b9f-9d6445542f95"

func base64Of(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// with are the claims of the provider with one changed, as JSON.
func (p *provider) with(name string, value any) string {
	claims := maps.Clone(p.claims)
	claims[name] = value
	raw, _ := json.Marshal(claims) // of maps: never fails
	return string(raw)
}

// No id token is taken that is not signed by RS256 with a key of Entra's, for this app alone; one that no
// key fits has the keys read once.
func TestOpenIDForgedTokens(t *testing.T) {
	p, o := newProvider(t, openIDTenant)
	if _, err := o.Redeem(t.Context(), "a-code", openIDChallenge); err != nil {
		t.Fatal(err)
	}
	good := p.with("ver", "2.0")
	signed := func(name string, value any) string {
		return oidctest.SignIDToken(p.key, "one", "RS256", p.with(name, value))
	}
	text := base64Of(`{"alg":"HS256","kid":"one"}`) + "." + base64Of(good)
	mac := hmac.New(sha256.New, x509.MarshalPKCS1PublicKey(&p.key.PublicKey))
	mac.Write([]byte(text))
	for name, token := range map[string]string{
		"none":             base64Of(`{"alg":"none","kid":"one"}`) + "." + base64Of(good) + ".",
		"HS256":            text + "." + base64Of(string(mac.Sum(nil))),
		"PS256":            oidctest.SignIDToken(p.key, "one", "PS256", good),
		"no signature":     base64Of(`{"alg":"RS256"}`) + "." + base64Of(good) + ".AAAA",
		"no token":         "..",
		"too large":        strings.Repeat("A", 2<<20),
		"another audience": signed("aud", []string{signInApp, "another"}),
		"for another app":  signed("azp", "another"),
		"roles no list":    signed("roles", "pullprint.admin"),
		"odd time":         signed("exp", "never"),
	} {
		p.raw = token
		p.keysAsked.Store(0)
		who, err := o.Redeem(t.Context(), "a-code", openIDChallenge)
		if err == nil || who.User != "" || p.keysAsked.Load() > 1 {
			t.Errorf("%s: %+v, %v, the keys were read %d times", name, who, err, p.keysAsked.Load())
		}
	}
	p.raw = signed("azp", signInApp)
	if _, err := o.Redeem(t.Context(), "a-code", openIDChallenge); err != nil {
		t.Error(err)
	}
}

// Keys that are of no use, or that a signature would take minutes to be checked with, are not taken; that
// they can't be read is told from a token that they do not fit.
func TestOpenIDHostileKeys(t *testing.T) {
	rsa := func(n, e string) string {
		return `{"keys":[{"kty":"RSA","kid":"one","n":"` + n + `","e":"` + e + `"}]}`
	}
	long := strings.Repeat("_", 342) // 2,048 bits
	unreadable := errors.New("unreadable")
	for name, c := range map[string]struct {
		status int
		keys   string
		want   error
	}{
		"huge":        {200, rsa(strings.Repeat("_", 512<<10), "_____w"), auth.ErrIDToken},
		"short":       {200, rsa("AQAB", "AQAB"), auth.ErrIDToken},
		"no exponent": {200, rsa(long, ""), auth.ErrIDToken},
		"even":        {200, rsa(strings.Repeat("g", 342), "AA"), auth.ErrIDToken},
		"of a curve":  {200, `{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`, auth.ErrIDToken},
		"none":        {200, `{"keys":[null]}`, auth.ErrIDToken},
		"null":        {200, `null`, auth.ErrIDToken},
		"many":        {200, `{"keys":[` + strings.Repeat(`{"kty":"RSA","n":"`+long+`","e":"AQAB"},`, 2000) + `{}]}`, auth.ErrIDToken},
		"too large":   {200, rsa(strings.Repeat("A", 2<<20), "AQAB"), unreadable},
		"no JSON":     {200, `<html>`, unreadable},
		"down":        {503, ``, unreadable},
	} {
		p, o := newProvider(t, openIDTenant)
		p.keySet = func(rw http.ResponseWriter) {
			rw.WriteHeader(c.status)
			_, _ = rw.Write([]byte(c.keys))
		}
		began := time.Now()
		_, err := o.Redeem(t.Context(), "a-code", openIDChallenge)
		entra, ok := errors.AsType[*auth.Error](err)
		if errors.Is(c.want, unreadable) != ok || ok && entra.Permanent() || !ok && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%s: %s", name, took)
		}
	}
}
