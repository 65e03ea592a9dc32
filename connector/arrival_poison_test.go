package connector_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"pullprint/connector/job"
	"pullprint/trigger/graph/graphtest"
)

// A bridge that publishes nonsense under the id of a task, so that what is true of it
// is dropped as a repeat, keeps the job from nobody: the sweep feeds it under another id.
func TestPoisonedTask(t *testing.T) {
	quiet(t, func(w *world) {
		w.sim.Change(func(k *graphtest.Knobs) { k.LoseNotification = 1 })
		id, d := w.print(graphtest.JobSpec{Printer: pullID})
		if _, err := w.bus.PublishTask(w.t.Context(), d.Definition, w.task(id), []byte(`{"clientState":"guessed"}`)); err != nil {
			w.t.Fatal(err)
		}
		l := w.live("")
		ctx, stop := context.WithCancel(w.t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = w.bus.Consume(ctx, 4, l.worker.Handle) })
		running.Go(func() { _ = l.sweeper.Run(ctx) })
		time.Sleep(2 * time.Minute) // of virtual time
		stop()
		running.Wait()
		if rec := w.record(id); rec.State != job.Held {
			w.t.Errorf("the job is %q", rec.State)
		}
	})
}
