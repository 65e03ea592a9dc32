package connector_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/printer"
	"pullprint/policy"
	"pullprint/trigger/graph/graphtest"
)

// A queue is renamed while jobs wait: the quote and the release ask the policy differently.
func TestQuoteAsksForQueueOfNow(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		const src = `
rules:
  - {name: no, at: release, when: 'queue.name == "Print-Anywhere"', verdict: keep, reason: not.here, text: 'Not here.', remedy: 'Go away.'}
allowances:
  - {name: all, when: 'queue.name == "Print-Anywhere"', pages: 1, every: week}
  - {name: old, when: 'queue.name == "Follow-Me"', pages: 100, every: week}
merge: first
unmatched: free
`
		l := w.live("", withPolicy(t, src))
		_, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 5})
		l.worker.Handle(l.ctx, d)
		l.end()
		l = w.live("", withPolicy(t, src), func(d *connector.Deps) {
			d.Queues = slices.Clone(d.Queues)
			d.Queues[0].Name = "Print-Anywhere"
			d.Devices = []printer.Device{{ID: "hq-2-west", PrinterID: westID, Queues: []string{"Print-Anywhere"}}}
		})
		q, purse, err := l.release.Quotes(l.ctx, studentID, "hq-2-west")
		for _, x := range q {
			t.Logf("quote: %s %s %s queue %s, stays %v", x.Cost, x.Verdict, x.Reason.Code, x.Queue, x.Stays)
		}
		t.Log(purse, err)
		out, err := l.release.Release(l.ctx, order())
		t.Logf("%+v %v", out, err)
		if len(q) == 1 && q[0].Verdict == "redirect" && len(out.Kept) == 1 {
			t.Error("the station says it prints, and it is kept")
		}
	})
}

// G: quote after a try in another variant that failed.
func TestQuoteAfterVariantThatFailed(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		k := graphtest.Calm()
		k.PrintTime = time.Hour
		w := newWorld(t, bustest.Open(t), k)
		l := w.live("", withPolicy(t, weekly))
		id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 3, Copies: 2, Color: true})
		l.worker.Handle(l.ctx, d)
		q0, _, _ := l.release.Quotes(l.ctx, studentID, "hq-2-west")
		w.sim.Change(func(k *graphtest.Knobs) {
			k.Intercept = func(_ string, r graphtest.Request) graphtest.Fault {
				if strings.HasSuffix(r.Path, "/redirect") {
					return graphtest.Fault{Refuse: 400}
				}
				return graphtest.Fault{}
			}
		})
		o := order()
		o.Set = policy.Settings{Copies: 1, ColorMode: "blackAndWhite"}
		out, err := l.release.Release(l.ctx, o)
		t.Logf("%+v %v %s", out, err, w.record(id).State)
		q1, _, _ := l.release.Quotes(l.ctx, studentID, "hq-2-west")
		t.Logf("before %s after %s, input %+v", q0[0].Cost, q1[0].Cost, w.record(id).Decision.Input)
		if q0[0].Cost != q1[0].Cost {
			t.Errorf("quote changed %s -> %s", q0[0].Cost, q1[0].Cost)
		}
	})
}
