package daemon_test

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// Two replicas on one external server: one definition and one subscription, any
// of them decides, each job once; when the one that keeps the subscription
// stops, the other goes on.
func TestReplicas(t *testing.T) {
	o := newOffice(t, graphtest.Calm())
	nats := `url: "` + bustest.External(t) + `"`
	first := o.replica("127.0.0.1:9465", nats).start(zap.NewNop())
	first.register()
	second := o.replica("127.0.0.1:9466", nats).start(zap.NewNop())
	defer second.end()
	second.await("the second replica is ready", 20*time.Second, func() bool {
		code, _ := second.get("/readyz")
		return code == 200
	})
	var ids []graphtest.JobID
	printSome := func(n int) {
		for i := range n {
			ids = append(ids, o.print([]graphtest.JobSpec{{Printer: pullID}, {Printer: directID}, {Printer: directID, Copies: 99}}[i%3]))
		}
	}
	printSome(60)
	second.await("60 jobs decided", 20*time.Second, func() bool { return len(first.all())+len(second.all()) == 60 })
	if len(first.all()) == 0 || len(second.all()) == 0 {
		t.Errorf("one replica decided alone: %d and %d", len(first.all()), len(second.all()))
	}
	o.sim.DropSubscriptions()
	first.end()
	second.await("the subscription is made again by the other", 30*time.Second, func() bool { return len(o.sim.Subscriptions()) == 1 })
	printSome(30)
	second.await("30 more jobs decided", 30*time.Second, func() bool { return len(first.all())+len(second.all()) == 90 })
	if n := len(o.sim.Definitions()); n != 1 {
		t.Errorf("%d definitions", n)
	}
	for _, id := range ids {
		job, _ := o.sim.Job(id)
		want := 1
		if id.Printer == pullID {
			want = 0
		}
		if n := job.Effects.Applied(); n != want || job.Effects.AbortRefused+job.Effects.FinishRefused != 0 {
			t.Errorf("job %v: %+v", id, job.Effects)
		}
	}
}
