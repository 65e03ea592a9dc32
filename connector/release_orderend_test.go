package connector_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/tap"
	"pullprint/trigger/graph"

	"go.uber.org/zap"
)

// slowPrinter is a Graph that does not tell of a printer, and notices late that nobody waits.
type slowPrinter struct {
	connector.Graph
	over *atomic.Bool
}

func (g slowPrinter) Printer(ctx context.Context, _ string) (graph.Printer, error) {
	<-ctx.Done()
	time.Sleep(time.Second) // virtual
	g.over.Store(true)
	return graph.Printer{}, ctx.Err()
}

// An order whose jobs are all over before the printer of the device is needed leaves nothing
// running behind.
func TestOrderEndsWhatItBegan(t *testing.T) {
	quiet(t, func(w *world) {
		id := w.hold()
		_ = w.sim.DeleteJob(id)
		over := new(atomic.Bool)
		l := w.live("", func(d *connector.Deps) { d.Graph = slowPrinter{d.Graph, over} })
		began := time.Now()
		if out, err := l.release.Release(l.ctx, order()); err != nil || !out.Empty() {
			w.t.Errorf("%+v, %v", out, err)
		}
		if !over.Load() {
			w.t.Error("the printer is still being read")
		}
		if took := time.Since(began); took > 2*time.Second {
			w.t.Errorf("it took %s", took)
		}
	})
}

// staff is a directory in which people appear.
type staff struct{ id string }

func (s *staff) UserByEmployeeID(context.Context, string) (graph.User, bool, error) {
	return graph.User{ID: s.id}, s.id != "", nil
}

func (s *staff) EmployeeID(context.Context, string) (string, error) { return "", nil }

// The card of a new employee, shown before the directory knew it, works a minute after the
// directory knows; that of one who is known is not asked for again for a quarter of an hour.
func TestCardOfANewEmployee(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := new(staff)
		owners := tap.NewBadgeOwners(badgeBook(t, bustest.Open(t), badgeKey(1)), s, zap.NewNop())
		for _, c := range []struct {
			id, want string
			after    time.Duration
		}{
			{"", "", 0},
			{studentID, "", 30 * time.Second},
			{studentID, studentID, 31 * time.Second},
			{strangerID, studentID, 14 * time.Minute},
			{strangerID, strangerID, time.Minute},
		} {
			time.Sleep(c.after) // virtual
			s.id = c.id
			if owner, _ := owners.Owner(t.Context(), "E77", time.Now()); owner != c.want {
				t.Errorf("after %s: %q, want %q", c.after, owner, c.want)
			}
		}
	})
}
