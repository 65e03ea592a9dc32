package main

import (
	"context"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pullprint/connector/job"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
)

var clusterRounds = flag.Int("cluster.rounds", 0,
	"how often each thing goes wrong in a cluster of three; 0 leaves the test out")

const (
	natsNode = "nats-node"
	replicas = 3
	// mostGap is for how long nothing may be decided while jobs arrive.
	mostGap = 15 * time.Second
)

// TestCluster runs three daemons on three NATS servers, each a process, under
// jobs and taps that keep coming, and does to them what happens to machines. In
// the end it asks for what must always hold, and for how long nothing was decided.
func TestCluster(t *testing.T) {
	if *clusterRounds == 0 {
		t.Skip("only with -cluster.rounds N")
	}
	seed := *chaosSeed
	if seed == 0 {
		seed = rand.Uint64N(1_000_000_000) + 1
	}
	k := graphtest.Hostile()
	k.PrintTime = 100 * time.Millisecond
	k.Throttle, k.RetryAfter = 0.03, 200*time.Millisecond
	f := newFleet(t, k, seed)
	f.startAll()
	f.enrol()
	f.settleCluster()
	stop, sent := make(chan struct{}), make(chan struct{})
	go f.send(stop, sent)
	stopTaps := f.tap()
	defer stopTaps()
	recorded := f.record()
	for round := range *clusterRounds {
		f.event("every daemon restarted in turn", f.roll)
		f.event("a daemon killed", f.killDaemon)
		if round > 0 { // for longer than another takes its intents over
			f.event("the daemon with the leases frozen for 70 s", func() { f.freeze(70 * time.Second) })
		}
		f.event("the NATS server that leads killed", f.killNode)
		leases := []event{
			{what: "the daemon with the leases frozen for 14 s", do: func() { f.freeze(14 * time.Second) }},
			{what: "the daemon with the leases cut off for 14 s", do: func() { f.cutOff(14 * time.Second) }},
		}
		network := f.networkFaults()
		if round == 0 { // the first round is that of the gate: one of each by lot
			leases, network = f.one(leases), f.one(network)
		}
		for _, e := range append(leases, network...) {
			f.event(e.what, e.do)
		}
		f.event("the leaders step down", f.stepDown)
	}
	recorded.end()
	close(stop)
	<-sent
	last := time.Now()
	// Notifications that were lost wait for the next sweep: who takes the lease
	// sweeps at once. What is in hand comes to its end before, or it would wait
	// until another takes it over.
	<-time.After(4 * time.Second)
	r := f.sweeper()
	f.end(r)
	f.run(r)
	if !eventually(20*time.Second, f.settled) {
		f.tellOpen()
		if !eventually(130*time.Second, f.settled) {
			f.Errorf("not every job came to its end")
		}
	}
	f.settling = time.Since(last)
	stopTaps()
	if !eventually(90*time.Second, func() bool { return f.unacked() == 0 }) {
		f.Errorf("messages are still not acknowledged")
	}
	for _, r := range f.replicas {
		f.end(r)
	}
	f.judge()
	f.measure(last)
}

// event does something, waits until all is well again, and a moment more.
func (f *fleet) event(what string, do func()) {
	f.Helper()
	e := event{what: what, began: time.Now()}
	do()
	for _, r := range f.replicas {
		f.awaitReady(r)
	}
	f.settleCluster()
	e.was = time.Now()
	f.events = append(f.events, e)
	f.Logf("%s: all is well after %s", what, e.was.Sub(e.began).Round(100*time.Millisecond))
	<-time.After(1500 * time.Millisecond)
}

// one is an event by lot.
func (f *fleet) one(events []event) []event { return events[f.dice.IntN(len(events)):][:1] }

func (f *fleet) settleCluster() {
	f.Helper()
	if !f.nodes.Settled(time.Minute) {
		f.Fatal("the NATS cluster has not settled within a minute")
	}
}

func (f *fleet) killDaemon() {
	r := f.replicas[f.dice.IntN(replicas)]
	r.p.kill()
	f.alive(r.p)
	<-time.After(3 * time.Second)
	f.run(r)
}

func (f *fleet) killNode() {
	i := f.leader()
	f.nodes.Kill(i)
	<-time.After(12 * time.Second)
	f.nodes.Start(i)
}

// leader is the NATS server that leads the stream of tasks.
func (f *fleet) leader() int {
	f.Helper()
	i := f.nodes.Leader("PULLPRINT_TASKS")
	if i < 0 {
		f.Fatal("nobody leads the stream of tasks")
	}
	return i
}

// freeze stops the daemon that has the lease of the sweep for longer than the
// lease lasts. It wakes up believing in it.
func (f *fleet) freeze(d time.Duration) {
	r := f.sweeper()
	if err := r.p.signal(syscall.SIGSTOP); err != nil {
		f.Fatal(err)
	}
	<-time.After(d)
	if f.sweeper() == r {
		f.Error("the lease of a daemon that hangs has not gone to another")
	}
	if err := r.p.signal(syscall.SIGCONT); err != nil {
		f.Fatal(err)
	}
}

var startedAs = regexp.MustCompile(`"daemon started","instance":"([^"]+)"`)

// sweeper is the replica that has the lease of the sweep.
func (f *fleet) sweeper() *replica {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), 20*time.Second)
	defer cancel()
	b := f.store(ctx)
	defer b.Close()
	i, holder := -1, ""
	if !eventually(15*time.Second, func() bool { // the lease of one that was killed has to end first
		value, _, err := b.State().Get(ctx, "lease.sweep")
		holder, _, _ = strings.Cut(string(value), " ")
		i = slices.IndexFunc(f.replicas[:], func(r *replica) bool {
			m := startedAs.FindStringSubmatch(r.p.err.String())
			return m != nil && m[1] == holder
		})
		return err == nil && i >= 0
	}) {
		f.Fatalf("none of ours has the lease of the sweep, but %q", holder)
	}
	return f.replicas[i]
}

func (f *fleet) stepDown() {
	for _, s := range []string{
		"PULLPRINT_TASKS", "KV_pullprint_jobs", "KV_pullprint_quota", "KV_pullprint_state",
		"PULLPRINT_DECISIONS",
	} {
		if err := f.nodes.StepDown(s); err != nil {
			f.Errorf("%s: %v", s, err)
		}
	}
}

func (f *fleet) roll() {
	for _, r := range f.replicas {
		f.end(r)
		f.run(r)
		f.awaitReady(r)
	}
}

// tellOpen logs the jobs that have not come to their end, with what is remembered
// of them.
func (f *fleet) tellOpen() {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), 20*time.Second)
	defer cancel()
	b := f.store(ctx)
	defer b.Close()
	recs := map[graph.Ref]job.Record{}
	if err := b.Jobs().Each(ctx, ">", func(_ string, value []byte, _ uint64) error {
		var rec job.Record
		err := json.Unmarshal(value, &rec)
		recs[rec.Ref] = rec
		return err
	}); err != nil {
		f.Error(err)
	}
	for id, k := range f.jobs {
		j, _ := f.sim.Job(id)
		if k.state == "" && f.sim.Prints(id) > 0 || k.state != "" && j.State == k.state {
			continue
		}
		rec := recs[graph.Ref(id)]
		f.Logf("still open: %s job %s is %s at Graph, %s here, intent %+v, seen %s ago", k.name, id, j.State, rec.State,
			rec.Intent,
			time.Since(rec.Seen).Round(time.Second))
	}
}

// settled asks every replica.
func (f *fleet) settled() bool {
	for _, r := range f.replicas {
		f.metrics = r.metrics
		if !f.chaos.settled() {
			return false
		}
	}
	return true
}

// measure prints the longest time without a decision: in all, and around each
// event. until is when the last job was sent.
func (f *fleet) measure(until time.Time) {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), 30*time.Second)
	defer cancel()
	b := f.store(ctx)
	defer b.Close()
	var at []time.Time
	if err := b.Decisions(ctx, time.Time{}, false, func(stored time.Time, _ []byte) error {
		if stored.Before(until) {
			at = append(at, stored)
		}
		return nil
	}); err != nil || len(at) == 0 {
		f.Fatal(len(at), err)
	}
	at = append(at, until)
	gap := func(from, to time.Time) (most time.Duration) {
		for i := 1; i < len(at); i++ {
			if at[i].After(from) && at[i-1].After(from.Add(-time.Second)) && at[i-1].Before(to) {
				most = max(most, at[i].Sub(at[i-1]))
			}
		}
		return most
	}
	for _, e := range f.events {
		f.Logf("longest time without a decision: %6s, %s", gap(e.began, e.was).Round(10*time.Millisecond), e.what)
	}
	if most := gap(at[0], until); most > mostGap {
		f.Errorf("nothing was decided for %s while jobs arrived, at most %s", most, mostGap)
	}
}
