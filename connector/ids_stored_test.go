package connector_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/connector/release"
	"pullprint/connector/store"
	"pullprint/policy"
	"pullprint/policy/policyfile"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// letteredID is an owner whose id has letters.
const letteredID = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"

// holdLettered holds a job of that owner and stores its record anew as an earlier
// version did: the id in capitals, in what is stored and in the key.
func (w *world) holdLettered(t *testing.T, change ...func(*connector.Deps)) (id graphtest.JobID, key string) {
	t.Helper()
	id, err := w.sim.Submit(graphtest.JobSpec{Printer: pullID, User: letteredID})
	if err != nil {
		t.Fatal(err)
	}
	j, _ := w.sim.Job(id)
	body, err := w.verifier.SweepNotification(j.Task.ID, id.Printer, id.Job)
	if err != nil {
		t.Fatal(err)
	}
	l := w.live("", change...)
	defer l.end()
	l.worker.Handle(l.ctx, store.Delivery{Body: body, Definition: w.verifier.Definition(), Delivered: 1, Stored: time.Now(), Sequence: 1})
	kv, old := w.bus.Jobs(), job.Key(letteredID, graph.Ref(id))
	value, rev, err := kv.Get(t.Context(), old)
	if err != nil || rev == 0 {
		t.Fatal(rev, err)
	}
	if ok, err := kv.Delete(t.Context(), old, rev); err != nil || !ok {
		t.Fatal(ok, err)
	}
	key = job.Key(strings.ToUpper(letteredID), graph.Ref(id))
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
		if e, ok := l.index.Lookup(graph.Ref(printed)); !ok || e.Owner != letteredID || e.Key != keys[0] {
			t.Errorf("the index has %+v", e)
		}
		if rec, err := l.release.Cancel(l.ctx, release.Cancellation{Key: canceled, Owner: studentID}); !errors.Is(err, release.ErrNoJob) {
			t.Errorf("canceled by another: %s, %v", rec.State, err)
		}
		rec, err := l.release.Cancel(l.ctx, release.Cancellation{Key: canceled, Owner: letteredID})
		if err != nil || rec.State != job.Aborted {
			t.Errorf("canceled by its owner: %s, %v", rec.State, err)
		}
		out, err := l.release.Release(l.ctx, release.Order{Device: "hq-2-west", Owner: strings.ToUpper(letteredID), At: time.Now()})
		if err != nil || len(out.Released) != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
		l.sweep(t)
		if n := w.sim.Prints(printed); n != 1 {
			t.Errorf("printed %d times", n)
		}
		stored := map[string]job.State{}
		err = w.bus.Jobs().Each(t.Context(), ">", func(key string, value []byte, _ uint64) error {
			var rec job.Record
			if err := json.Unmarshal(value, &rec); err != nil {
				return err
			}
			stored[key] = rec.State
			return nil
		})
		if err != nil || len(stored) != 2 || stored[keys[0]] != job.Released || stored[keys[1]] != job.Aborted {
			t.Errorf("%v, %v", stored, err)
		}
	})
}

// A record in capitals is written many times, by one process after another, and every
// job comes to the end that it would have otherwise.
func TestStoredIDsInCapitalsLives(t *testing.T) {
	racetest.Skip(t, "one record after the other")
	tap := func(l *life) (release.Outcome, error) {
		return l.release.Release(l.ctx, release.Order{Device: "hq-2-west", Owner: letteredID, At: time.Now()})
	}
	for name, c := range map[string]struct {
		end func(t *testing.T, w *world, id graphtest.JobID, key string)
		is  job.State
	}{
		"released after a death": {func(t *testing.T, w *world, _ graphtest.JobID, _ string) {
			l := w.live("before outcome")
			_, _ = tap(l)
			l.end()
			l = w.live("")
			time.Sleep(time.Hour)
			l.sweep(t)
		}, job.Released},
		"released": {func(t *testing.T, w *world, _ graphtest.JobID, _ string) {
			if out, err := tap(w.live("")); err != nil || len(out.Released) != 1 {
				t.Errorf("%+v, %v", out, err)
			}
		}, job.Released},
		"canceled at its key": {func(t *testing.T, w *world, _ graphtest.JobID, key string) {
			l := w.live("")
			if _, err := l.release.Cancel(l.ctx, release.Cancellation{Key: key, Owner: letteredID}); err != nil {
				t.Error(err)
			}
		}, job.Aborted},
		"deleted at the station": {func(t *testing.T, w *world, id graphtest.JobID, _ string) {
			l := w.live("")
			c := release.Cancellation{Key: job.Key(letteredID, graph.Ref(id)), Owner: letteredID} // as the page knows it
			if _, err := l.release.Cancel(l.ctx, c); err != nil {
				t.Error(err)
			}
		}, job.Aborted},
		"expired": {func(t *testing.T, w *world, _ graphtest.JobID, _ string) {
			l := w.live("")
			time.Sleep(2 * time.Hour) // longer than shortHold
			l.sweep(t)
		}, job.Aborted},
	} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				w := newWorld(t, bustest.Open(t), graphtest.Calm())
				w.sim.AddUser(graphtest.User{ID: letteredID, UPN: "ada@contoso.com"})
				id, key := w.holdLettered(t, shortHold)
				jobs := job.NewStore(w.bus.Jobs(), job.DefaultRetention)
				for range 2 { // the first write makes the owner in the value canonical
					rec, rev, err := jobs.Get(t.Context(), key)
					if err != nil {
						t.Fatal(err)
					}
					rec.Warned = time.Now()
					if _, ok, err := jobs.Put(t.Context(), &rec, rev); err != nil || !ok {
						t.Fatalf("not written: %v", err)
					}
				}
				c.end(t, w, id, key)
				if rec, _, err := jobs.Get(t.Context(), key); err != nil || rec.State != c.is || rec.Key() != key {
					t.Errorf("%s at %s, %v; want %s", rec.State, rec.Key(), err, c.is)
				}
			})
		})
	}
}

// What was reserved for a job when it came stays while its record in capitals is held.
func TestStoredIDsInCapitalsReservation(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		const early = "reserve: arrival\n" + weekly
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		w.sim.AddUser(graphtest.User{ID: letteredID, UPN: "ada@contoso.com"})
		w.holdLettered(t, withPolicy(t, early))
		p, err := policyfile.Load("policy.yaml", []byte(early))
		if err != nil {
			t.Fatal(err)
		}
		budget := p.Budget(policy.Request{User: policy.User{ID: letteredID}})
		balance := func() quota.Balance {
			list, err := ledger.New(w.bus.Quota(), w.bus, rand.Text).Balances(t.Context(), budget.Claims, time.Now())
			if err != nil || len(list) != 1 {
				t.Fatalf("%+v, %v", list, err)
			}
			return list[0]
		}
		before := balance().Reserved
		l := w.live("", withPolicy(t, early))
		time.Sleep(10 * time.Minute)
		l.sweep(t)
		if after := balance().Reserved; before == 0 || after != before {
			t.Errorf("reserved %s, then %s", before, after)
		}
		out, err := l.release.Release(l.ctx, release.Order{Device: "hq-2-west", Owner: letteredID, At: time.Now()})
		if err != nil || len(out.Released) != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
		time.Sleep(10 * time.Minute)
		l.sweep(t)
		if b := balance(); b.Reserved != 0 || b.Spent != before {
			t.Errorf("reserved %s, spent %s; want 0, %s", b.Reserved, b.Spent, before)
		}
	})
}
