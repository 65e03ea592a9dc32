package daemon_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/config"
	"pullprint/connector/daemon"
	"pullprint/trigger/graph/graphtest"
)

var (
	soakFor  = flag.Duration("soak.for", 0, "the virtual time that TestSoak plays, at least 24m; 0: it is left out")
	soakJobs = flag.Int("soak.jobs", 500, "how many jobs come in it")
)

const (
	// soakPeople print in each soakStep, and show their badges in every second one: so a million jobs a day
	// are fewer than a tap may release.
	soakPeople = 40
	soakStep   = time.Minute
	// soakSamples are how many times is measured; the first quarter of them fills caches, streams and the
	// records that are kept.
	soakSamples = 24
	// soakKeep is how long the records of ended jobs are kept, and soakStreams everything else (the server
	// wants no less than its window for duplicates), so that soon as much goes as comes.
	soakKeep    = time.Hour
	soakStreams = 6 * time.Hour
	// soakGrowth is how much the heap may grow from the second quarter to the last: what the simulator
	// has of each job that it has forgotten, and the blocks of messages that the server has in memory at
	// the moment.
	soakGrowth = 16 << 20
)

const soakPolicy = `default: {pull: hold, direct: complete}
pages: metadata-only
bytes_per_page: 40_000
allowances: [{name: all, when: 'true', pages: 10_000_000, every: term, anchor: '01-01'}]
rules:
  - {name: too-many, at: arrival, when: 'job.copies > 50', verdict: abort, reason: copies.too-many,
     text: 'More than 50 copies go to the print shop.', remedy: 'Print fewer copies.'}
`

// usage is what the process has at one time, with the simulator and the store.
type usage struct {
	heap, goroutines, files int
}

func (u usage) String() string {
	return fmt.Sprintf("%.1f MB of heap, %d goroutines, %d files", float64(u.heap)/1e6, u.goroutines, u.files)
}

func measure(t *testing.T) usage {
	t.Helper()
	runtime.GC()
	runtime.GC() // the first one only makes what has a finalizer garbage
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return usage{int(m.HeapAlloc), runtime.NumGoroutine(), len(files)}
}

// TestSoak plays a day, or as much as is asked for: people print to both queues and release at a device,
// some print too much. Heap, goroutines and descriptors do not grow once as many records go as come.
func TestSoak(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("it takes long: -soak.for 24h -soak.jobs 1000000")
	}
	bustest.Virtual(t, func(t *testing.T) {
		s := newSoak(t)
		defer s.end()
		steps := max(soakSamples, int(*soakFor/soakStep))
		var seen []usage
		for i := range steps {
			s.step((i+1)**soakJobs/steps - i**soakJobs/steps)
			if (i+1)*soakSamples/steps > len(seen) {
				seen = append(seen, measure(t))
				t.Logf("after %s: %d jobs, %d decisions: %s", time.Duration(i+1)*soakStep, s.sent, s.told, seen[len(seen)-1])
			}
		}
		s.await("every job decided", 10*time.Minute, func() bool { s.forget(); return s.told >= s.sent })
		level(t, seen)
	})
}

// level fails when the last quarter of what was measured is above the second.
func level(t *testing.T, seen []usage) {
	t.Helper()
	quarter := len(seen) / 4
	for name, of := range map[string]struct {
		value func(usage) int
		may   int
	}{
		"heap":       {func(u usage) int { return u.heap }, soakGrowth},
		"goroutines": {func(u usage) int { return u.goroutines }, 20},
		"files":      {func(u usage) int { return u.files }, 20},
	} {
		median := func(part []usage) int {
			var all []int
			for _, u := range part {
				all = append(all, of.value(u))
			}
			slices.Sort(all)
			return all[len(all)/2]
		}
		before, after := median(seen[quarter:2*quarter]), median(seen[len(seen)-quarter:])
		if after > before+of.may {
			t.Errorf("%s: %d in the second quarter, %d in the last", name, before, after)
		}
	}
}

// soak is the office with people who print.
type soak struct {
	*shift
	sent, told, next, steps int
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	o := newOffice(t, graphtest.Calm())
	o.write("policy.yaml", soakPolicy)
	o.tune = func(o *daemon.Options) {
		o.Config.Retention = config.Retention{
			Decisions: soakStreams, Audit: soakStreams, Ledger: soakStreams, Dead: soakStreams, Jobs: soakKeep,
		}
	}
	s := &soak{shift: o.start(zap.NewNop())}
	s.register()
	for i := range soakPeople {
		o.sim.AddUser(graphtest.User{ID: soakID(i), UPN: soakUPN(i)})
		if code := o.ask(adminToken, "PUT", "/v1/badges", fmt.Sprintf(`{"badge":%q,"owner":%q}`, soakUPN(i), soakID(i)), nil); code >= 300 {
			t.Fatal(code)
		}
	}
	return s
}

func soakID(i int) string  { return fmt.Sprintf("%08d-2222-4333-8444-555555555555", i) }
func soakUPN(i int) string { return fmt.Sprintf("person%d@contoso.com", i) }

// step is one soakStep with so many jobs: two thirds print at once, one in twenty is refused, and the
// others are released by taps.
func (s *soak) step(jobs int) {
	s.t.Helper()
	for range jobs {
		spec := graphtest.JobSpec{Printer: directID, User: soakUPN(s.next % soakPeople)}
		switch s.next % 20 {
		case 0:
			spec.Copies = 51
		case 1, 2, 3, 4, 5, 6:
			spec.Printer = pullID
		}
		if _, err := s.sim.Submit(spec); err != nil {
			s.t.Fatal(err)
		}
		s.sent, s.next = s.sent+1, s.next+7 // no common factor with 20 or 40: everybody prints everything
	}
	pass(soakStep / 2)
	s.steps++
	for i := range soakPeople * (s.steps % 2) {
		if code := s.ask(readerToken, "POST", "/v1/taps", fmt.Sprintf(`{"device":"hq-2-west","badge":%q}`, soakUPN(i)), nil); code != 200 {
			s.t.Errorf("tap: %d", code)
		}
	}
	pass(soakStep / 2)
	s.forget()
}

// forget counts the decisions at arrival, and drops what the test keeps of what is over.
func (s *soak) forget() {
	s.mu.Lock()
	for _, d := range s.decisions {
		if d.Point == "arrival" {
			s.told++
		}
	}
	s.decisions = nil
	s.mu.Unlock()
	s.hook.mu.Lock()
	s.hook.all = nil
	s.hook.mu.Unlock()
	s.sim.Forget(time.Now().Add(-soakKeep / 4))
}
