package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/trigger/graph/graphtest"
)

var (
	neighboursFor  = flag.Duration("neighbours.for", 0, "how long each kind of bad neighbour lasts in TestNeighbours; 0: it is left out")
	neighboursRate = flag.Int("neighbours.rate", 5000, "forged POSTs a second in TestNeighbours; a machine that can't gets what it can")
)

const (
	// neighbourRatio is how much slower the good ones may be, and neighbourFloor how fast they are
	// taken to be alone at least: below that a ratio tells nothing.
	neighbourRatio = 5
	neighbourFloor = 20 * time.Millisecond
	// idleConnections are opened to each listener: more than it takes.
	idleConnections = 1000
	// slowBodies is how many requests with one reader's token never end.
	slowBodies = 256
)

// stopwatch keeps how long what goes well takes, and counts what fails.
type stopwatch struct {
	mu     sync.Mutex // guards all below
	took   []time.Duration
	failed int
}

func (w *stopwatch) note(began time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !ok {
		w.failed++
		return
	}
	w.took = append(w.took, time.Since(began))
}

// RoundTrip implements http.RoundTripper, for the notifications of Graph.
func (w *stopwatch) RoundTrip(req *http.Request) (*http.Response, error) {
	began := time.Now()
	res, err := http.DefaultTransport.RoundTrip(req)
	w.note(began, err == nil && res.StatusCode < 300)
	return res, err
}

// p99 is what was seen since it was last asked.
func (w *stopwatch) p99() (slow time.Duration, n, failed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.took
	failed, w.took, w.failed = w.failed, nil, 0
	if len(all) == 0 {
		return 0, 0, failed
	}
	slices.Sort(all)
	return all[len(all)*99/100], len(all), failed
}

// TestNeighbours measures in one run what good notifications and taps of other readers take alone, and
// beside forged POSTs, idle connections and slow bodies: a few times as much at most, and none fails.
func TestNeighbours(t *testing.T) {
	if *neighboursFor == 0 {
		t.Skip("it measures for as long as -neighbours.for says, which wants a quiet machine")
	}
	k := graphtest.Calm()
	posts, taps := &stopwatch{}, &stopwatch{}
	k.Deliver = posts
	c := newChaos(t, k, 1)
	hook := c.floodable()
	p := c.start()
	c.ready(p)
	c.enrol()
	alone := map[*stopwatch]time.Duration{}
	for _, bad := range []struct {
		name string
		on   func(ctx context.Context) (told func() string)
	}{
		{"alone", func(context.Context) func() string { return func() string { return "" } }},
		{"forged POSTs", func(ctx context.Context) func() string { return forge(ctx, "http://"+hook+"/graph/notifications") }},
		{"idle connections", func(ctx context.Context) func() string {
			return beside(ctx, idleConnections, "", hook, c.api, c.metrics)
		}},
		{"slow bodies", func(ctx context.Context) func() string {
			return beside(ctx, slowBodies, fmt.Sprintf(floodHead, "/v1/taps"), c.api)
		}},
	} {
		ctx, stop := context.WithCancel(t.Context())
		told := bad.on(ctx)
		c.good(ctx, taps)
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
		if err != nil {
			t.Error(err)
		}
		stop()
		beside := told()
		for name, w := range map[string]*stopwatch{"notifications": posts, "taps": taps} {
			slow, n, failed := w.p99()
			if bad.name == "alone" {
				alone[w] = max(slow, neighbourFloor)
			}
			t.Logf("%-17s %-13s %4d good, %d failed, p99 %s: %.1f times; %d files; %s", bad.name, name, n, failed,
				slow.Round(time.Millisecond), float64(slow)/float64(alone[w]), len(files), beside)
			if failed > 0 || n == 0 || slow > neighbourRatio*alone[w] {
				t.Errorf("%s beside %s: %d good, %d failed, p99 %s, alone %s", name, bad.name, n, failed, slow, alone[w])
			}
		}
	}
	c.alive(p)
}

// good prints 50 jobs a second and taps four times a second at the device without the reader's token.
func (c *chaos) good(ctx context.Context, taps *stopwatch) {
	c.Helper()
	client := apiclient.New("http://"+c.api, chaosToken)
	ctx, stop := context.WithTimeout(ctx, *neighboursFor)
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		if _, err := c.sim.Submit(graphtest.JobSpec{Printer: chaosDirect, User: chaosUser}); err != nil {
			c.Error(err)
		}
		if i%12 == 0 {
			all.Go(func() {
				began := time.Now()
				_, err := client.Tap(context.WithoutCancel(ctx), "east", tapperUPN(i/12%tappers))
				taps.note(began, err == nil)
			})
		}
		<-tick.C
	}
}

// forge posts notifications with a wrong secret until ctx ends; told waits for its end, and tells how many.
func forge(ctx context.Context, url string) (told func() string) {
	const body = `{"value":[{"subscriptionId":"7f105c7d-2dc5-4530-97cd-4e7ae6534c07","clientState":"forged","changeType":"created",` +
		`"tenantId":"84bd8158-6d4d-4958-8b9f-9d6445542f95","resource":"print/taskDefinitions/a/tasks/b","resourceData":{"id":"b"}}]}`
	const workers = 64
	var sent atomic.Int64
	began := time.Now()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}, Timeout: floodAnswer}
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			defer client.CloseIdleConnections()
			tick := time.NewTicker(time.Second * workers / time.Duration(*neighboursRate))
			defer tick.Stop()
			for ctx.Err() == nil {
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
				if err != nil {
					return
				}
				if res, err := client.Do(req); err == nil {
					_, _ = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
					sent.Add(1)
				}
				<-tick.C
			}
		})
	}
	return func() string {
		all.Wait()
		return fmt.Sprintf("%.0f forged a second", float64(sent.Load())/time.Since(began).Seconds())
	}
}

// beside holds connections to each of some addresses until ctx ends; with first they begin a request that
// does not end. told waits for the end.
func beside(ctx context.Context, n int, first string, addresses ...string) (told func() string) {
	var all sync.WaitGroup
	for _, address := range addresses {
		for range n {
			all.Go(func() {
				for ctx.Err() == nil {
					hold(ctx, address, first, first != "")
					wait(ctx, time.Second)
				}
			})
		}
	}
	return func() string {
		all.Wait()
		return fmt.Sprintf("%d connections", n*len(addresses))
	}
}
