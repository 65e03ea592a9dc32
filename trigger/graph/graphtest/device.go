package graphtest

import (
	"cmp"
	crand "crypto/rand"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

const deviceCodeLife = 15 * time.Minute

// device is a sign-in waiting for a person.
type device struct {
	userCode string
	app      *app
	offline  bool // a refresh token was asked for
	scopes   []string
	expires  time.Time
	user     *User
	declined bool
	used     bool
}

type deviceReply struct {
	UserCode        string `json:"user_code"`
	DeviceCode      string `json:"device_code"`
	VerificationURI string `json:"verification_uri"`
	ExpiresIn       int    `json:"expires_in"`
	Interval        int    `json:"interval"`
	Message         string `json:"message"`
}

func (s *Sim) startDevice(c *call, a *app, form url.Values) reply {
	if form.Get("scope") == "" {
		return c.authFail(400, "invalid_request", 900144, "The request body must contain the following parameter: 'scope'.")
	}
	code := crand.Text()
	d := &device{
		userCode: crand.Text()[:9], app: a, expires: time.Now().Add(deviceCodeLife),
		offline: slices.Contains(strings.Fields(form.Get("scope")), "offline_access"), scopes: scopesOf(form),
	}
	s.tokens.mu.Lock()
	s.tokens.devices[code], s.tokens.codes[d.userCode] = d, d
	s.tokens.mu.Unlock()
	uri := s.knobs.Load().VerificationURI
	return reply{status: 200, body: deviceReply{
		UserCode: d.userCode, DeviceCode: code, VerificationURI: uri, ExpiresIn: int(deviceCodeLife / time.Second),
		Interval: int(cmp.Or(s.knobs.Load().DeviceInterval, 5*time.Second) / time.Second),
		Message: fmt.Sprintf("To sign in, use a web browser to open the page %s and enter the code %s to authenticate.",
			uri, d.userCode),
	}}
}

func (s *Sim) grantDevice(c *call, a *app, form url.Values) reply {
	s.tokens.mu.Lock()
	d, refuse := s.tokens.devices[form.Get("device_code")], s.tokens.refuse
	var got device
	if d != nil {
		got = *d
		d.used = d.used || d.user != nil
	}
	s.tokens.mu.Unlock()
	switch {
	case refuse != 0:
		return c.authFail(400, "invalid_grant", refuse, "The sign-in is refused.")
	case d == nil || got.app != a:
		return c.authFail(400, "bad_verification_code", 70019, "The verification code is not known.")
	case got.used:
		return c.authFail(400, "invalid_grant", 54005, "OAuth2 Authorization code was already redeemed, please retry with "+
			"a new valid code or use an existing refresh token.")
	case got.declined:
		return c.authFail(400, "authorization_declined", 70018, "The user declined the authorization.")
	case !time.Now().Before(got.expires):
		return c.authFail(400, "expired_token", 70020,
			"The provided value for the input parameter 'device_code' is not valid. This device code has expired.")
	case got.user == nil:
		return c.authFail(400, "authorization_pending", 70016,
			"OAuth 2.0 device flow error. Authorization is pending. Continue polling.")
	}
	refresh := ""
	if got.offline {
		refresh = s.refreshToken(a, got.user)
	}
	return s.tokenAnswer(a, got.user, got.scopes, refresh)
}

// scopesOf are the delegated permissions that are asked for: all of them are consented to.
func scopesOf(form url.Values) []string {
	var list []string
	for _, scope := range strings.Fields(form.Get("scope")) {
		if i := strings.LastIndexByte(scope, '/'); i >= 0 {
			list = append(list, scope[i+1:])
		}
	}
	return list
}

func (s *Sim) refreshToken(a *app, u *User) string {
	t := "0." + crand.Text()
	s.tokens.mu.Lock()
	s.tokens.refresh[t] = &token{app: a, user: u}
	s.tokens.mu.Unlock()
	return t
}

func (s *Sim) grantRefresh(c *call, a *app, form url.Values) reply {
	s.tokens.mu.RLock()
	var t token
	held := s.tokens.refresh[form.Get("refresh_token")]
	if held != nil {
		t = *held
	}
	s.tokens.mu.RUnlock()
	if held == nil || t.app != a {
		return c.authFail(400, "invalid_grant", 9002313, "Invalid request. Request is malformed or invalid.")
	}
	if t.revoked {
		return c.authFail(400, "invalid_grant", 50173,
			"The provided grant has expired due to it being revoked, a fresh auth token is needed.")
	}
	return s.tokenAnswer(a, t.user, scopesOf(form), s.refreshToken(a, t.user))
}

// ExpireDeviceCodes lets every pending device code expire.
func (s *Sim) ExpireDeviceCodes() {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	for _, d := range s.tokens.codes {
		d.expires = time.Now()
	}
}

// RefuseDevice makes the device code flow end with an AADSTS code from now on: 65001 for missing consent, 53003
// for a block by Conditional Access, 7000218 for an app that is no public client.
func (s *Sim) RefuseDevice(code int) {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	s.tokens.refuse = code
}

// RefreshTokens returns all refresh tokens that were issued.
func (s *Sim) RefreshTokens() []string {
	s.tokens.mu.RLock()
	defer s.tokens.mu.RUnlock()
	return slices.Collect(maps.Keys(s.tokens.refresh))
}

// RevokeSignIns revokes a user's refresh tokens, as an administrator would in the portal.
func (s *Sim) RevokeSignIns(userID string) {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	for _, t := range s.tokens.refresh {
		if t.user.ID == userID {
			t.revoked = true
		}
	}
}

// DeviceCodes returns the user codes of pending sign-ins, the one that expires first before the others.
func (s *Sim) DeviceCodes() []string {
	s.tokens.mu.RLock()
	defer s.tokens.mu.RUnlock()
	var open []*device
	for _, d := range s.tokens.codes {
		if d.user == nil && !d.declined && time.Now().Before(d.expires) {
			open = append(open, d)
		}
	}
	slices.SortFunc(open, func(a, b *device) int {
		if c := a.expires.Compare(b.expires); c != 0 {
			return c
		}
		return strings.Compare(a.userCode, b.userCode)
	})
	codes := make([]string, len(open))
	for i, d := range open {
		codes[i] = d.userCode
	}
	return codes
}

// ApproveDevice signs a user in with a device code; it is an error if the code or the user does not exist.
func (s *Sim) ApproveDevice(userCode, userID string) error {
	s.mu.Lock()
	u := s.users[userID]
	s.mu.Unlock()
	if u == nil {
		return fmt.Errorf("no user %q", userID)
	}
	return s.settleDevice(userCode, func(d *device) { d.user = u })
}

// DeclineDevice declines a device code; it is an error if it does not exist.
func (s *Sim) DeclineDevice(userCode string) error {
	return s.settleDevice(userCode, func(d *device) { d.declined = true })
}

func (s *Sim) settleDevice(userCode string, settle func(*device)) error {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	d := s.tokens.codes[strings.ToUpper(strings.TrimSpace(userCode))]
	if d == nil || d.user != nil || d.declined || !time.Now().Before(d.expires) {
		return fmt.Errorf("no sign-in waits for code %q", userCode)
	}
	settle(d)
	return nil
}
