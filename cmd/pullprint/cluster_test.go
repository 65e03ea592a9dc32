package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

var clusterRounds = flag.Int("cluster.rounds", 0, "how often each thing goes wrong in a cluster of three; 0 leaves the test out")

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
	for round := range *clusterRounds {
		f.event("every daemon restarted in turn", f.roll)
		f.event("a daemon killed", f.killDaemon)
		if round > 0 { // for longer than another takes its intents over
			f.event("the daemon with the leases frozen for 70 s", func() { f.freeze(70 * time.Second) })
		}
		f.event("the NATS server that leads killed", f.killNode)
		f.event("the daemon with the leases frozen for 14 s", func() { f.freeze(14 * time.Second) })
		f.event("the leaders step down", f.stepDown)
	}
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
	if !eventually(150*time.Second, f.settled) {
		f.Errorf("not every job came to its end")
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

// fleet is an office with several daemons.
type fleet struct {
	*chaos
	nodes    *bustest.Processes
	replicas [replicas]*replica
	events   []event
}

// replica is one of the daemons: an installation, and the process of the time.
type replica struct {
	dir, hook, api, metrics string
	p                       *process
}

// event is something that went wrong, and when all was well again.
type event struct {
	what       string
	began, was time.Time
}

func newFleet(t *testing.T, k graphtest.Knobs, seed uint64) *fleet {
	t.Helper()
	node, err := exec.LookPath(natsNode)
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{chaos: newChaos(t, k, seed), nodes: bustest.StartProcesses(t, node)}
	f.every = 40 * time.Millisecond
	f.nats = bus.Config{URL: f.nodes.URL(), Replicas: bustest.Nodes}
	for i := range f.replicas {
		f.replicas[i] = &replica{dir: t.TempDir(), hook: bustest.FreeAddress(t), api: bustest.FreeAddress(t), metrics: bustest.FreeAddress(t)}
	}
	hooks, apis := f.door(func(r *replica) string { return r.hook }), f.door(func(r *replica) string { return r.api })
	f.api = apis
	for _, r := range f.replicas {
		config := f.install(r.dir, r.hook, r.api, r.metrics)
		for from, to := range map[string]string{
			`public_url: "http://` + r.hook:                          `public_url: "http://` + hooks,
			`nats: {embedded: {store_dir: nats, max_store: 256MiB}}`: fmt.Sprintf("nats: {url: %q, replicas: %d}", f.nodes.URL(), bustest.Nodes),
		} {
			if !strings.Contains(config, from) {
				t.Fatalf("the configuration has no %q", from)
			}
			config = strings.Replace(config, from, to, 1)
		}
		if err := os.WriteFile(r.dir+"/config.yaml", []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// door is a load balancer: it sends each request to the next daemon, and to one
// more when nobody listens there. It gives up a daemon that does not answer.
func (f *fleet) door(address func(*replica) string) string {
	client := &http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: time.Second}).DialContext, MaxIdleConnsPerHost: 64, ResponseHeaderTimeout: 5 * time.Second},
	}
	var turn atomic.Uint64
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		for range f.replicas {
			r := f.replicas[turn.Add(1)%replicas]
			out, err := http.NewRequestWithContext(req.Context(), req.Method, "http://"+address(r)+req.URL.RequestURI(), bytes.NewReader(body))
			if err != nil {
				break
			}
			out.Header = req.Header.Clone()
			res, err := client.Do(out)
			if errors.Is(err, syscall.ECONNREFUSED) {
				continue
			}
			if err != nil {
				break
			}
			defer res.Body.Close()
			for k, v := range res.Header {
				rw.Header()[k] = v
			}
			rw.WriteHeader(res.StatusCode)
			_, _ = io.Copy(rw, res.Body)
			return
		}
		rw.WriteHeader(http.StatusBadGateway)
	}))
	f.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// run starts the process of a replica.
func (f *fleet) run(r *replica) {
	f.Helper()
	p, err := startProcess(r.dir, os.Environ(), "run", "--config", "config.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		_ = p.signal(syscall.SIGCONT)
		p.kill()
		if f.Failed() {
			f.Logf("daemon %d:\n%s", p.cmd.Process.Pid, tail(p.err.String(), 3000))
		}
	})
	r.p = p
}

func (f *fleet) startAll() {
	f.Helper()
	for _, r := range f.replicas {
		f.run(r)
	}
	for _, r := range f.replicas {
		f.awaitReady(r)
	}
}

func (f *fleet) awaitReady(r *replica) {
	f.Helper()
	f.await(r.p, "readiness", func() bool {
		code, _ := get("http://" + r.metrics + "/readyz")
		return code == http.StatusOK
	})
}

// end ends a daemon well.
func (f *fleet) end(r *replica) {
	f.Helper()
	if err := r.p.signal(syscall.SIGTERM); err != nil {
		f.Error(err)
	}
	if code, err := r.p.code(30 * time.Second); err != nil || code != exitDone {
		f.Errorf("SIGTERM: exit code %d, %v", code, err)
	}
	f.alive(r.p)
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
	i := f.nodes.Leader("PULLPRINT_TASKS")
	if i < 0 {
		f.Fatal("nobody leads the stream of tasks")
	}
	f.nodes.Kill(i)
	<-time.After(12 * time.Second)
	f.nodes.Start(i)
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
	var holder string
	if !eventually(15*time.Second, func() bool {
		value, _, err := b.State().Get(ctx, "lease.sweep")
		holder, _, _ = strings.Cut(string(value), " ")
		return err == nil && holder != ""
	}) {
		f.Fatal("nobody has the lease of the sweep")
	}
	i := slices.IndexFunc(f.replicas[:], func(r *replica) bool {
		m := startedAs.FindStringSubmatch(r.p.err.String())
		return m != nil && m[1] == holder
	})
	if i < 0 {
		f.Fatalf("%s has the lease of the sweep, which is none of ours", holder)
	}
	return f.replicas[i]
}

func (f *fleet) stepDown() {
	for _, s := range []string{"PULLPRINT_TASKS", "KV_pullprint_jobs", "KV_pullprint_quota", "KV_pullprint_state", "PULLPRINT_DECISIONS"} {
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
