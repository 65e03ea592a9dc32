package connector_test

import (
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// What an order sets is decided on, paid for and sent to Graph alike: more copies than were
// sent are another job, and are cut to those of the job.
func TestOrderSettingsAreWhatIsDecidedOn(t *testing.T) {
	racetest.Skip(t, "one setting after the other")
	const tooMany = "rules:\n  - {name: too-many, at: release, when: 'job.copies > 5', verdict: abort, reason: copies.too-many,\n" +
		"     text: 'More than 5 copies go to the print shop.', remedy: 'Print fewer copies.'}\n" + weekly
	for name, c := range map[string]struct {
		sent, printer, want int // copies; what the printers make of none
		set                 policy.Settings
		cost                quota.Amount
	}{
		"as sent":                   {sent: 2, want: 2, set: policy.Settings{Copies: 2}, cost: 6},
		"fewer":                     {sent: 2, want: 1, set: policy.Settings{Copies: 1}, cost: 3},
		"more":                      {sent: 1, want: 1, set: policy.Settings{Copies: 999}, cost: 3},
		"more on both sides":        {sent: 2, want: 2, set: policy.Settings{Copies: 50, DuplexMode: "flipOnLongEdge"}, cost: 6},
		"fewer than its printer":    {printer: 3, want: 2, set: policy.Settings{Copies: 2}, cost: 6},
		"more than its printer":     {printer: 3, want: 3, set: policy.Settings{Copies: 4}, cost: 9},
		"not said, as on one sheet": {printer: 2, want: 2, set: policy.Settings{PagesPerSheet: 2}, cost: 4},
	} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				k := graphtest.Calm()
				k.PrintTime = time.Hour
				if c.printer > 0 {
					k.Null, k.NullOf = 1, []string{"configuration.copies"}
				}
				w := newWorld(t, bustest.Open(t), k)
				l := w.live("", withPolicy(t, tooMany), func(d *connector.Deps) {
					d.Graph = copying{d.Graph, map[string]int{pullID: c.printer, westID: c.printer}}
				})
				_, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 3, Copies: max(c.sent, c.printer)})
				l.worker.Handle(l.ctx, d)
				o := order()
				o.Set = c.set
				out, err := l.release.Release(l.ctx, o)
				if err != nil || len(out.Released) != 1 {
					t.Fatalf("%+v, %v", out, err)
				}
				moved, _ := w.sim.Job(graphtest.JobID{Printer: westID, Job: out.Released[0].DestinationJob})
				if n := moved.Configuration.Copies; n != c.want {
					t.Errorf("prints %d copies, want %d", n, c.want)
				}
				if s := w.standing(t, tooMany); s.Reserved != c.cost*quota.Unit {
					t.Errorf("reserved %s, want %d", s.Reserved, c.cost)
				}
			})
		})
	}
}
