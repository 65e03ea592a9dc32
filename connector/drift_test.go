package connector_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// A queue whose trigger is taken away is noticed by the jobs that print past us,
// and is well again when one comes to us.
func TestDrift(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		reg := prometheus.NewRegistry()
		l := w.live("", func(d *connector.Deps) { d.Metrics = connector.NewMetrics(reg, queues) })
		looks := func(what, followMe string) {
			t.Helper()
			time.Sleep(11 * time.Minute) // virtual
			l.sweep(t)
			want := `
# HELP pullprint_trigger_drift 1 when jobs of the queue print without starting a task of ours: its trigger is missing or another's; else 0.
# TYPE pullprint_trigger_drift gauge
pullprint_trigger_drift{queue="Follow-Me"} ` + followMe + `
pullprint_trigger_drift{queue="Poster"} 0
`
			if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "pullprint_trigger_drift"); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		looks("nothing printed", "0")
		_, d := w.print(graphtest.JobSpec{Printer: pullID})
		l.worker.Handle(l.ctx, d)
		looks("a job of ours", "0")
		if err := w.sim.RemoveTrigger(pullID); err != nil {
			t.Fatal(err)
		}
		looks("no job since", "0")
		if _, err := w.sim.Submit(graphtest.JobSpec{Printer: pullID, User: studentID}); err != nil {
			t.Fatal(err)
		}
		looks("a job past us", "1")
		looks("no job since", "1")
		if _, err := w.sim.AddTrigger(pullID, w.book.Definition()); err != nil {
			t.Fatal(err)
		}
		_, d = w.print(graphtest.JobSpec{Printer: pullID})
		l.worker.Handle(l.ctx, d)
		looks("a job of ours again", "0")
	})
}
