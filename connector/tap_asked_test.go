package connector_test

import (
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/connector/release"
	"pullprint/connector/tap"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"

	"go.uber.org/zap"
)

// A decision says what asked for it: the job that came, a badge, a person signed in at a phone or from afar,
// a choice at a station, an API token, the erasure of a person, or the end of the hold.
func TestAsked(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		book := badgeBook(t, w.bus, badgeKey(1))
		if _, err := book.Enrol(t.Context(), "1001", badgeOf(studentID)); err != nil {
			t.Fatal(err)
		}
		l := w.live("", shortHold)
		taps := tap.New(l.release, tap.NewBadgeOwners(book, nil, zap.NewNop()), nil, zap.NewNop())
		signedIn := func(id graphtest.JobID, how decision.Origin) error {
			_, err := tap.NewSignedIn(l.release, true, zap.NewNop()).Release(l.ctx, tap.Asked{
				Device: "hq-2-west", Person: studentID, How: how, Jobs: []graph.Ref{graph.Ref(id)},
			})
			return err
		}
		canceled := func(c release.Cancellation) func(id graphtest.JobID) error {
			return func(id graphtest.JobID) error {
				c.Key = job.Key(studentID, graph.Ref(id))
				_, err := l.release.Cancel(l.ctx, c)
				return err
			}
		}
		for _, c := range []struct {
			want  decision.Origin
			actor string
			do    func(id graphtest.JobID) error
		}{
			{decision.AskedByArrival, "", func(graphtest.JobID) error { return nil }},
			{decision.AskedByBadge, "", func(graphtest.JobID) error {
				_, err := taps.Tap(l.ctx, tap.Shown{Device: "hq-2-west", Number: "1001"})
				return err
			}},
			{decision.AskedByBadgeToken, "helpdesk", func(graphtest.JobID) error {
				time.Sleep(time.Minute) // another tap, not the same again
				_, err := taps.Tap(l.ctx, tap.Shown{Device: "hq-2-west", Number: "1001", Actor: "helpdesk"})
				return err
			}},
			{decision.AskedByToken, "helpdesk", func(graphtest.JobID) error {
				o := order()
				o.Actor = "helpdesk"
				_, err := l.release.Release(l.ctx, o)
				return err
			}},
			{decision.AskedByPhone, "", func(id graphtest.JobID) error { return signedIn(id, decision.AskedByPhone) }},
			{decision.AskedByRemote, "", func(id graphtest.JobID) error { return signedIn(id, decision.AskedByRemote) }},
			{decision.AskedByStation, "", canceled(release.Cancellation{Owner: studentID})},
			{decision.AskedByToken, "helpdesk", canceled(release.Cancellation{Actor: "helpdesk"})},
			{decision.AskedByErasure, "helpdesk", canceled(release.Cancellation{Actor: "helpdesk", Erasure: true})},
			{decision.AskedBySweep, "", func(graphtest.JobID) error {
				time.Sleep(2 * time.Hour)
				l.sweep(t)
				return nil
			}},
		} {
			id, d := w.print(graphtest.JobSpec{Printer: pullID})
			l.worker.Handle(l.ctx, d)
			if err := c.do(id); err != nil {
				t.Fatal(c.want, err)
			}
			if d := w.record(id).Decision; d.Asked != c.want || d.Actor != c.actor {
				t.Errorf("asked by %q, actor %q at %s; want %q, %q", d.Asked, d.Actor, d.Point, c.want, c.actor)
			}
			if c.want == decision.AskedByArrival {
				if _, err := l.release.Release(l.ctx, order()); err != nil { // it is out of the way
					t.Fatal(err)
				}
			}
		}
	})
}
