package graphtest

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

const (
	assertionKind     = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	federatedAudience = "api://AzureADTokenExchange"
)

// assertion is a parsed client assertion.
type assertion struct {
	alg, thumb         string
	aud, iss, sub, jti string
	nbf, exp           int64
	signed, signature  []byte
}

func parseAssertion(text string) (a assertion, err error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return a, errors.New("not three parts")
	}
	var raw [3][]byte
	for i, p := range parts {
		if raw[i], err = base64.RawURLEncoding.DecodeString(p); err != nil {
			return a, err
		}
	}
	var head struct {
		Alg   string `json:"alg"`
		Thumb string `json:"x5t#S256"`
	}
	var claims struct {
		Aud string `json:"aud"`
		Iss string `json:"iss"`
		Sub string `json:"sub"`
		Jti string `json:"jti"`
		Nbf int64  `json:"nbf"`
		Exp int64  `json:"exp"`
	}
	if err = errors.Join(json.Unmarshal(raw[0], &head), json.Unmarshal(raw[1], &claims)); err != nil {
		return a, err
	}
	return assertion{
		head.Alg, head.Thumb, claims.Aud, claims.Iss, claims.Sub, claims.Jti, claims.Nbf, claims.Exp,
		[]byte(parts[0] + "." + parts[1]), raw[2],
	}, nil
}

func (a *assertion) verifiedBy(key *rsa.PublicKey) bool {
	sum := sha256.Sum256(a.signed)
	switch a.alg {
	case "PS256":
		return rsa.VerifyPSS(key, crypto.SHA256, sum[:], a.signature,
			&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
	case "RS256":
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], a.signature) == nil
	}
	return false
}

// refuseAssertion checks a client assertion: a JWT signed with a certificate of the app, or a token of a
// federated credential.
func (s *Sim) refuseAssertion(c *call, app *app, form url.Values) (reply, bool) {
	fail := func(code int, message string) (reply, bool) {
		return c.authFail(401, "invalid_client", code, message), true
	}
	a, err := parseAssertion(form.Get("client_assertion"))
	if err != nil || form.Get("client_assertion_type") != assertionKind {
		return fail(50027, "JWT token is invalid or malformed.")
	}
	now := time.Now().Add(s.knobs.Load().ClockAhead)
	if now.Add(5*time.Minute).Unix() < a.nbf || now.Add(-5*time.Minute).Unix() > a.exp {
		return fail(700024, "Client assertion is not within its valid time range.")
	}
	if a.iss != app.ClientID {
		return s.refuseFederated(app, &a, fail)
	}
	for _, cert := range app.Certificates {
		sum := sha256.Sum256(cert.Raw)
		key, ok := cert.PublicKey.(*rsa.PublicKey)
		if !ok || a.thumb != base64.RawURLEncoding.EncodeToString(sum[:]) || !a.verifiedBy(key) {
			continue
		}
		switch {
		case a.sub != app.ClientID || !strings.HasSuffix(a.aud, "/"+s.Tenant()+"/oauth2/v2.0/token"):
			return fail(700023, "Client assertion audience claim does not match Realm issuer.")
		case a.jti == "" || s.tokens.replayed(a.jti):
			return fail(700025, "Client assertion was used before.")
		}
		return reply{}, false
	}
	return fail(700027, "Client assertion failed signature validation.")
}

func (s *Sim) refuseFederated(app *app, a *assertion, fail func(int, string) (reply, bool)) (reply, bool) {
	issuer := false
	for _, f := range app.Federation {
		if f.Issuer != a.iss {
			continue
		}
		issuer = true
		if f.Subject != a.sub {
			continue
		}
		switch {
		case a.aud != federatedAudience:
			return fail(700212, "No matching federated identity record found for presented assertion audience '"+a.aud+"'.")
		case !a.verifiedBy(f.Key):
			return fail(700027, "Client assertion failed signature validation.")
		}
		return reply{}, false
	}
	if issuer {
		return fail(700213, "No matching federated identity record found for presented assertion subject '"+a.sub+"'.")
	}
	return fail(700211, "No matching federated identity record found for presented assertion issuer '"+a.iss+"'.")
}

// replayed records that an assertion was used, and reports whether it was used before.
func (t *tokens) replayed(jti string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.used[jti] {
		return true
	}
	t.used[jti] = true
	return false
}

// Metadata returns the metadata service of a machine in Azure whose managed identity is an app of the tenant.
// Its first answers have the statuses in busy.
func (s *Sim) Metadata(clientID string, busy ...int) http.Handler {
	var asked atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		refuse := func(status int, kind string) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": kind})
		}
		if n := int(asked.Add(1)); n <= len(busy) {
			if busy[n-1] == http.StatusTooManyRequests {
				w.Header().Set("Retry-After", "1")
			}
			refuse(busy[n-1], "unavailable")
			return
		}
		switch {
		case r.URL.Path != "/metadata/identity/oauth2/token" || r.Header.Get("Metadata") != "true" ||
			r.Header.Get("X-Forwarded-For") != "":
			refuse(400, "invalid_request")
		case q.Get("api-version") == "" || (q.Get("client_id") != "" && q.Get("client_id") != clientID):
			refuse(400, "invalid_request")
		case !strings.HasPrefix(q.Get("resource"), "https://graph.microsoft.com"):
			refuse(400, "invalid_resource")
		default:
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]string{
				"access_token": s.AppToken(clientID), "expires_in": "86399", "token_type": "Bearer",
			})
		}
	})
}
