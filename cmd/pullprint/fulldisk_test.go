package main

import (
	"flag"
	"net/http"
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

var diskFull = flag.Duration("disk.full", 700*time.Millisecond, "for how long the disk is full in TestFullDisk")

// unreadyWithin is how soon /readyz has to tell that the store takes no writes.
const unreadyWithin = 10 * time.Second

// wholeWithin is how soon after there is room again everything has to work again, the
// restart by a supervisor included.
const wholeWithin = 15 * time.Second

// TestFullDisk fills the disk of the store under load, for a moment or for longer, with a supervisor
// that starts the program again when it ends. While the disk is full the program stays and says that it
// is not ready; when there is room again it comes back by itself, and nothing is lost.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := bustest.NewDisk(t, 96<<20)
	o := newChaos(t, graphtest.Calm(), 1)
	o.outages = true
	o.on(disk.Dir)
	p := o.start()
	o.ready(p)
	o.enrol()
	stop, sent := make(chan struct{}), make(chan struct{})
	go o.send(stop, sent)
	stopTaps := o.tap()
	defer stopTaps()
	o.swept(p)

	disk.Fill()
	full := time.NewTimer(*diskFull)
	if *diskFull > unreadyWithin && !eventually(unreadyWithin, func() bool {
		code, page := get("http://" + o.metrics + "/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(page, "no space left")
	}) {
		t.Errorf("not unready within %s", unreadyWithin)
	}
	select {
	case <-p.done:
		t.Error("the process ended while the disk was full")
	case <-full.C:
	}
	disk.Free()
	p = o.supervise(p)

	close(stop)
	<-sent
	o.finish(p)
	stopTaps()
	o.judge()
}

// supervise starts the program again when it ends, and returns when it has come back
// and has worked off a job.
func (c *chaos) supervise(p *process) *process {
	c.Helper()
	began, restarts, before := time.Now(), 0, 0
	whole := func() bool {
		select {
		case <-p.done:
			restarts++
			if text := p.err.String(); !strings.Contains(text, "only a restart helps") {
				c.Errorf("the process ended with %d and does not say why:\n%s", p.cmd.ProcessState.ExitCode(), tail(text, 2000))
			}
			p, before = c.start(), c.ended()
		default:
		}
		code, _ := get("http://" + c.metrics + "/readyz")
		return code == http.StatusOK && restarts > 0 && c.ended() > before
	}
	if !eventually(2*wholeWithin, whole) {
		c.Fatalf("not whole %s after there was room again:\n%s", 2*wholeWithin, tail(p.err.String(), 4000))
	}
	if took := time.Since(began); took > wholeWithin || restarts != 1 {
		c.Errorf("whole only %s and %d restarts after there was room again", took.Round(time.Millisecond), restarts)
	}
	return p
}
