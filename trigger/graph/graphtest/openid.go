package graphtest

import (
	"crypto"
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// openID is the state of the OpenID provider.
type openID struct {
	mu      sync.Mutex
	key     *rsa.PrivateKey // nil until the first use
	keyID   string
	forged  *rsa.PrivateKey      // signs instead of key, and is not published; nil for none
	codes   map[string]*authCode // by code
	refuse  refusedSignIn
	visited map[string]string // user id by the cookie of a browser
}

// refusedSignIn is how the page to sign in ends for everybody.
type refusedSignIn struct {
	kind string // OAuth error code; empty for no refusal
	code int    // of AADSTS
}

// keys returns the key that signs, the id of the published one, and the published one.
func (o *openID) keys() (signs *rsa.PrivateKey, id string, published *rsa.PublicKey) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.key == nil {
		o.key, o.keyID = firstKey(), crand.Text()
	}
	signs = o.key
	if o.forged != nil {
		signs = o.forged
	}
	return signs, o.keyID, &o.key.PublicKey
}

// Keys take long to make: all simulators of a process begin with the same, and forge with the same.
var firstKey, forgingKey = sync.OnceValue(newKey), sync.OnceValue(newKey)

func newKey() *rsa.PrivateKey {
	key, _ := rsa.GenerateKey(crand.Reader, 2048) // never fails
	return key
}

// RotateKeys replaces the key that signs id tokens, as Entra does now and then.
func (s *Sim) RotateKeys() {
	s.openID.mu.Lock()
	defer s.openID.mu.Unlock()
	s.openID.key, s.openID.keyID = newKey(), crand.Text()
}

// ForgeIDTokens signs id tokens with a key that is not published, until it is switched off.
func (s *Sim) ForgeIDTokens(on bool) {
	s.openID.mu.Lock()
	defer s.openID.mu.Unlock()
	s.openID.forged = nil
	if on {
		s.openID.forged = forgingKey()
	}
}

// RefuseSignIns makes the page to sign in answer everybody with an OAuth error and an AADSTS code: consent_required
// and 65001 for missing consent, access_denied and 53003 for a block by Conditional Access. An empty kind ends it.
func (s *Sim) RefuseSignIns(kind string, code int) {
	s.openID.mu.Lock()
	defer s.openID.mu.Unlock()
	s.openID.refuse = refusedSignIn{kind, code}
}

// discovery is the configuration of the provider
// (https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc#openid-connect-metadata-document-uri).
func (s *Sim) discovery(c *call) reply {
	base := c.origin + "/" + s.Tenant()
	return reply{status: http.StatusOK, body: map[string]any{
		"issuer": base + "/v2.0", "authorization_endpoint": base + "/oauth2/v2.0/authorize",
		"token_endpoint": base + "/oauth2/v2.0/token", "jwks_uri": base + "/discovery/v2.0/keys",
		"end_session_endpoint": base + "/oauth2/v2.0/logout", "response_types_supported": []string{"code"},
		"response_modes_supported": []string{"query"}, "subject_types_supported": []string{"pairwise"},
		"id_token_signing_alg_values_supported": []string{"RS256"}, "scopes_supported": []string{"openid", "profile"},
	}}
}

func (s *Sim) publishedKeys() reply {
	_, id, key := s.openID.keys()
	enc := base64.RawURLEncoding
	e := binary.BigEndian.AppendUint32(nil, uint32(key.E)) //nolint:gosec // 65537
	return reply{status: http.StatusOK, body: map[string]any{"keys": []map[string]string{{
		"kty": "RSA", "use": "sig", "kid": id, "n": enc.EncodeToString(key.N.Bytes()), "e": enc.EncodeToString(e[1:]),
	}}}}
}

// grantCode redeems the code of a person who signed in.
func (s *Sim) grantCode(c *call, a *app, form url.Values) reply {
	if r, bad := s.refuseClient(c, a, form); bad {
		return r
	}
	s.openID.mu.Lock()
	code := s.openID.codes[form.Get("code")]
	var got authCode
	if code != nil {
		got = *code
		code.used = true
	}
	s.openID.mu.Unlock()
	u := s.userNow(got.userID)
	challenge := sha256.Sum256([]byte(form.Get("code_verifier")))
	switch {
	case code == nil || got.app != a:
		return c.authFail(400, "invalid_grant", 9002313, "Invalid request. Request is malformed or invalid.")
	case got.used:
		return c.authFail(400, "invalid_grant", 54005, "OAuth2 Authorization code was already redeemed, please retry with "+
			"a new valid code or use an existing refresh token.")
	case !time.Now().Before(got.expires):
		return c.authFail(400, "invalid_grant", 70008, "The provided authorization code or refresh token has expired due "+
			"to inactivity.")
	case got.redirect != form.Get("redirect_uri"):
		return c.authFail(400, "invalid_client", 500112, "The reply address does not match the one of the authorization code.")
	case got.challenge != base64.RawURLEncoding.EncodeToString(challenge[:]):
		return c.authFail(400, "invalid_grant", 501481, "The Code_Verifier does not match the code_challenge supplied in "+
			"the authorization request.")
	case u == nil || u.Disabled:
		return c.authFail(400, "invalid_grant", 50057, "The user account is disabled.")
	}
	r := s.tokenAnswer(a, u, got.scopes, "")
	if t, ok := r.body.(tokenReply); ok {
		t.IDToken = s.idToken(c, u, &got)
		r.body = t
	}
	return r
}

// idToken is that of a person who signed in
// (https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference).
func (s *Sim) idToken(c *call, u *User, code *authCode) string {
	k := s.knobs.Load()
	now := time.Now().Add(k.ClockAhead)
	claims := map[string]any{
		"aud": code.app.ClientID, "iss": c.origin + "/" + k.Tenant + "/v2.0", "tid": k.Tenant, "oid": u.ID,
		"sub": s.dice.guid("subject", u.ID), "nonce": code.nonce, "ver": "2.0",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(k.TokenLife).Unix(),
	}
	if slices.Contains(code.scopes, "profile") {
		claims["name"], claims["preferred_username"] = u.DisplayName, u.UPN
	}
	if len(u.AppRoles) > 0 {
		claims["roles"] = u.AppRoles
	}
	if k.IDToken != nil {
		k.IDToken(claims)
	}
	signs, id, _ := s.openID.keys()
	head, _ := json.Marshal(map[string]string{"typ": "JWT", "alg": "RS256", "kid": id}) // strings: never fails
	body, _ := json.Marshal(claims)
	enc := base64.RawURLEncoding
	text := enc.EncodeToString(head) + "." + enc.EncodeToString(body)
	sum := sha256.Sum256([]byte(text))
	signature, _ := rsa.SignPKCS1v15(nil, signs, crypto.SHA256, sum[:]) // the key is long enough
	return text + "." + enc.EncodeToString(signature)
}
