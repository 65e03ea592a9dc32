package connector_test

import (
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// An owner is warned once although the job is decided again each minute, as the directory does
// not answer: a new decision keeps what the record knows besides.
func TestWarnedOnceWhileItCantBeDecided(t *testing.T) {
	const src = `
rules:
  - {name: students, at: arrival, when: '"students" in user.groups', verdict: abort, reason: copies.no, text: No., remedy: Fewer.}
`
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		b := &bridge{}
		l := w.live("", shortHold, withPolicy(t, src), func(d *connector.Deps) { d.Graph, d.Notices = groupless{d.Graph}, b })
		id, d := w.print(graphtest.JobSpec{Printer: pullID})
		l.worker.Handle(l.ctx, d)
		time.Sleep(time.Until(w.record(id).HoldUntil) - 10*time.Minute) // virtual
		for range 3 {
			l.sweep(t)
			l.worker.Handle(l.ctx, d)
			if w.record(id).Warned.IsZero() {
				t.Error("the record does not know any more that its owner was warned")
			}
			time.Sleep(time.Minute) // virtual
		}
		if len(b.heard) != 1 {
			t.Errorf("%d notices: %v", len(b.heard), b.heard)
		}
	})
}
