package auth_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc/oidctest"

	"pullprint/trigger/fuzztest"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
)

// entra answers without a network: its configuration, its keys and its tokens, of which one is another.
type entra struct{ discovery, keys, token []byte }

func (e *entra) RoundTrip(req *http.Request) (*http.Response, error) {
	body := e.discovery
	switch {
	case strings.HasSuffix(req.URL.Path, "/keys"):
		body = e.keys
	case req.Method == http.MethodPost:
		body = e.token
	}
	return &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
	}, nil
}

// FuzzOpenIDReplies: whatever the configuration, the keys, the answer with the token, the id token or its
// claims are, nobody is signed in but by the claims that the key has signed, and the error is one that
// callers know.
func FuzzOpenIDReplies(f *testing.F) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	const authority = "https://login.example.com"
	const issuer = authority + "/" + openIDTenant + "/v2.0"
	const user = "5b0c3a9e-0001-4c1d-8a2b-3c4d5e6f7081"
	discovery := fmt.Appendf(nil, `{"issuer":%q,"authorization_endpoint":"%[2]s/authorize","token_endpoint":"%[2]s/token",`+
		`"jwks_uri":"%[2]s/keys","end_session_endpoint":"%[2]s/logout"}`, issuer, authority)
	encode := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	keys := fmt.Appendf(nil, `{"keys":[{"kty":"RSA","kid":"one","n":%q,"e":%q}]}`, encode(key.N), encode(big.NewInt(int64(key.E))))
	claims := fmt.Sprintf(`{"iss":%q,"aud":%q,"sub":"x","tid":%q,"oid":%q,"nonce":"nonce","exp":%d,"roles":["pullprint.read"]}`,
		issuer, signInApp, openIDTenant, user, time.Now().Add(24*time.Hour).Unix())
	reply := func(token string) []byte {
		raw, _ := json.Marshal(map[string]string{"access_token": "x", "token_type": "Bearer", "id_token": token})
		return raw
	}
	signed := oidctest.SignIDToken(key, "one", "RS256", claims)
	for i, good := range []string{string(discovery), string(keys), string(reply(signed)), signed, claims} {
		f.Add(uint8(i), []byte(good))
		f.Add(uint8(i), []byte(good[:len(good)/2]))
	}
	f.Add(uint8(1), []byte(`{"keys":[{"kty":"RSA","n":"`+strings.Repeat("_", 4000)+`","e":"AQAB"},null]}`))
	f.Add(uint8(4), []byte(strings.Replace(claims, `"exp":`, `"exp":1e300,"nbf":-1e300,"exp":`, 1)))
	secret := filepath.Join(f.TempDir(), "secret")
	write(f, secret, []byte("a-secret"))
	watch := fuzztest.New(f, fuzztest.Small)
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		defer watch.Input(t)()
		e := &entra{discovery, keys, reply(signed)}
		switch which % 5 {
		case 0:
			e.discovery = body
		case 1:
			e.keys = body
		case 2:
			e.token = body
		case 3:
			e.token = reply(string(body))
		case 4:
			e.token = reply(oidctest.SignIDToken(key, "one", "RS256", string(body)))
		}
		o, err := graph.NewOpenID(graph.Config{
			TenantID: openIDTenant, Auth: auth.Config{ClientID: signInApp, ClientSecretFile: secret},
			Endpoints: graph.Endpoints{Authority: authority},
		}, graph.Options{Transport: e}, openIDRedirect)
		if err != nil {
			t.Fatal(err)
		}
		who, err := o.Redeem(t.Context(), "a-code", openIDChallenge)
		if err == nil {
			if who.User == "" || (which%5 != 4 && who.User != user) {
				t.Errorf("%+v is signed in by %q", who, body)
			}
			return
		}
		_, known := errors.AsType[*auth.Error](err)
		if !known && !errors.Is(err, auth.ErrIDToken) && !errors.Is(err, auth.ErrTenant) && !errors.Is(err, auth.ErrClock) {
			t.Errorf("%v", err)
		}
		if who.User != "" {
			t.Errorf("%v, and %+v", err, who)
		}
	})
}
