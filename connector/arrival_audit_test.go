package connector_test

import (
	"slices"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/job"
	"pullprint/connector/release"
	"pullprint/connector/store"
	"pullprint/trigger/graph/graphtest"
)

// failing is a policy that can't decide a job of a direct queue, which is held then.
const failing = `
rules:
  - {name: odd, at: arrival, when: 'job.copies / (job.copies - 1) > 0', verdict: abort, reason: copies.odd, text: 'Odd.',
     remedy: 'Print other copies.'}
`

// A process that dies between the record of a held job and the audit of its arrival leaves the
// arrival unaudited. Whatever comes next of the job is not audited before it is.
func TestArrivalIsAuditedBeforeWhatFollows(t *testing.T) {
	for name, c := range map[string]struct {
		printer string
		policy  string // when the job came
		next    func(w *world, l *life, id graphtest.JobID)
	}{
		"expiry": {printer: pullID, next: func(w *world, l *life, _ graphtest.JobID) {
			time.Sleep(6 * time.Minute) // virtual
			l.sweep(w.t)
		}},
		"tap": {printer: pullID, next: func(w *world, l *life, _ graphtest.JobID) {
			if _, err := l.release.Release(l.ctx, order()); err != nil {
				w.t.Error(err)
			}
		}},
		"cancel": {printer: pullID, next: func(w *world, l *life, id graphtest.JobID) {
			if _, err := l.release.Cancel(l.ctx, release.Cancellation{Key: w.recordKey(id)}); err != nil {
				w.t.Error(err)
			}
		}},
		"another policy": {printer: directID, policy: failing, next: func(w *world, l *life, id graphtest.JobID) {
			l.worker.Handle(l.ctx, w.delivery(id))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			quiet(t, func(w *world) {
				change := []func(*connector.Deps){func(d *connector.Deps) {
					d.Queues = slices.Clone(queues)
					for i := range d.Queues {
						d.Queues[i].HoldFor = 5 * time.Minute
					}
				}}
				first := change
				if c.policy != "" {
					first = append(slices.Clone(change), withPolicy(w.t, c.policy))
				}
				id, d := w.print(graphtest.JobSpec{Printer: c.printer})
				l := w.live("before audit", first...)
				l.worker.Handle(l.ctx, d)
				l.end()
				if s, n := w.record(id).State, len(w.audit(w.t)); s != job.Held || n != 0 {
					w.t.Fatalf("the job is %q with %d decisions audited", s, n)
				}
				c.next(w, w.live("", change...), id)
				list := w.audit(w.t)
				if len(list) != 2 || list[0].Point != "arrival" || list[0].Verdict != "hold" {
					w.t.Errorf("audited: %+v", list)
				}
			})
		})
	}
}

// delivery tells of a job once more.
func (w *world) delivery(id graphtest.JobID) store.Delivery {
	w.t.Helper()
	body, err := w.verifier.SweepNotification(w.task(id), id.Printer, id.Job)
	if err != nil {
		w.t.Fatal(err)
	}
	return store.Delivery{Body: body, Definition: w.verifier.Definition(), Delivered: 2, Stored: time.Now(), Sequence: 1}
}
