package connector_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// Who no longer sweeps says nothing of the queues any more: another does.
func TestResign(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		store := bustest.Open(t)
		w := newWorld(t, store, graphtest.Calm())
		reg := prometheus.NewRegistry()
		l := w.live("", func(d *connector.Deps) { d.Registerer, d.Logger = reg, zap.NewNop() })
		if err := w.sim.RemoveTrigger(pullID); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- l.sweeper.Run(ctx) }()
		time.Sleep(time.Minute) // virtual
		if _, err := w.sim.Submit(graphtest.JobSpec{Printer: pullID, User: studentID}); err != nil {
			t.Fatal(err)
		}
		drifted := func(value string) error {
			return testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP pullprint_trigger_drift 1 when jobs of the queue print without starting a task of ours: its trigger is missing or another's; else 0.
# TYPE pullprint_trigger_drift gauge
pullprint_trigger_drift{queue="Follow-Me"} `+value+`
pullprint_trigger_drift{queue="Poster"} 0
`), "pullprint_trigger_drift")
		}
		time.Sleep(25 * time.Minute)
		if err := drifted("1"); err != nil {
			t.Error(err)
		}
		stop()
		<-ended
		if err := drifted("0"); err != nil {
			t.Error(err)
		}
	})
}
