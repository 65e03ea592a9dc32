package connector_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/connector/release"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// Whatever becomes of the answer to an effect, whatever people do meanwhile and
// wherever the process dies: what was charged is what printed, and each that
// printed is in the audit once.
func TestChargedIsPrinted(t *testing.T) {
	racetest.Skip(t, "the gate plays many of them")
	n := 4
	if *schedules > 0 {
		n = min(*schedules, 100) // each is a store of its own
	}
	for seed := range n {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) { chargedIsPrinted(t, rand.New(rand.NewPCG(uint64(seed), 3))) })
		})
	}
}

func chargedIsPrinted(t *testing.T, dice *rand.Rand) {
	k := graphtest.Calm()
	k.TaskMemory = time.Millisecond
	k.PrintTime = time.Duration(dice.IntN(90)) * time.Second
	w := newWorld(t, bustest.Open(t), k)
	src := []string{weekly, "reserve: arrival\n" + weekly}[dice.IntN(2)]
	queue := []string{pullID, pullID, directID}[dice.IntN(3)]
	m := &effectFault{
		w:       w,
		applied: []time.Duration{0, 0, -1, time.Duration(dice.IntN(300)) * time.Second}[dice.IntN(4)],
		stale:   []time.Duration{0, time.Duration(dice.IntN(90)) * time.Second}[dice.IntN(2)],
	}
	sole := dice.IntN(3) > 0
	change := []func(*connector.Deps){withPolicy(t, src), m.through, func(d *connector.Deps) { d.Sole = sole }}
	id, d := w.print(graphtest.JobSpec{Printer: queue, Pages: 7})
	var did []string
	spots := append([]string{"", "", "", "before account", "after account"}, tapSpots...)
	canceled := false
	for range 2 + dice.IntN(6) {
		spot := spots[dice.IntN(len(spots))]
		l := w.live(spot, change...)
		for range 1 + dice.IntN(3) {
			step := []string{"notify", "tap", "sweep", "wait", "cancel", "forget"}[dice.IntN(6)]
			did = append(did, spot+"/"+step)
			switch step {
			case "notify":
				l.worker.Handle(l.ctx, d)
			case "tap":
				_, _ = l.release.Release(l.ctx, order())
			case "sweep":
				_ = l.sweeper.Sweep(l.ctx)
			case "wait":
				time.Sleep(time.Duration(dice.IntN(150)) * time.Second)
			case "cancel":
				if dice.IntN(2) == 0 {
					canceled = true
					_, _ = l.release.Cancel(l.ctx, release.Cancellation{Key: job.Key(studentID, graph.Ref(id)), Actor: "admin"})
				}
			case "forget":
				if dice.IntN(4) == 0 {
					_ = w.sim.DeleteJob(id)
				}
			}
		}
		l.end()
	}
	l := w.live("", change...)
	l.worker.Handle(l.ctx, d)
	for range 25 { // longer than an unclear answer is waited out
		time.Sleep(time.Minute)
		_ = l.sweeper.Sweep(l.ctx)
	}
	printed := w.sim.Prints(id)
	b, rec := w.standing(t, src), w.record(id)
	want, open := quota.Amount(7*printed)*quota.Unit, quota.Amount(0)
	if rec.State == job.Held && rec.Charge != nil && rec.Charge.AtArrival {
		open = 7 * quota.Unit
	}
	if b.Spent != want || b.Reserved != open {
		t.Errorf("printed %d times; spent %s, reserved %s; applied %s, stale %s, canceled %v\n%v\n%s %+v", printed, b.Spent, b.Reserved,
			m.applied, m.stale, canceled, did, rec.State, rec.Trail)
	}
	told := 0
	for _, d := range w.audit(t) {
		if d.Ref == graph.Ref(id) && (d.Verdict == "redirect" || d.Verdict == "complete") {
			told++
		}
	}
	if told != printed {
		t.Errorf("printed %d times, and %d decisions in the audit; %v\n%s %+v", printed, told, did, rec.State, rec.Trail)
	}
}
