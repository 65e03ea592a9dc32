package connector_test

import (
	"sync/atomic"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/policy"
	"pullprint/policy/policyfile"
	"pullprint/policy/quota"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// reloading is a policy that a test can change while the daemon lives.
type reloading struct{ atomic.Pointer[policy.Policy] }

func (r *reloading) load(t *testing.T, src string) {
	t.Helper()
	p, err := policyfile.Load("policy.yaml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	r.Store(p)
}

func (r *reloading) deps(d *connector.Deps) { d.Policy = r.Load }

// What jobs set aside when they came counts in the periods of the policy that releases
// them: no more is let go than it gives, and the quotes say so.
func TestReservedOnArrivalCountsInPeriodsOfNow(t *testing.T) {
	racetest.Skip(t, "one period after the other")
	for name, after := range map[string]string{
		"of a day": "{name: all, when: 'true', pages: 10, every: day}",
		"of a day and a month": "{name: all, when: 'true', pages: 10, every: day}\n" +
			"  - {name: more, when: 'true', pages: 200, every: month}\nmerge: strictest",
		"of two, one of them the same": "{name: week, when: 'true', pages: 100, every: week}\n" +
			"  - {name: all, when: 'true', pages: 10, every: day}\nmerge: strictest",
	} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				w := newWorld(t, bustest.Open(t), graphtest.Calm())
				var p reloading
				p.load(t, "reserve: arrival\nallowances:\n  - {name: all, when: 'true', pages: 100, every: week}\n")
				l := w.live("", p.deps)
				for range 6 {
					_, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 5})
					l.worker.Handle(l.ctx, d)
				}
				p.load(t, "reserve: arrival\nallowances:\n  - "+after+"\n")
				quotes, _, err := l.release.Quotes(l.ctx, studentID, "hq-2-west")
				if err != nil {
					t.Fatal(err)
				}
				goes := 0
				for _, q := range quotes {
					if !q.Stays {
						goes++
					}
				}
				out, err := l.release.Release(l.ctx, order())
				if err != nil || len(out.Released) != 2 || goes != 2 {
					t.Errorf("%d released, %d quoted, %v, of 10 pages with 5 each", len(out.Released), goes, err)
				}
				time.Sleep(time.Minute)
				l.sweep(t)
				b := w.standing(t, "reserve: arrival\nallowances:\n  - {name: all, when: 'true', pages: 10, every: day}\n")
				if b.Spent+b.Reserved != 10*quota.Unit {
					t.Errorf("spent %s, reserved %s today, want 10 together", b.Spent, b.Reserved)
				}
			})
		})
	}
}
