package connector_test

import (
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/held"
	"pullprint/trigger/graph/graphtest"

	"go.uber.org/zap"
)

// A decision says what asked for it: the job that came, a badge, a choice at a station,
// an API token, the erasure of a person, or the end of the hold.
func TestAsked(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		book := badgeBook(t, w.bus, badgeKey(1))
		if _, err := book.Enrol(t.Context(), "1001", badgeOf(studentID)); err != nil {
			t.Fatal(err)
		}
		l := w.live("", shortHold)
		taps := connector.NewTaps(l.release, connector.NewBadgeOwners(book, nil), nil, zap.NewNop())
		canceled := func(c connector.Cancellation) func(id graphtest.JobID) error {
			return func(id graphtest.JobID) error {
				c.Key = held.Key(studentID, held.Ref(id))
				_, err := l.release.Cancel(l.ctx, c)
				return err
			}
		}
		for _, c := range []struct {
			want  held.Origin
			actor string
			do    func(id graphtest.JobID) error
		}{
			{held.AskedByArrival, "", func(graphtest.JobID) error { return nil }},
			{held.AskedByBadge, "", func(graphtest.JobID) error {
				_, err := taps.Tap(l.ctx, "hq-2-west", "1001")
				return err
			}},
			{held.AskedByBadgeToken, "helpdesk", func(graphtest.JobID) error {
				time.Sleep(time.Minute) // another tap, not the same again
				_, err := taps.TapBy(l.ctx, "hq-2-west", "1001", "helpdesk")
				return err
			}},
			{held.AskedByToken, "helpdesk", func(graphtest.JobID) error {
				o := order()
				o.Actor = "helpdesk"
				_, err := l.release.Release(l.ctx, o)
				return err
			}},
			{held.AskedByStation, "", canceled(connector.Cancellation{Owner: studentID})},
			{held.AskedByToken, "helpdesk", canceled(connector.Cancellation{Actor: "helpdesk"})},
			{held.AskedByErasure, "helpdesk", canceled(connector.Cancellation{Actor: "helpdesk", Erasure: true})},
			{held.AskedBySweep, "", func(graphtest.JobID) error {
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
			if c.want == held.AskedByArrival {
				if _, err := l.release.Release(l.ctx, order()); err != nil { // it is out of the way
					t.Fatal(err)
				}
			}
		}
	})
}
