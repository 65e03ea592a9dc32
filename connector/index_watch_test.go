package connector_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/index"
	"pullprint/connector/job"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
)

var errCutOff = errors.New("cut off for more than an hour")

// cutOff is a store of records whose watch ends when it is told to, for so long that what
// was deleted left no mark.
type cutOff struct {
	job.KV
	cut chan struct{}
}

func (k cutOff) Watch(ctx context.Context, filter string, fn func(string, []byte, uint64), caughtUp func()) error {
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- k.KV.Watch(watching, filter, func(key string, value []byte, revision uint64) {
			if value != nil {
				fn(key, value, revision)
			}
		}, caughtUp)
	}()
	select {
	case err := <-ended:
		return err
	case <-k.cut:
		cancel()
		<-ended
		return errCutOff
	}
}

// A watch that ends does not end the process: the records are read again, and what ended in
// between is known no longer.
func TestIndexOutlivesItsWatch(t *testing.T) {
	quiet(t, func(w *world) {
		stays, ends := w.hold(), w.hold()
		cut := make(chan struct{})
		x := index.New(job.NewStore(cutOff{w.bus.Jobs(), cut}, job.DefaultRetention), queues, nil, zap.NewNop())
		ctx, cancel := context.WithCancel(w.t.Context())
		done := make(chan error, 1)
		go func() { done <- x.Run(ctx) }()
		<-x.Ready()
		cut <- struct{}{}
		synctest.Wait()
		if err := x.Err(); !errors.Is(err, errCutOff) {
			w.t.Errorf("after the cut: %v", err)
		}
		key := w.recordKey(ends)
		_, rev, err := w.bus.Jobs().Get(w.t.Context(), key)
		if ok, derr := w.bus.Jobs().Delete(w.t.Context(), key, rev); !ok || err != nil || derr != nil {
			w.t.Fatal(ok, err, derr)
		}
		later := w.hold()
		time.Sleep(time.Minute) // virtual
		if err := x.Err(); err != nil {
			w.t.Errorf("after a minute: %v", err)
		}
		for what, c := range map[string]struct {
			id    graphtest.JobID
			known bool
		}{"that stays": {stays, true}, "that ended": {ends, false}, "that came": {later, true}} {
			if _, ok := x.Lookup(graph.Ref(c.id)); ok != c.known {
				w.t.Errorf("of the job %s is known: %v", what, ok)
			}
		}
		if n := x.Held()["Follow-Me"]; n != 2 {
			w.t.Errorf("%d are held", n)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			w.t.Error(err)
		}
	})
}
