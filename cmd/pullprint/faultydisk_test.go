package main

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pullprint/connector/bus/bustest/faultdisk"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

var diskFaults = flag.Int("disk.faults", 1,
	"how many faults of a disk TestFaultyDisk plays; 0: each one, for each stream and for all")

const (
	// faultFor is for how long a disk fails: longer than readiness may take to tell.
	faultFor = unreadyWithin + 2*time.Second
	// refusedWithin is how soon Graph has its 503: the 2.5 s of the webhook, on a busy machine.
	refusedWithin = 3 * time.Second
)

// streams are the streams and buckets that jobs and taps write to.
var streams = []string{
	"PULLPRINT_TASKS", "PULLPRINT_DECISIONS", "PULLPRINT_LEDGER", "PULLPRINT_AUDIT", "PULLPRINT_DEAD", "PULLPRINT_NOTICES",
	"KV_pullprint_jobs", "KV_pullprint_badges", "KV_pullprint_quota", "KV_pullprint_state",
}

// on moves the store of the tenant to a disk.
func (c *chaos) on(dir string) {
	c.Helper()
	c.nats.Embedded.StoreDir = filepath.Join(dir, "nats")
	config := filepath.Join(c.dir, "config.yaml")
	text, err := os.ReadFile(config)
	if err == nil {
		text = bytes.Replace(text, []byte("store_dir: nats"), []byte("store_dir: "+c.nats.Embedded.StoreDir), 1)
		err = os.WriteFile(config, text, 0o600)
	}
	if err != nil {
		c.Fatal(err)
	}
}

// finish lets a life bring everything to its end, and lives after it work off what was in
// hand when a process ended: that comes again after 30 s.
func (c *chaos) finish(p *process) {
	c.Helper()
	c.settle(p)
	for c.unacked() > 0 {
		p = c.start()
		c.ready(p)
		select {
		case <-time.After(5 * time.Second):
		case <-p.done:
		}
		c.settle(p)
	}
}

// posts keeps how Graph's notifications were answered.
type posts struct {
	mu      sync.Mutex // guards all below
	refused int
	slowest time.Duration
}

func (b *posts) RoundTrip(req *http.Request) (*http.Response, error) {
	began := time.Now()
	res, err := http.DefaultTransport.RoundTrip(req)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil && res.StatusCode == http.StatusServiceUnavailable {
		b.refused++
		b.slowest = max(b.slowest, time.Since(began))
	}
	return res, err
}

// read returns what was refused so far.
func (b *posts) read() (refused int, slowest time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refused, b.slowest
}

// TestFaultyDisk lets the disk of the store fail under load, for all that is stored or for one
// stream. The program tells it in time and loses nothing that it acknowledged. It stays while
// the whole disk fails, and it is whole again soon after the disk is.
func TestFaultyDisk(t *testing.T) {
	racetest.Skip(t, "what it asks of the program is to be in time")
	t.Parallel()
	type fault struct {
		kind   faultdisk.Fault
		stream string
	}
	var all []fault
	for _, kind := range faultdisk.Faults {
		for _, stream := range append([]string{""}, streams...) {
			all = append(all, fault{kind, stream})
		}
	}
	for _, f := range faultdisk.Draw(t, all, *diskFaults) {
		t.Run(fmt.Sprintf("%s %s", f.kind, f.stream), func(t *testing.T) {
			t.Parallel()
			if f.stream == "" {
				wholeDiskFails(t, f.kind)
			} else {
				streamFails(t, f.kind, f.stream)
			}
		})
	}
}

// onFaultyDisk starts a tenant whose store is on a disk that can fail.
func onFaultyDisk(t *testing.T) (c *chaos, disk *faultdisk.Disk, b *posts) {
	t.Helper()
	disk, b = faultdisk.New(t), &posts{}
	k := graphtest.Calm()
	k.Deliver = b
	c = newChaos(t, k, 1)
	c.outages, c.every = true, 50*time.Millisecond
	c.on(disk.Dir)
	return c, disk, b
}

func wholeDiskFails(t *testing.T, kind faultdisk.Fault) {
	c, disk, b := onFaultyDisk(t)
	p := c.start()
	c.ready(p)
	c.enrol()
	stop, sent := make(chan struct{}), make(chan struct{})
	go c.send(stop, sent)
	stopTaps := c.tap()
	defer stopTaps()
	c.swept(p)

	disk.Fail(kind, "")
	began := time.Now()
	page := c.unready(kind.String())
	if !strings.Contains(page, "KV_pullprint_state") { // it is written to by who asks
		t.Errorf("/readyz names no stream:\n%s", page)
	}
	select {
	case <-p.done:
		t.Error("the process ended while the disk failed")
	case <-time.After(time.Until(began.Add(faultFor))):
	}
	refused, slowest := b.read()
	if refused == 0 || slowest > refusedWithin {
		t.Errorf("%d notifications were refused, the slowest after %s", refused, slowest)
	}
	struck := disk.Heal()
	began = time.Now()
	if kind == faultdisk.SlowSync { // each write was stored in the end: no stream refuses
		c.ready(p)
	} else {
		p = c.supervise(p)
	}
	t.Logf("%s struck %d times; whole %s after its end", kind, struck, time.Since(began).Round(time.Millisecond))
	close(stop)
	<-sent
	c.finish(p)
	stopTaps()
	c.judge()
}

// unready waits until /readyz tells that the store takes no writes, and returns the page.
func (c *chaos) unready(what string) (page string) {
	c.Helper()
	began, code := time.Now(), 0
	if !eventually(unreadyWithin, func() bool {
		code, page = get("http://" + c.metrics + "/readyz?verbose")
		return code == http.StatusServiceUnavailable
	}) {
		c.Errorf("%s: not unready within %s: %d %s", what, unreadyWithin, code, page)
	}
	c.Logf("%s: unready after %s: %s", what, time.Since(began).Round(time.Millisecond), tail(page, 600))
	return page
}

// streamFails lets the files of one stream fail. The disk takes writes, so the process ends by
// itself, and a start that is not yet possible is tried again.
func streamFails(t *testing.T, kind faultdisk.Fault, stream string) {
	c, disk, _ := onFaultyDisk(t)
	p := c.start()
	c.ready(p)
	c.enrol()
	stop, sent := make(chan struct{}), make(chan struct{})
	go c.send(stop, sent)
	stopTaps := c.tap()
	defer stopTaps()
	c.swept(p)

	disk.Fail(kind, "/streams/"+stream+"/")
	ends := map[string]int{}
	lives := func() {
		select {
		case <-p.done:
			ends[lastLine(p.err.String())]++
			p = c.start()
		default:
		}
	}
	pages := map[string]bool{}
	eventually(faultFor, func() bool {
		lives()
		if code, page := get("http://" + c.metrics + "/readyz?verbose"); code == http.StatusServiceUnavailable &&
			strings.Contains(page, stream) {
			pages[page] = true
		}
		time.Sleep(50 * time.Millisecond)
		return false
	})
	struck := disk.Heal()
	began, before := time.Now(), c.ended()
	if !eventually(wholeWithin, func() bool {
		lives()
		code, _ := get("http://" + c.metrics + "/readyz")
		return code == http.StatusOK && c.ended() > before
	}) {
		t.Errorf("not whole within %s", wholeWithin)
	}
	t.Logf("%s, %s: struck %d times, named %t; ended %v; whole after %s", kind, stream, struck, len(pages) > 0, ends,
		time.Since(began).Round(time.Millisecond))
	ended := strings.Join(slices.Collect(maps.Keys(ends)), "\n")
	if kind == faultdisk.SlowSync { // what is slow may answer in time
		struck = 0
	}
	if struck > 0 && len(pages) == 0 && !strings.Contains(ended, stream) {
		t.Errorf("nobody was told of %s", stream)
	}
	close(stop)
	<-sent
	// A process that was ready may still find that a stream refuses, and end: it is started again, as systemd would.
	eventually(2*time.Minute, func() bool {
		lives()
		return c.settled()
	})
	c.finish(p)
	stopTaps()
	c.judge()
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return tail(lines[len(lines)-1], 400)
}
