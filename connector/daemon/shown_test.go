package daemon_test

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// That the file is refused is shown with what the daemon is ready for.
func TestRefusedPolicyIsShown(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := newOffice(t, graphtest.Calm()).start(zap.NewNop())
		defer s.end()
		s.register()
		shown := func() bool {
			code, body := s.get("/readyz?verbose")
			return code == 200 && strings.Contains(body, "[!] policy: the file has changed and is refused")
		}
		if shown() {
			t.Error("refused at the start")
		}
		s.write("policy.yaml", "rules: [{name: no\n")
		s.await("the refusal shown", 10*time.Second, shown)
		s.write("policy.yaml", officePolicy)
		s.await("the end of it", 10*time.Second, func() bool { return !shown() })
	})
}
