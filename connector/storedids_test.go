package connector_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/held"
	"pullprint/trigger/graph/graphtest"
)

// letteredID is an owner whose id has letters.
const letteredID = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"

// holdLettered holds a job of that owner and stores its record anew as an earlier
// version did: the id in capitals, in what is stored and in the key.
func (w *world) holdLettered(t *testing.T) (id graphtest.JobID, key string) {
	t.Helper()
	id, err := w.sim.Submit(graphtest.JobSpec{Printer: pullID, User: letteredID})
	if err != nil {
		t.Fatal(err)
	}
	job, _ := w.sim.Job(id)
	body, err := w.book.SweepNotification(job.Task.ID, id.Printer, id.Job)
	if err != nil {
		t.Fatal(err)
	}
	l := w.live("")
	defer l.end()
	l.worker.Handle(l.ctx, bus.Delivery{Body: body, Definition: w.book.Definition(), Attempt: 1, Stored: time.Now(), Sequence: 1})
	kv, old := w.bus.Jobs(), held.Key(letteredID, held.Ref(id))
	value, rev, err := kv.Get(t.Context(), old)
	if err != nil || rev == 0 {
		t.Fatal(rev, err)
	}
	if ok, err := kv.Delete(t.Context(), old, rev); err != nil || !ok {
		t.Fatal(ok, err)
	}
	key = held.Key(strings.ToUpper(letteredID), held.Ref(id))
	value = bytes.ReplaceAll(value, []byte(letteredID), []byte(strings.ToUpper(letteredID)))
	if _, ok, err := kv.CompareAndSet(t.Context(), key, value, 0, 0); err != nil || !ok {
		t.Fatal(ok, err)
	}
	return id, key
}

// A job whose record an earlier version stored with ids in capitals waits for its owner,
// is released and canceled, and its record stays the only one.
func TestStoredIDsInCapitals(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		w.sim.AddUser(graphtest.User{ID: letteredID, UPN: "ada@contoso.com"})
		printed, key := w.holdLettered(t)
		_, canceled := w.holdLettered(t)
		keys := []string{key, canceled}
		l := w.live("")
		waiting, err := l.release.Waiting(l.ctx, letteredID, "hq-2-west")
		if err != nil || len(waiting) != 2 || waiting[0].Owner != letteredID {
			t.Fatalf("%+v, %v", waiting, err)
		}
		if e, ok := l.index.Lookup(held.Ref(printed)); !ok || e.Owner != letteredID || e.Key != keys[0] {
			t.Errorf("the index has %+v", e)
		}
		if rec, err := l.worker.Cancel(l.ctx, connector.Cancellation{Key: canceled, Owner: studentID}); !errors.Is(err, connector.ErrNoJob) {
			t.Errorf("canceled by another: %s, %v", rec.State, err)
		}
		if rec, err := l.worker.Cancel(l.ctx, connector.Cancellation{Key: canceled, Owner: letteredID}); err != nil || rec.State != held.Aborted {
			t.Errorf("canceled by its owner: %s, %v", rec.State, err)
		}
		out, err := l.release.Release(l.ctx, connector.Order{Device: "hq-2-west", Owner: strings.ToUpper(letteredID), At: time.Now()})
		if err != nil || len(out.Released) != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
		l.sweep(t)
		if n := w.sim.Prints(printed); n != 1 {
			t.Errorf("printed %d times", n)
		}
		stored := map[string]held.State{}
		err = w.bus.Jobs().Each(t.Context(), ">", func(key string, value []byte, _ uint64) error {
			var rec held.Record
			if err := json.Unmarshal(value, &rec); err != nil {
				return err
			}
			stored[key] = rec.State
			return nil
		})
		if err != nil || len(stored) != 2 || stored[keys[0]] != held.Released || stored[keys[1]] != held.Aborted {
			t.Errorf("%v, %v", stored, err)
		}
	})
}
