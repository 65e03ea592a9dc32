package connector_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/admin"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/decision"
	"pullprint/connector/delegation"
	"pullprint/connector/job"
	"pullprint/connector/release"
	"pullprint/connector/tap"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
)

// A person who is signed in releases what they chose and nothing else, once: from afar only where that
// is allowed, and only their own; at the device by phone also what others let them release.
func TestSignedIn(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		l := w.live("", shortHold)
		now := time.Now()
		d := delegation.Delegation{Owner: studentID, To: strangerID, Since: now, Expires: now.Add(time.Hour), By: studentID}
		if err := delegation.New(w.bus.State()).Put(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		held := func() graph.Ref {
			id, task := w.print(graphtest.JobSpec{Printer: pullID})
			l.worker.Handle(l.ctx, task)
			return graph.Ref(id)
		}
		first, second, third := held(), held(), held()
		near, far := tap.NewSignedIn(l.release, false, zap.NewNop()), tap.NewSignedIn(l.release, true, zap.NewNop())
		for _, c := range []struct {
			name   string
			at     *tap.SignedIn
			person string
			how    decision.Origin
			device string
			jobs   []graph.Ref
			want   int // released
			err    error
		}{
			{
				"from afar, which is not allowed", near, studentID, decision.AskedByRemote, "hq-2-west",
				[]graph.Ref{first},
				0, tap.ErrNotRemote,
			},
			{"of another", far, leaverID, decision.AskedByRemote, "hq-2-west", []graph.Ref{first}, 0, nil},
			{"of another by phone", far, leaverID, decision.AskedByPhone, "hq-2-west", []graph.Ref{first}, 0, nil},
			{"of a colleague from afar", far, strangerID, decision.AskedByRemote, "hq-2-west", []graph.Ref{first}, 0, nil},
			{"no job", far, studentID, decision.AskedByRemote, "hq-2-west", nil, 0, job.ErrInvalid},
			{"nobody", far, "", decision.AskedByRemote, "hq-2-west", []graph.Ref{first}, 0, job.ErrInvalid},
			{"no way", far, studentID, decision.AskedByBadge, "hq-2-west", []graph.Ref{first}, 0, job.ErrInvalid},
			{"no device", far, studentID, decision.AskedByRemote, "nowhere", []graph.Ref{first}, 0, release.ErrNoDevice},
			{"from afar", far, studentID, decision.AskedByRemote, "hq-2-west", []graph.Ref{first}, 1, nil},
			{"from afar, twice", far, studentID, decision.AskedByRemote, "hq-2-west", []graph.Ref{first}, 0, nil},
			{"of a colleague by phone", far, strangerID, decision.AskedByPhone, "hq-2-west", []graph.Ref{second}, 1, nil},
			{"by phone", near, studentID, decision.AskedByPhone, "hq-2-west", []graph.Ref{third}, 1, nil},
		} {
			out, err := c.at.Release(l.ctx, tap.Asked{Device: c.device, Person: c.person, How: c.how, Jobs: c.jobs})
			if !errors.Is(err, c.err) || len(out.Released) != c.want || len(out.Kept)+len(out.Aborted) != 0 {
				t.Errorf("%s: %+v, %v; want %d released, %v", c.name, out, err, c.want, c.err)
			}
		}
		sent := func(person, device string, since time.Time) (refs []graph.Ref) {
			recs, err := l.release.Sent(l.ctx, person, device, since)
			if err != nil {
				t.Error(err)
			}
			for i := range recs {
				refs = append(refs, recs[i].Ref)
			}
			return refs
		}
		if got := sent(strangerID, "hq-2-west", now.Add(-time.Second)); !slices.Equal(got, []graph.Ref{second}) {
			t.Errorf("the colleague had %v released", got)
		}
		if got := sent(studentID, "hq-2-west", now.Add(-time.Second)); len(got) != 3 {
			t.Errorf("%v were released", got)
		}
		if got := slices.Concat(sent(studentID, "hq-2-east", now.Add(-time.Second)), sent(studentID, "hq-2-west", time.Now())); got != nil {
			t.Errorf("elsewhere, or later: %v", got)
		}
		for ref, actor := range map[graph.Ref]string{first: "", second: strangerID, third: ""} {
			id := graphtest.JobID(ref)
			if d := w.record(id).Decision; d.Actor != actor || d.Device != "hq-2-west" {
				t.Errorf("the decision says actor %q, device %q", d.Actor, d.Device)
			}
			if j, _ := w.sim.Job(id); j.Effects.Applied() != 1 {
				t.Errorf("printed %d times", j.Effects.Applied())
			}
		}
	})
}

// An order of a browser needs nobody to stand anywhere: whoever sends them without end gets no more decisions
// into the audit, for ten minutes; others do.
func TestSignedInOrdersAreLimited(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		l := w.live("", shortHold)
		at := tap.NewSignedIn(l.release, false, zap.NewNop())
		order := func(person string) error {
			_, err := at.Release(l.ctx, tap.Asked{
				Device: "hq-2-west", Person: person, How: decision.AskedByPhone, Jobs: []graph.Ref{{Printer: pullID, Job: "1"}},
			})
			return err
		}
		for i := range 60 {
			if err := order(studentID); err != nil {
				t.Fatalf("order %d: %v", i, err)
			}
		}
		if err := order(strings.ToUpper(studentID)); !errors.Is(err, tap.ErrTooOften) {
			t.Errorf("one more: %v", err)
		}
		if err := order(leaverID); err != nil {
			t.Errorf("of another: %v", err)
		}
		time.Sleep(10 * time.Minute) // of virtual time
		if err := order(studentID); err != nil {
			t.Errorf("ten minutes later: %v", err)
		}
		if p, logged := admin.ProblemOf(tap.ErrTooOften); p.Status != http.StatusTooManyRequests || logged {
			t.Errorf("is answered with %d", p.Status)
		}
	})
}
