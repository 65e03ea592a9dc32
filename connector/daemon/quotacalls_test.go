package daemon_test

import (
	"net/http"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// Whoever asks for one account again and again asks Graph for its person once a minute.
func TestGraphCallsOfQuotas(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		calls := func() int { return s.sim.Calls(graphtest.OpUserGet) + s.sim.Calls(graphtest.OpGroups) }
		before := calls()
		for range 20 {
			for _, name := range []string{"teacher@contoso.com", "Teacher@Contoso.com"} {
				if code := s.ask(adminToken, "GET", "/v1/quotas/"+name, "", nil); code != http.StatusOK {
					t.Fatal(code)
				}
			}
		}
		if n := calls() - before; n == 0 || n > 2 {
			t.Errorf("%d calls of Graph for 40 looks at one account", n)
		}
		pass(2 * time.Minute)
		before = s.sim.Calls(graphtest.OpUserGet)
		if s.ask(adminToken, "GET", "/v1/quotas/teacher@contoso.com", "", nil); s.sim.Calls(graphtest.OpUserGet) != before+1 {
			t.Error("a name is believed for longer than a minute")
		}
		for range 2 {
			if code := s.ask(adminToken, "GET", "/v1/quotas/new@contoso.com", "", nil); code/100 != 4 {
				t.Error(code)
			}
		}
		s.sim.AddUser(graphtest.User{ID: "77777777-2222-4333-8444-555555555555", UPN: "new@contoso.com"})
		if code := s.ask(adminToken, "GET", "/v1/quotas/new@contoso.com", "", nil); code != http.StatusOK {
			t.Errorf("a person who is new: %d", code)
		}
	})
}
