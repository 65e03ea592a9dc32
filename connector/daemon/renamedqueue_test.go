package daemon_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// Jobs that wait for a queue are listed by the name that the queue has now.
func TestJobsOfRenamedQueueAreListed(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		s := o.opened(zap.NewNop())
		s.hold(2)
		s.end()
		p := filepath.Join(o.dir, "config.yaml")
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(strings.ReplaceAll(string(text), "Follow-Me", "Print-Anywhere")), 0o600); err != nil {
			t.Fatal(err)
		}
		s = o.start(zap.NewNop())
		defer func() { s.end() }()
		pass(2 * time.Second)
		var out struct{ Jobs []json.RawMessage }
		st := o.ask(adminToken, http.MethodGet, "/v1/jobs?queue=Print-Anywhere", "", &out)
		if st != http.StatusOK || len(out.Jobs) != 2 {
			t.Errorf("%d, %d jobs, want 2", st, len(out.Jobs))
		}
	})
}
