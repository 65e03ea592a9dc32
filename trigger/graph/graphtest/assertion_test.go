package graphtest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The token endpoint takes an assertion that is signed with a certificate of the app,
// for this tenant, now and once; any other is refused with the code that Entra has.
func TestAssertionIsVerified(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "app"}, NotBefore: now, NotAfter: now.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s := New(Calm())
	defer s.Close()
	app := s.AddApp(App{Certificates: []*x509.Certificate{cert}}).ClientID
	sum := sha256.Sum256(der)
	at := "https://login.microsoftonline.com/" + s.Tenant() + "/oauth2/v2.0/token"
	for name, c := range map[string]struct {
		change func(*jwt.Token)
		key    *rsa.PrivateKey
		times  int
		want   string
	}{
		"good":          {func(*jwt.Token) {}, key, 1, ""},
		"RS256":         {func(j *jwt.Token) { j.Method, j.Header["alg"] = jwt.SigningMethodRS256, "RS256" }, key, 1, ""},
		"twice":         {func(*jwt.Token) {}, key, 2, "AADSTS700025"},
		"another's key": {func(*jwt.Token) {}, other, 1, "AADSTS700027"},
		"another thumb": {func(j *jwt.Token) { j.Header["x5t#S256"] = "AAAA" }, key, 1, "AADSTS700027"},
		"none":          {func(j *jwt.Token) { j.Header["alg"] = "none" }, key, 1, "AADSTS700027"},
		"another audience": {
			func(j *jwt.Token) { claims(j)["aud"] = strings.Replace(at, s.Tenant(), "common", 1) },
			key, 1, "AADSTS700023",
		},
		"another subject":   {func(j *jwt.Token) { claims(j)["sub"] = "somebody" }, key, 1, "AADSTS700023"},
		"expired":           {func(j *jwt.Token) { claims(j)["exp"] = now.Add(-6 * time.Minute).Unix() }, key, 1, "AADSTS700024"},
		"not yet":           {func(j *jwt.Token) { claims(j)["nbf"] = now.Add(6 * time.Minute).Unix() }, key, 1, "AADSTS700024"},
		"a little early":    {func(j *jwt.Token) { claims(j)["nbf"] = now.Add(4 * time.Minute).Unix() }, key, 1, ""},
		"without an id":     {func(j *jwt.Token) { delete(claims(j), "jti") }, key, 1, "AADSTS700025"},
		"issuer of another": {func(j *jwt.Token) { claims(j)["iss"] = "somebody" }, key, 1, "AADSTS700211"},
	} {
		j := jwt.NewWithClaims(jwt.SigningMethodPS256, jwt.MapClaims{
			"aud": at, "iss": app, "sub": app, "jti": fmt.Sprint("id of ", name), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		})
		j.Header["x5t#S256"] = base64.RawURLEncoding.EncodeToString(sum[:])
		c.change(j)
		text, err := j.SignedString(c.key)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var said string
		for range c.times {
			said = askToken(t, s, url.Values{
				"grant_type": {"client_credentials"}, "client_id": {app}, "scope": {"https://graph.microsoft.com/.default"},
				"client_assertion_type": {assertionKind}, "client_assertion": {text},
			})
		}
		if got := strings.Contains(said, "access_token"); got != (c.want == "") || !strings.Contains(said, c.want) {
			t.Errorf("%s: %s, want %q", name, said, c.want)
		}
	}
}

func claims(j *jwt.Token) jwt.MapClaims {
	m, ok := j.Claims.(jwt.MapClaims)
	if !ok {
		panic("no map of claims")
	}
	return m
}

func askToken(t *testing.T, s *Sim, form url.Values) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		"https://login.microsoftonline.com/"+s.Tenant()+"/oauth2/v2.0/token",
		strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := s.Transport().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
