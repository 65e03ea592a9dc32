package graphtest

import (
	crand "crypto/rand"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"
)

// token is an access token that was issued.
type token struct {
	app     *app
	user    *User    // nil = an app token
	scopes  []string // delegated permissions; nil = all
	expires time.Time
	revoked bool // of a refresh token
}

func (t *token) hasRole(wanted []string) bool {
	for _, r := range wanted {
		if slices.Contains(t.app.Roles, r) {
			return true
		}
	}
	return false
}

// hasScope reports whether a person's token has a delegated permission that an operation needs.
func (t *token) hasScope(op string) bool {
	wanted := scopes[op]
	return t.scopes == nil || wanted == nil ||
		slices.ContainsFunc(wanted, func(s string) bool { return slices.Contains(t.scopes, s) })
}

var (
	readScopes  = []string{"Printer.Read.All", "Printer.ReadWrite.All", "Printer.FullControl.All"}
	writeScopes = []string{"Printer.ReadWrite.All", "Printer.FullControl.All"}
	shareScopes = []string{"PrinterShare.ReadWrite.All"}
)

// scopes are the delegated permissions of operations, any of which suffices.
var scopes = map[string][]string{
	OpPrinterList: readScopes, OpPrinterCreate: append([]string{"Printer.Create"}, writeScopes...),
	OpOperationGet:  append([]string{"Printer.Create"}, writeScopes...),
	OpPrinterUpdate: writeScopes, OpPrinterDelete: {"Printer.FullControl.All"},
	OpTriggerList: readScopes, OpTriggerGet: readScopes, OpTriggerCreate: writeScopes, OpTriggerDelete: writeScopes,
	OpShareList: append([]string{"PrinterShare.Read.All"}, shareScopes...), OpShareCreate: shareScopes,
	OpShareUpdate: shareScopes,
	OpShareDelete: shareScopes, OpAllowedList: shareScopes, OpGroupAllow: shareScopes,
	OpUsage: {"Reports.Read.All"}, OpJobCreate: {"PrintJob.Create"},
	OpJobStart: {"PrintJob.Create", "PrintJob.ReadWriteBasic", "PrintJob.ReadWrite"},
}

// tokens is the state of the authority.
type tokens struct {
	mu      sync.RWMutex
	access  map[string]*token
	refresh map[string]*token
	devices map[string]*device // by device code
	codes   map[string]*device // by user code
	used    map[string]bool    // assertions, by their id
	refuse  int                // AADSTS code that the device code flow ends with, 0 for none
}

func (t *tokens) init() {
	t.access = make(map[string]*token)
	t.refresh = make(map[string]*token)
	t.devices = make(map[string]*device)
	t.codes = make(map[string]*device)
	t.used = make(map[string]bool)
}

func (t *tokens) find(bearer string) (token, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if found := t.access[bearer]; found != nil {
		return *found, true
	}
	return token{}, false
}

// issue makes a token in the format of Entra: a JWT whose claims can be read.
func (s *Sim) issue(a *app, u *User, scopes []string) string {
	k := s.knobs.Load()
	now := time.Now()
	claims := map[string]any{
		"aud": "https://graph.microsoft.com", "iss": "https://sts.windows.net/" + k.Tenant + "/", "tid": k.Tenant,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(k.TokenLife).Unix(), "appid": a.ClientID, "ver": "1.0",
	}
	if u == nil {
		claims["idtyp"], claims["roles"] = "app", a.Roles
	} else {
		claims["idtyp"], claims["oid"], claims["upn"] = "user", u.ID, u.UPN
		claims["scp"] = strings.Join(scopes, " ")
	}
	payload, _ := json.Marshal(claims) // strings and numbers only: never fails
	enc := base64.RawURLEncoding
	jwt := enc.EncodeToString([]byte(`{"typ":"JWT","alg":"RS256","kid":"simulator"}`)) + "." +
		enc.EncodeToString(payload) +
		"." + enc.EncodeToString([]byte(crand.Text()))
	s.tokens.mu.Lock()
	s.tokens.access[jwt] = &token{app: a, user: u, scopes: scopes, expires: now.Add(k.TokenLife)}
	s.tokens.mu.Unlock()
	return jwt
}

// identify looks the bearer token up.
func (s *Sim) identify(c *call, authorization string) {
	bearer, ok := strings.CutPrefix(authorization, "Bearer ")
	if !ok || bearer == "" {
		c.tokenErr = "Access token is empty."
		return
	}
	t, ok := s.tokens.find(bearer)
	switch {
	case !ok:
		c.tokenErr = "CompactToken parsing failed or the token is not known."
	case !time.Now().Before(t.expires):
		c.tokenErr = "Lifetime validation failed, the token is expired."
	default:
		c.token, c.App = &t, t.app.ClientID
	}
}

// RevokeTokens makes every access token issued so far invalid.
func (s *Sim) RevokeTokens() {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	clear(s.tokens.access)
}

// AppToken issues an app token without a call, for tests that speak HTTP themselves. It panics when the app is unknown.
func (s *Sim) AppToken(clientID string) string { return s.issue(s.mustApp(clientID), nil, nil) }

// UserToken issues a delegated token for a user and an app without a call. It panics when one of them is unknown.
func (s *Sim) UserToken(clientID, userID string) string {
	s.mu.Lock()
	u := s.users[userID]
	s.mu.Unlock()
	if u == nil {
		panic("graphtest: no user " + userID)
	}
	return s.issue(s.mustApp(clientID), u, nil)
}

func (s *Sim) mustApp(clientID string) *app {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.apps[clientID]
	if a == nil {
		panic("graphtest: no app " + clientID)
	}
	return a
}
