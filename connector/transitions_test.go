package connector_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/connector/store"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// ways lead to each row of job.Transitions, by its state, event and condition.
var ways = map[string]func(p *passage){
	"seen notification, the policy holds it": func(p *passage) { p.arrive() },
	"seen notification, the policy aborts it": func(p *passage) {
		p.copies(60).arrive()
	},
	"seen notification, it is paid on arrival and the account is exhausted": func(p *passage) {
		p.early().pages(21).arrive()
	},
	"seen notification, the policy lets it print where it was sent": func(p *passage) { p.direct().arrive() },
	"held notification, it waits to be decided, and the policy lets it print": func(p *passage) {
		p.direct().undecided("complete")
	},
	"held notification, it waits to be decided, and the policy aborts it": func(p *passage) {
		p.direct().undecided("abort")
	},
	"held notification, it is decided": func(p *passage) {
		p.arrive()
		p.deliver()
	},
	"held tap, the policy releases it": func(p *passage) {
		p.arrive()
		p.tap()
	},
	"held tap, the policy keeps it": func(p *passage) {
		p.arrive()
		p.closed()
		p.tap()
	},
	"held tap, the policy aborts it": func(p *passage) {
		p.arrive()
		p.policy(atRelease)
		p.tap()
	},
	"held cancel": func(p *passage) {
		p.arrive()
		p.cancel()
	},
	"held expiry": func(p *passage) {
		p.early().arrive()
		p.wait(3700)
		p.sweep()
	},
	"held sweep, a redirect that was taken for not made was made": func(p *passage) {
		p.late(time.Minute).arrive()
		p.tap()
		p.minutes(4)
	},
	"held sweep, it is over at Graph, or Graph and its task are silent": func(p *passage) {
		p.early().arrive()
		p.canceled()
		p.minutes(2)
	},
	"releasing answer, Graph made it": func(p *passage) {
		p.arrive()
		p.tap()
		p.minutes(2)
	},
	"releasing answer, Graph refused it": func(p *passage) {
		p.arrive()
		refuseRedirects(p.w, 1)
		p.tap()
	},
	"releasing answer, the account is exhausted": func(p *passage) {
		p.arrive()
		p.rival()
		p.tap()
	},
	"releasing look, it was made": func(p *passage) {
		p.lost().arrive()
		p.tap()
		p.minutes(2)
	},
	"releasing look, it was not seen to be made for 30 s": func(p *passage) {
		p.late(-1).arrive()
		p.tap()
		p.wait(60)
		p.deliver()
	},
	"releasing look, Graph knows nothing of it for 10 min": func(p *passage) {
		p.blank().arrive()
		p.tap()
		p.minutes(15)
	},
	"releasing look, it ended without us": func(p *passage) {
		p.early().arrive()
		p.dies("before call", p.tap)
		p.canceled()
		p.minutes(2)
	},
	"aborting answer, Graph made it": func(p *passage) {
		p.early().arrive()
		p.cancel()
	},
	"aborting look, it was made": func(p *passage) {
		p.early().lost().arrive()
		p.cancel()
	},
	"aborting look, Graph knows nothing of it for 10 min": func(p *passage) {
		p.early().blank().arrive()
		p.cancel()
		p.minutes(15)
	},
	"aborting look, it ended without us": func(p *passage) {
		p.early().arrive()
		p.dies("before call", p.cancel)
		p.canceled()
		p.minutes(2)
	},
	"aborting look, a redirect before was made after all": func(p *passage) {
		p.late(time.Minute).arrive()
		p.tap()
		p.wait(35)
		p.sweep()
		p.wait(60)
		p.cancel()
		p.minutes(3)
	},
	"completing answer, Graph made it": func(p *passage) {
		p.direct().arrive()
		p.minutes(2)
	},
	"completing answer, the account is exhausted": func(p *passage) {
		p.direct().print()
		p.rival()
		p.deliver()
	},
	"completing look, it was made": func(p *passage) {
		p.direct().lost().arrive()
		p.minutes(2)
	},
	"completing look, Graph knows nothing of it for 10 min": func(p *passage) {
		p.direct().blank().arrive()
		p.minutes(15)
	},
	"completing look, it ended without us": func(p *passage) {
		p.direct().early().print()
		p.dies("before call", p.deliver)
		p.canceled()
		p.minutes(2)
	},
	"completing look, a redirect before was made after all": func(p *passage) {
		p.arrive()
		p.w.hideRedirect(7 * time.Minute)
		p.tap()
		p.wait(35)
		p.sweep()
		p.wait(330)
		p.start("", func(d *connector.Deps) {
			d.Queues = slices.Clone(d.Queues)
			d.Queues[0].Mode = printer.ModeDirect
		})
		p.deliver()
		p.w.sim.Change(func(k *graphtest.Knobs) { k.ReadLag = 0 })
		p.minutes(3)
	},
	"released sweep, it was presumed, and Graph shows it waiting": func(p *passage) {
		p.blank().arrive()
		p.tap()
		p.minutes(15)
		p.shown()
	},
	"aborted sweep, it was presumed, and Graph shows it waiting": func(p *passage) {
		p.blank().arrive()
		p.cancel()
		p.minutes(15)
		p.shown()
	},
	"completed sweep, it was presumed, and Graph shows it waiting": func(p *passage) {
		p.direct().blank().arrive()
		p.minutes(15)
		p.shown()
	},
	"gone notification, Graph shows it waiting": func(p *passage) {
		p.arrive()
		p.forgottenOnce()
		p.minutes(6)
	},
}

// passage is the way of one job of 7 pages through a world.
type passage struct {
	t    *testing.T
	w    *world
	l    *life
	spec graphtest.JobSpec
	src  string
	// spent is what its owner spends on something else meanwhile.
	spent int
	wire  http.RoundTripper // faults of Graph; nil is none
	empty *blank
	id    graphtest.JobID
	d     store.Delivery
}

func (p *passage) direct() *passage      { p.spec.Printer = directID; return p }
func (p *passage) copies(n int) *passage { p.spec.Copies = n; return p }
func (p *passage) pages(n int) *passage  { p.spec.Pages = n; return p }
func (p *passage) early() *passage       { p.src = "reserve: arrival\n" + p.src; return p }
func (p *passage) lost() *passage        { return p.late(0) }

// late has the first effect made some time after its answer was lost; negative is never.
func (p *passage) late(after time.Duration) *passage {
	p.wire = &effectFault{w: p.w, applied: after}
	return p
}

// blank has Graph lose the first effect, not make it, and know nothing of the job after it.
func (p *passage) blank() *passage {
	p.empty = &blank{w: p.w}
	p.wire = p.empty
	return p
}

func (p *passage) start(spot string, change ...func(*connector.Deps)) {
	if p.l != nil {
		p.l.end()
	}
	change = append(change, withPolicy(p.t, p.src), shortHold, func(d *connector.Deps) {
		if p.wire != nil && spot == "" {
			d.Graph = answered{p.w.client(p.wire)}
		}
	})
	p.l = p.w.live(spot, change...)
}

func (p *passage) print() { p.id, p.d = p.w.print(p.spec) }

func (p *passage) deliver() {
	p.d.Delivered++
	p.l.worker.Handle(p.l.ctx, p.d)
}

func (p *passage) arrive() {
	p.print()
	p.start("")
	p.deliver()
}

// undecided has the job held as no policy can decide it, until one gives a verdict.
func (p *passage) undecided(verdict string) {
	good := p.src
	p.src = `rules: [{name: broken, at: arrival, when: 'user.groups[99] == "x"', verdict: hold}]`
	p.arrive()
	p.src = good
	if verdict == "abort" {
		p.src = strings.Replace(good, "job.copies > 50", "true", 1)
	}
	p.start("")
	p.deliver()
}

func (p *passage) policy(rules string) {
	p.src = strings.Replace(p.src, tooMany, rules, 1)
	p.start("")
}

func (p *passage) tap() { _, _ = p.l.release.Release(p.l.ctx, order()) }

func (p *passage) cancel() {
	_, _ = p.l.release.Cancel(p.l.ctx, release.Cancellation{Key: job.Key(studentID, graph.Ref(p.id)), Actor: "admin"})
}

// dies has the process die at a spot of what it does, and another take its place.
func (p *passage) dies(spot string, do func()) {
	p.start(spot)
	do()
	p.start("")
}

// rival has another job of the owner spend all that is left just before this one is paid for.
func (p *passage) rival() {
	p.start("", func(d *connector.Deps) { d.Ledger = rivalLedger{d.Ledger, sync.OnceFunc(func() { p.meanwhile(20) })} })
}

type rivalLedger struct {
	connector.Ledger
	spend func()
}

func (l rivalLedger) Reserve(ctx context.Context, c quota.Charge) error {
	l.spend()
	return l.Ledger.Reserve(ctx, c)
}

func (p *passage) closed()         { p.w.setPrinter(westID, "stopped", false) }
func (p *passage) canceled()       { _ = p.w.sim.CancelJob(p.id) }
func (p *passage) meanwhile(n int) { p.spent = n; spendElsewhere(p.t, p.w, int64(n)) }
func (p *passage) wait(seconds int) {
	time.Sleep(time.Duration(seconds) * time.Second)
}

func (p *passage) sweep() {
	_ = p.l.sweeper.Sweep(p.l.ctx)
	p.w.drain(p.l)
}

func (p *passage) minutes(n int) {
	for range n {
		p.wait(60)
		p.sweep()
	}
}

// hideRedirect has Graph make the next redirect, refuse it and what finishes its task anew,
// and not show it for a while; the jobs of a printer may not be listed.
func (w *world) hideRedirect(lag time.Duration) {
	w.sim.Change(func(k *graphtest.Knobs) {
		k.Intercept = func(op string, _ graphtest.Request) graphtest.Fault {
			switch op {
			case graphtest.OpJobRedirect:
				return graphtest.Fault{LoseAs: http.StatusNotFound}
			case graphtest.OpJobList:
				return graphtest.Fault{Refuse: http.StatusForbidden}
			case graphtest.OpTaskUpdate: // a task that was completed
				return graphtest.Fault{Refuse: http.StatusConflict}
			}
			return graphtest.Fault{}
		}
		k.ReadLag = lag
	})
}

// shown has Graph know the job again.
func (p *passage) shown() {
	p.empty.over.Store(true)
	p.minutes(5)
}

// forgottenOnce has Graph deny for a while that there is such a job.
func (p *passage) forgottenOnce() {
	var lies atomic.Int64
	p.w.refuse(http.StatusNotFound, func(op string, r graphtest.Request) bool {
		return op == graphtest.OpJobGet && r.Job == p.id.Job && lies.Add(1) <= 8
	})
}

// Each row of the table of states is what happens.
func TestTransitions(t *testing.T) {
	racetest.Skip(t, "one transition after the other")
	known := map[string]bool{}
	for _, row := range job.Transitions {
		name := string(row.From) + " " + string(row.Event)
		if row.When != "" {
			name += ", " + row.When
		}
		known[name] = true
		t.Run(name, func(t *testing.T) {
			way := ways[name]
			if way == nil {
				t.Fatal("no test leads to this row")
			}
			bustest.Virtual(t, func(t *testing.T) {
				p := &passage{
					t: t, w: newWorld(t, bustest.Open(t), graphtest.Calm()), spec: graphtest.JobSpec{Printer: pullID, Pages: 7},
					src: weekly + tooMany,
				}
				way(p)
				p.check(row)
			})
		})
	}
	for name := range ways {
		if !known[name] {
			t.Errorf("%s is not in the table", name)
		}
	}
}

// check asks whether a row of the table was passed, and what it says came true.
func (p *passage) check(row job.Transition) {
	p.t.Helper()
	rec := p.w.record(p.id)
	to := row.To
	if to == job.Seen { // which is never stored
		to = job.Held
	}
	states := []job.State{job.Seen}
	for _, s := range rec.Trail {
		states = append(states, s.State)
	}
	passed := row.From == row.To && rec.State == row.To
	for i := range states[1:] {
		passed = passed || states[i] == row.From && states[i+1] == to
	}
	if !passed {
		p.t.Errorf("it went another way: %v", states)
	}
	var verdicts []string
	for _, d := range p.w.audit(p.t) {
		verdicts = append(verdicts, d.Verdict)
	}
	if row.Audit != "" && !slices.Contains(verdicts, row.Audit) {
		p.t.Errorf("the audit has %q, want %s", verdicts, row.Audit)
	}
	job, _ := p.w.sim.Job(p.id)
	made := map[string]int{
		"abort": job.Effects.AbortApplied, "complete": job.Effects.FinishApplied,
		"redirect": job.Effects.RedirectApplied,
	}
	if row.Calls != "" && made[row.Calls] != 1 {
		p.t.Errorf("%s was made %d times", row.Calls, made[row.Calls])
	}
	if rec.State == row.To && !row.To.Intent() {
		p.checkCharge(row.Charge)
	}
}

func (p *passage) checkCharge(charge string) {
	p.t.Helper()
	spent, reserved := p.spent, 0
	switch {
	case charge == job.ChargeSettled:
		spent += 7
	case charge == job.ChargeKept, charge == job.ChargeArrival && strings.HasPrefix(p.src, "reserve: arrival"):
		reserved = 7
	}
	b := p.w.standing(p.t, weekly)
	if b.Spent != quota.Amount(spent)*quota.Unit || b.Reserved != quota.Amount(reserved)*quota.Unit {
		p.t.Errorf("spent %s, reserved %s; want %d, %d", b.Spent, b.Reserved, spent, reserved)
	}
}

// atRelease is a rule for weekly that aborts at the device.
const atRelease = `
rules:
  - {name: all, at: release, when: 'true', verdict: abort, reason: not.here, text: 'Not here.', remedy: 'Go on.'}
`

// tooMany is a rule for weekly that aborts.
const tooMany = `
rules:
  - {name: too-many, at: arrival, when: 'job.copies > 50', verdict: abort, reason: copies.too-many, text: 'Too many.', remedy: 'Print fewer.'}
`
