package connector_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/delegation"
	"pullprint/connector/job"
	"pullprint/connector/privacy"
	"pullprint/policy/quota/quotatest"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
)

// redirecting is a Graph that calls a function while a redirect is under way.
type redirecting struct {
	connector.Graph
	meanwhile func()
}

func (g redirecting) RedirectJob(
	ctx context.Context, ref graph.Ref, destination string, settings json.RawMessage,
) (graph.Ref, error) {
	g.meanwhile()
	return g.Graph.RedirectJob(ctx, ref, destination, settings)
}

// lend lets stayerID release the student's jobs.
func (w *world) lend(t *testing.T) {
	t.Helper()
	now := time.Now()
	lent := delegation.Delegation{Owner: studentID, To: stayerID, Since: now, Expires: now.Add(time.Hour)}
	if err := delegation.New(w.bus.State()).Put(t.Context(), lent); err != nil {
		t.Fatal(err)
	}
}

// A delegate whose redirect is under way is not erased before it has ended: its decision
// would be published with their id after the erasure.
func TestEraseDelegateWhoReleases(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		id := w.hold()
		w.lend(t)
		erase := func() error {
			_, err := peopleOf(w.bus).Erase(t.Context(), stayerID, privacy.Erasure{})
			return err
		}
		var during error
		l := w.live("", func(d *connector.Deps) { d.Graph = redirecting{d.Graph, func() { during = erase() }} })
		o := order()
		o.Owner = stayerID
		if out, err := l.release.Release(l.ctx, o); err != nil || len(out.Released) != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
		if !errors.Is(during, privacy.ErrUnfinished) {
			t.Errorf("while the redirect was under way: %v", during)
		}
		if err := erase(); err != nil {
			t.Fatal(err)
		}
		if rec := w.record(id); rec.State != job.Released {
			t.Errorf("the job is %s", rec.State)
		}
		for key, value := range picture(t, w.bus) {
			if strings.Contains(key+value, stayerID) {
				t.Errorf("%s: %s", key, value)
			}
		}
	})
}

// eachHook is a bucket that calls a function before it is gone through the n-th time.
type eachHook struct {
	privacy.KV
	n  int
	fn func()
}

func (k *eachHook) Each(ctx context.Context, filter string, fn func(key string, value []byte, rev uint64) error) error {
	if k.n--; k.n == 0 {
		k.fn()
	}
	return k.KV.Each(ctx, filter, fn)
}

// The same when the delegate begins to release while they are erased: when the open jobs have
// been looked for, and from when on they can't any more.
func TestEraseDelegateWhoBeginsToRelease(t *testing.T) {
	for name, began := range map[string]bool{"before the delegation ends": true, "after": false} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				w := newWorld(t, bustest.Open(t), graphtest.Calm())
				id := w.hold()
				w.lend(t)
				tap := func() {
					l := w.live("before call") // and dies with the intent stored
					o := order()
					o.Owner = stayerID
					_, _ = l.release.Release(l.ctx, o)
					l.end()
				}
				p := peopleOf(w.bus)
				// The state is gone through to tell people from things, then to end delegations.
				if began {
					p.State = &eachHook{w.bus.State(), 2, tap}
				} else {
					p.Jobs = &eachHook{w.bus.Jobs(), 3, tap}
				}
				_, err := p.Erase(t.Context(), stayerID, privacy.Erasure{})
				rec := w.record(id)
				if began && (!errors.Is(err, privacy.ErrUnfinished) || rec.State != job.Releasing ||
					rec.Decision.Actor != stayerID) {
					t.Errorf("%v; the job is %s by %q", err, rec.State, rec.Decision.Actor)
				}
				if !began && (err != nil || rec.State != job.Held) {
					t.Errorf("%v; the job is %s", err, rec.State)
				}
			})
		})
	}
}

// Who pays for a job if an earlier try is found to have been made is as little erased as who
// pays for the newest: it would be charged to nobody.
func TestErasePayerOfEarlierTry(t *testing.T) {
	b := bustest.Open(t)
	rec := job.Record{
		Ref: graph.Ref{Printer: pullID, Job: "1"}, Owner: stayerID, State: job.Held,
		Tries: []job.Try{{ID: "1", Printer: westID, Charge: &job.Charge{
			Amount: 5, Attempt: "1", Claims: quotatest.Charge("p/1", "1", 5, quotatest.Weekly(leaverID, 50)).Claims,
		}}},
	}
	if _, ok, err := job.NewStore(b.Jobs(), job.DefaultRetention).Put(t.Context(), &rec, 0); !ok || err != nil {
		t.Fatal(ok, err)
	}
	done, err := peopleOf(b).Erase(t.Context(), leaverID, privacy.Erasure{})
	if !errors.Is(err, privacy.ErrUnfinished) {
		t.Errorf("%+v %v", done, err)
	}
}
