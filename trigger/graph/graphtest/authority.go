package graphtest

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// authError is an error of the token endpoint in the format of Entra.
type authError struct {
	Error         string `json:"error"`
	Description   string `json:"error_description"`
	Codes         []int  `json:"error_codes"`
	Timestamp     string `json:"timestamp"`
	TraceID       string `json:"trace_id"`
	CorrelationID string `json:"correlation_id"`
	URI           string `json:"error_uri,omitempty"`
}

func (c *call) authFail(status int, kind string, code int, message string) reply {
	now := time.Now().UTC().Format("2006-01-02 15:04:05Z")
	return reply{status: status, body: authError{
		Error: kind, Codes: []int{code}, Timestamp: now, TraceID: c.requestID, CorrelationID: c.requestID,
		Description: fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s", code, message, c.requestID,
			c.requestID, now),
		URI: "https://login.microsoftonline.com/error?code=" + strconv.Itoa(code),
	}}
}

type tokenReply struct {
	TokenType    string `json:"token_type"`
	Scope        string `json:"scope,omitempty"`
	ExpiresIn    int    `json:"expires_in"`
	ExtExpiresIn int    `json:"ext_expires_in"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
}

// authority answers everything outside /v1.0.
func (s *Sim) authority(c *call, r *http.Request) (reply, error) {
	seg := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if op, do := s.signInPage(c, r, seg); do != nil {
		return s.perform(c.ctx, op, false, c, do)
	}
	if len(seg) != 4 || seg[1] != "oauth2" || seg[2] != "v2.0" || (seg[3] != "token" && seg[3] != "devicecode") {
		return reply{status: http.StatusNotFound, text: "Not found"}, nil
	}
	form, err := url.ParseQuery(string(c.Body))
	if r.Method != http.MethodPost || err != nil {
		return c.authFail(400, "invalid_request", 900561, "The endpoint only accepts POST requests with a form."), nil
	}
	if id, secret, ok := r.BasicAuth(); ok { // RFC 6749 section 2.3.1: both are form-encoded first
		form.Set("client_id", unescape(id))
		form.Set("client_secret", unescape(secret))
	}
	op, do := OpToken, s.grant
	if seg[3] == "devicecode" {
		op, do = OpDeviceCode, s.startDevice
	}
	return s.perform(c.ctx, op, false, c, func() reply {
		if tenant := s.Tenant(); !strings.EqualFold(seg[0], tenant) {
			return c.authFail(400, "invalid_request", 90002, fmt.Sprintf("Tenant '%s' not found. Check to make sure you have "+
				"the correct tenant ID and are signing into the correct cloud.", seg[0]))
		}
		s.mu.Lock()
		a := s.apps[form.Get("client_id")]
		s.mu.Unlock()
		if a == nil {
			return c.authFail(400, "unauthorized_client", 700016,
				fmt.Sprintf("Application with identifier '%s' was not found in the directory.", form.Get("client_id")))
		}
		return do(c, a, form)
	})
}

// signInPage is what answers for the paths that a person's browser, or an application that lets people sign in, asks
// for; nil for other paths.
func (s *Sim) signInPage(c *call, r *http.Request, seg []string) (op string, do func() reply) {
	if !strings.EqualFold(seg[0], s.Tenant()) {
		return "", nil
	}
	switch strings.Join(seg[1:], "/") {
	case "v2.0/.well-known/openid-configuration":
		return OpDiscovery, func() reply { return s.discovery(c) }
	case "discovery/v2.0/keys":
		return OpKeys, s.publishedKeys
	case "oauth2/v2.0/authorize":
		return OpAuthorize, func() reply { return s.authorize(c, r) }
	case "oauth2/v2.0/logout":
		return OpLogout, func() reply { return s.logout(r) }
	}
	return "", nil
}

func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

func (s *Sim) grant(c *call, a *app, form url.Values) reply {
	switch form.Get("grant_type") {
	case "client_credentials":
		return s.grantApp(c, a, form)
	case "urn:ietf:params:oauth:grant-type:device_code":
		return s.grantDevice(c, a, form)
	case "authorization_code":
		return s.grantCode(c, a, form)
	case "refresh_token":
		return s.grantRefresh(c, a, form)
	}
	return c.authFail(400, "unsupported_grant_type", 70003,
		"The app requested an unsupported grant type '"+form.Get("grant_type")+"'.")
}

// refuseClient checks who asks for a token: by a secret of the app, or an assertion.
func (s *Sim) refuseClient(c *call, a *app, form url.Values) (reply, bool) {
	if form.Get("client_assertion") != "" {
		return s.refuseAssertion(c, a, form)
	}
	switch secret := form.Get("client_secret"); {
	case secret == "":
		return c.authFail(401, "invalid_client", 7000218,
			"The request body must contain the following parameter: 'client_assertion' or 'client_secret'."), true
	case subtle.ConstantTimeCompare([]byte(secret), []byte(a.Secret)) != 1:
		return c.authFail(401, "invalid_client", 7000215, "Invalid client secret provided. Ensure the secret being sent "+
			"in the request is the client secret value, not the client secret ID, for a secret added to app '"+a.ClientID+"'."), true
	case a.SecretExpired:
		return c.authFail(401, "invalid_client", 7000222,
			"The provided client secret keys for app '"+a.ClientID+"' are expired."), true
	}
	return reply{}, false
}

func (s *Sim) grantApp(c *call, a *app, form url.Values) reply {
	if r, bad := s.refuseClient(c, a, form); bad {
		return r
	}
	switch scope := form.Get("scope"); {
	case !strings.HasSuffix(scope, "/.default"):
		return c.authFail(400, "invalid_scope", 1002012, "The provided value for scope "+scope+" is not valid. Client "+
			"credential flows must have a scope value with /.default suffixed to the resource identifier.")
	case !slices.Contains(graphResources, strings.TrimSuffix(scope, "/.default")):
		return c.authFail(400, "invalid_resource", 500011, "The resource principal named "+strings.TrimSuffix(scope,
			"/.default")+" was not found in the tenant.")
	}
	return s.tokenAnswer(a, nil, nil, "")
}

var graphResources = []string{
	"https://graph.microsoft.com", "https://graph.microsoft.us", "https://dod-graph.microsoft.us",
}

func (s *Sim) tokenAnswer(a *app, u *User, scopes []string, refresh string) reply {
	life := int(s.knobs.Load().TokenLife / time.Second)
	t := tokenReply{TokenType: "Bearer", ExpiresIn: life, ExtExpiresIn: life, AccessToken: s.issue(a, u,
		scopes), RefreshToken: refresh}
	if u != nil {
		t.Scope = strings.Join(scopes, " ")
	}
	return reply{
		status: 200, body: t, header: http.Header{"Cache-Control": {"no-store, no-cache"}, "Pragma": {"no-cache"}},
	}
}
