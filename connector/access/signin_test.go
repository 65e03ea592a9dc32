package access

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
)

const onePerson = "5b0c3a9e-0001-4c1d-8a2b-3c4d5e6f7081"

// entra redeems any code, as often as it is asked.
type entra struct {
	asked   chan struct{} // gets a value when a code is redeemed, if it is there
	proceed chan struct{}
	roles   []string
	in      []string // groups
	down    bool     // Graph does not answer
	refuses bool     // it redeems none
}

func (e *entra) URL(_ context.Context, c auth.Challenge, _ auth.SignInOptions) (string, error) {
	return "https://login.microsoftonline.com/?state=" + c.State, nil
}

func (e *entra) Redeem(context.Context, string, auth.Challenge) (auth.Identity, error) {
	if e.asked != nil {
		e.asked <- struct{}{}
		<-e.proceed
	}
	if e.refuses {
		return auth.Identity{}, auth.ErrIDToken
	}
	return auth.Identity{User: onePerson, Roles: e.roles}, nil
}

func (e *entra) SignOutURL(context.Context) string { return "" }
func (e *entra) ClockAhead() time.Duration         { return 0 }

func (e *entra) User(context.Context, string) (graph.User, bool, error) {
	if e.down {
		return graph.User{}, false, errors.New("graph is down")
	}
	return graph.User{ID: onePerson}, true, nil
}

func (e *entra) MemberOf(context.Context, string, []string) ([]string, error) {
	if e.down {
		return nil, errors.New("graph is down")
	}
	return e.in, nil
}

func newSignIn(t *testing.T, e *entra, roles RoleNames) *SignIn {
	t.Helper()
	sessions := NewSessions(bustest.Open(t).State(), newTokens(t))
	return NewSignIn(Config{PublicURL: "https://print.example.com", Roles: roles, Session: time.Hour}, e, e, sessions)
}

// begin begins a sign-in and returns the request with which Entra leads the browser back.
func begin(t *testing.T, s *SignIn) *http.Request {
	t.Helper()
	rec := httptest.NewRecorder()
	if err := s.Begin(rec, httptest.NewRequest(http.MethodGet, signInPath+"?then=/me", nil)); err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(rec.Header().Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	back := httptest.NewRequest(http.MethodGet, CallbackPath+"?code=x&state="+to.Query().Get("state"), nil)
	back.AddCookie(rec.Result().Cookies()[0])
	return back
}

// finish is the role of the session that a sign-in begins.
func finish(t *testing.T, s *SignIn, back *http.Request) (Caller, error) {
	t.Helper()
	rec := httptest.NewRecorder()
	if err := s.Finish(rec, back); err != nil {
		return Caller{}, err
	}
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range rec.Result().Cookies() {
		if c.MaxAge > 0 {
			req.AddCookie(c)
		}
	}
	who, state, err := s.sessions.Person(req)
	if err != nil || state != Confirmed {
		t.Fatalf("state %d, %v", state, err)
	}
	return who, nil
}

// A sign-in is finished once, also when Entra gives a person for its code a second time.
func TestStateIsUsedOnce(t *testing.T) {
	s := newSignIn(t, &entra{}, RoleNames{})
	back := begin(t, s)
	if _, err := finish(t, s, back); err != nil {
		t.Fatal(err)
	}
	if _, err := finish(t, s, back); !errors.Is(err, errUsed) {
		t.Errorf("a second time: %v", err)
	}
}

// Whatever codes come with one sign-in, Entra is asked once.
func TestCodesOfOneSignIn(t *testing.T) {
	e := &entra{asked: make(chan struct{}, 200), proceed: make(chan struct{}), refuses: true}
	close(e.proceed)
	s := newSignIn(t, e, RoleNames{})
	back := begin(t, s)
	for i := range 200 {
		if _, err := finish(t, s, back); i > 0 && !errors.Is(err, errUsed) {
			t.Fatalf("code %d: %v", i, err)
		}
	}
	if n := len(e.asked); n != 1 {
		t.Errorf("Entra was asked %d times", n)
	}
}

// Tabs that sign in at once finish each, in any order. A browser keeps a few sign-ins that have begun and
// drops the oldest, and what is none of ours at once.
func TestTabs(t *testing.T) { bustest.Virtual(t, tabs) }

func tabs(t *testing.T) {
	s := newSignIn(t, &entra{}, RoleNames{})
	jar := map[string]*http.Cookie{}
	tab := func(then string) (state string) {
		req := httptest.NewRequest(http.MethodGet, signInPath+"?then="+then, nil)
		for _, c := range jar {
			req.AddCookie(c)
		}
		rec := httptest.NewRecorder()
		if err := s.Begin(rec, req); err != nil {
			t.Fatal(err)
		}
		for _, c := range rec.Result().Cookies() {
			if jar[c.Name] = c; c.MaxAge < 0 {
				delete(jar, c.Name)
			}
		}
		to, _ := url.Parse(rec.Header().Get("Location"))
		return to.Query().Get("state")
	}
	back := func(state string) error {
		req := httptest.NewRequest(http.MethodGet, CallbackPath+"?code=x&state="+state, nil)
		for _, c := range jar {
			req.AddCookie(c)
		}
		_, err := finish(t, s, req)
		return err
	}
	for _, end := range []string{"", "-", "-QUFBQUFB"} {
		name := s.config.cookieOf(pendingCookie) + end
		jar[name] = &http.Cookie{Name: name, Value: "QUFB"} //nolint:gosec // what a browser sends
	}
	var states []string
	for range maxPending + 1 {
		states = append(states, tab("/me"))
		time.Sleep(time.Second)
	}
	if len(jar) != maxPending {
		t.Errorf("%d sign-ins are kept", len(jar))
	}
	if err := back(states[0]); !errors.Is(err, errOtherBrowser) {
		t.Errorf("the oldest: %v", err)
	}
	for _, i := range []int{8, 1, 5} {
		if err := back(states[i]); err != nil {
			t.Errorf("tab %d: %v", i, err)
		}
	}
	long, total := "/"+strings.Repeat("x", maxThen-1), 0
	for range maxPending {
		tab(long)
	}
	for _, c := range jar {
		total += len(c.Value)
	}
	if total > maxPendingBytes || len(jar) == 0 {
		t.Errorf("%d cookies of %d bytes", len(jar), total)
	}
}

// Of sign-ins that were tried, a bounded number is remembered, and those whose time has passed are forgotten
// first.
func TestTriedIsBounded(t *testing.T) {
	var tr tried
	now := time.Now()
	for i := range maxTried {
		tr.first(strconv.Itoa(i), now.Add(time.Duration(i%2)*pendingFor))
	}
	if !tr.first("one more", now.Add(pendingFor)) || tr.first("1", now.Add(pendingFor)) || len(tr.at) != maxTried/2+1 {
		t.Errorf("%d are remembered", len(tr.at))
	}
}

// More codes than may be redeemed at once are refused, and those that are under way are not.
func TestCodesAtOnce(t *testing.T) {
	e := &entra{asked: make(chan struct{}), proceed: make(chan struct{})}
	s := newSignIn(t, e, RoleNames{})
	done := make(chan error, maxRedeeming)
	for range maxRedeeming {
		back := begin(t, s)
		go func() { done <- s.Finish(httptest.NewRecorder(), back) }()
		<-e.asked
	}
	if _, err := finish(t, s, begin(t, s)); !errors.Is(err, errBusy) {
		t.Errorf("one more: %v", err)
	}
	close(e.proceed)
	for range maxRedeeming {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// The highest role counts, by app role or group; while Graph does not answer, who has an app role has that
// and who may have one by a group is refused, so that nobody is told that they have none.
func TestRoleOfPerson(t *testing.T) {
	const desk, board = "0d1e2f30-1111-4222-8333-444455556666", "0d1e2f30-1111-4222-8333-444455556667"
	roles := RoleNames{
		Admin: []string{board, "pullprint.admin"}, Operate: []string{strings.ToUpper(desk)}, Read: []string{"pullprint.read"},
	}
	for name, c := range map[string]struct {
		entra entra
		want  Role
		err   error
	}{
		"none":                         {entra{}, "", nil},
		"an unknown app role":          {entra{roles: []string{"pullprint.Admin", "other"}}, "", nil},
		"read":                         {entra{roles: []string{"pullprint.read"}}, RoleRead, nil},
		"two app roles":                {entra{roles: []string{"pullprint.read", "pullprint.admin"}}, RoleAdmin, nil},
		"a group":                      {entra{in: []string{desk}}, RoleOperate, nil},
		"a group above an app role":    {entra{roles: []string{"pullprint.read"}, in: []string{board, desk}}, RoleAdmin, nil},
		"a group's id as an app role":  {entra{roles: []string{board}}, "", nil},
		"Graph is down":                {entra{down: true}, "", errNoGroups},
		"Graph is down, with app role": {entra{down: true, roles: []string{"pullprint.read"}}, RoleRead, nil},
	} {
		s := newSignIn(t, &c.entra, roles)
		who, err := finish(t, s, begin(t, s))
		if !errors.Is(err, c.err) || who.Role != c.want || err == nil && who.Person != onePerson {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
}

// A key of the cookies that is lost is made anew, and another replica's is taken; a sign-in that was
// begun before is begun again.
func TestSealKeyIsShared(t *testing.T) {
	s := newSignIn(t, &entra{}, RoleNames{})
	back := begin(t, s)
	_, revision, err := s.seal.store.Get(t.Context(), sealKey)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := s.seal.store.Delete(t.Context(), sealKey, revision); err != nil || !ok {
		t.Fatal(err)
	}
	other := NewSignIn(s.config, &entra{}, &entra{}, s.sessions) // makes another key
	again := begin(t, other)
	if _, err := finish(t, s, again); err != nil {
		t.Errorf("with the key of the other replica: %v", err)
	}
	if _, err := finish(t, s, back); !errors.Is(err, errTooLate) {
		t.Errorf("with a lost key: %v", err)
	}
}
