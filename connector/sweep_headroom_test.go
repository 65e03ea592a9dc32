package connector_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// The gauge says how near a queue is to the limit of jobs in ten minutes.
func TestHeadroom(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	reg := prometheus.NewRegistry()
	l := w.live("", func(d *connector.Deps) { d.Registerer = reg })
	for range 30 {
		_, d := w.print(graphtest.JobSpec{Printer: pullID})
		l.worker.Handle(l.ctx, d)
	}
	l.sweep(t)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "pullprint_queue_headroom_ratio" {
			for _, s := range f.GetMetric() {
				got[s.GetLabel()[0].GetValue()] = s.GetGauge().GetValue()
			}
		}
	}
	if got["Follow-Me"] != 0.7 || got["Poster"] != 1 {
		t.Errorf("%v", got)
	}
	if n := testutil.CollectAndCount(reg, "pullprint_queue_headroom_ratio"); n != len(queues) {
		t.Errorf("%d series", n)
	}
}
