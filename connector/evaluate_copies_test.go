package connector_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// copying is a Graph whose printers make some copies of a job that does not say, or that
// does not tell when there is none for a printer.
type copying struct {
	connector.Graph
	makes map[string]int
}

func (g copying) Attributes(ctx context.Context, id string) (graph.Attributes, error) {
	p, err := g.Graph.Attributes(ctx, id)
	n, ok := g.makes[id]
	if !ok {
		return p, errors.New("not told")
	}
	p.Defaults.Copies = n
	return p, err
}

// A job that does not say how many copies it has is charged for as many as its printers
// make, and for no number when Graph does not tell.
func TestDefaultCopiesAreCharged(t *testing.T) {
	racetest.Skip(t, "one setting after the other")
	for name, c := range map[string]struct {
		queue     string
		makes     map[string]int
		said      bool
		set       decision.Settings
		costs     int64
		remaining bool
	}{
		"direct":              {queue: directID, makes: map[string]int{directID: 2}, costs: 6},
		"direct, none":        {queue: directID, makes: map[string]int{directID: 0}, costs: 3},
		"direct, said":        {queue: directID, makes: map[string]int{directID: 2}, said: true, costs: 3},
		"direct, not told":    {queue: directID, remaining: true},
		"pull, of the queue":  {queue: pullID, makes: map[string]int{pullID: 2, westID: 1}, costs: 6},
		"pull, of the device": {queue: pullID, makes: map[string]int{pullID: 1, westID: 4}, costs: 12},
		"pull, said":          {queue: pullID, makes: map[string]int{pullID: 2, westID: 4}, said: true, costs: 3},
		"pull, one chosen by someone": {
			queue: pullID, makes: map[string]int{pullID: 2, westID: 4}, set: decision.Settings{Copies: 1}, costs: 3,
		},
		"pull, too many": {queue: pullID, makes: map[string]int{pullID: 1, westID: 9}, remaining: true},
	} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				k := graphtest.Calm()
				if !c.said {
					k.Null, k.NullOf = 1, []string{"configuration.copies"}
				}
				k.PrintTime = time.Hour
				w := newWorld(t, bustest.Open(t), k)
				l := w.live("", withPolicy(t, weekly), func(d *connector.Deps) { d.Graph = copying{d.Graph, c.makes} })
				id, d := w.print(graphtest.JobSpec{Printer: c.queue, Pages: 3})
				l.worker.Handle(l.ctx, d)
				if c.queue == pullID {
					quotes, _, err := l.release.Quotes(l.ctx, studentID, "hq-2-west")
					asSent := c.set == decision.Settings{} && !c.remaining
					if err != nil || len(quotes) != 1 || (asSent && quotes[0].Cost != quota.Amount(c.costs)*quota.Unit) {
						t.Errorf("quoted %+v, %v; want %d", quotes, err, c.costs)
					}
					o := order()
					o.Set.Copies = c.set.Copies
					if _, err := l.release.Release(l.ctx, o); err != nil {
						t.Fatal(err)
					}
				}
				if s := w.standing(t, weekly); s.Reserved != quota.Amount(c.costs)*quota.Unit {
					t.Errorf("%s reserved, want %d", s.Reserved, c.costs)
				}
				if s := w.record(id).State; (s == job.Held) != c.remaining {
					t.Errorf("it is %s: %+v", s, w.record(id).Decision)
				}
			})
		})
	}
}
