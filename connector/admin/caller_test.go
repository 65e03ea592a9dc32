package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/access"
	"pullprint/connector/bus/bustest"
)

const personID = "5b0c3a9e-0001-4c1d-8a2b-3c4d5e6f7081"

// people are sessions of people as they are stored, by the value of their cookie.
func people(t *testing.T, tokens *access.Tokens) *access.Sessions {
	t.Helper()
	state := bustest.Open(t).State()
	for cookie, s := range map[string]struct {
		role    access.Role
		checked time.Duration // ago
	}{
		"person": {}, "read": {role: access.RoleRead}, "operate": {role: access.RoleOperate}, "admin": {role: access.RoleAdmin},
		"unconfirmed": {access.RoleAdmin, 15 * time.Minute},
	} {
		raw, err := json.Marshal(map[string]any{
			"name": personID, "role": s.role, "until": time.Now().Add(time.Hour), "checked": time.Now().Add(-s.checked),
		})
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(cookie))
		if _, ok, err := state.CompareAndSet(t.Context(), "session."+hex.EncodeToString(sum[:]), raw, 0, time.Hour); err != nil || !ok {
			t.Fatal(err)
		}
	}
	sessions := access.NewSessions(state, tokens)
	access.NewSignIn(access.Config{PublicURL: "https://print.example.com"}, nil, nil, sessions)
	return sessions
}

// The API takes people by their roles as it takes tokens, unless another site has their browser send the
// request, or Entra has to confirm who they are. A token in the header counts alone.
func TestAuthorizationOfPeople(t *testing.T) {
	tokens := newTokens(t)
	a := NewAPI(Deps{Logger: zap.NewNop(), Tokens: tokens, Sessions: people(t, tokens)})
	list := routes()
	var reached *access.Caller
	for i := range list {
		list[i].do = func(_ *API, r *request) (any, error) { reached = &r.caller; return struct{}{}, nil }
	}
	a.mount(list)
	send := func(r route, cookie, from, token string) int {
		reached = nil
		req := httptest.NewRequest(r.method, strings.NewReplacer("{printer}", "p", "{job}", "j", "{account}", "a", "{user}", "u").
			Replace(r.path), nil)
		req.AddCookie(&http.Cookie{Name: "__Host-pullprint", Value: cookie}) //nolint:gosec // of a request
		req.Header.Set("Sec-Fetch-Site", from)
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		rec := httptest.NewRecorder()
		a.ServeHTTP(rec, req)
		return rec.Code
	}
	for _, r := range list {
		name := r.method + " " + r.path
		for _, who := range []string{"nobody", "person", "unconfirmed", "read", "operate", "admin"} {
			want := http.StatusForbidden
			switch {
			case strings.Contains(" "+matrix[name]+" ", " "+who+" "), r.audience == forAll:
				want = http.StatusOK
			case who == "nobody" || who == "unconfirmed":
				want = http.StatusUnauthorized
			}
			if got := send(r, who, "same-origin", ""); got != want || (reached != nil) != (want == http.StatusOK) {
				t.Errorf("%s by %s: %d, want %d", name, who, got, want)
			}
			if reached != nil && r.audience != forAll && (reached.Person != personID || reached.Name != personID) {
				t.Errorf("%s by %s: the caller is %+v", name, who, reached)
			}
		}
		if r.audience == forAll {
			continue
		}
		if got := send(r, "admin", "cross-site", ""); r.method != http.MethodGet && got != http.StatusForbidden {
			t.Errorf("%s from another site: %d", name, got)
		}
		if got := send(r, "admin", "same-origin", "not-a-token-at-all"); got != http.StatusUnauthorized {
			t.Errorf("%s with a wrong token beside a session: %d", name, got)
		}
	}
}
