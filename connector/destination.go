package connector

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/connector/recovery"
)

// stateTTL is how long the state of a device that is only suggested is believed,
// and maxOthers how many are looked at and named.
const (
	stateTTL  = 15 * time.Second
	maxOthers = 4
)

// printerState is what Graph said of a printer lately.
type printerState struct {
	ready bool
	until time.Time
}

// destination is the device of one order. Its printer is read once, while the
// jobs are read.
type destination struct {
	r    *Releaser
	dev  Device
	done chan struct{}
	ok   bool
	why  string // it is not ok, in words; may be empty
	err  error
}

// destination begins to read the device's printer; ready waits for it, and
// whoever calls destination calls ready.
func (r *Releaser) destination(ctx context.Context, dev Device) *destination {
	at := &destination{r: r, dev: dev, done: make(chan struct{})}
	go func() {
		defer close(at.done)
		at.err = recovery.Catch(func() (err error) {
			at.ok, at.why, err = r.readPrinter(ctx, dev)
			return err
		})
	}()
	return at
}

// ready reports whether the device takes jobs now, and why not.
func (at *destination) ready(ctx context.Context) (ok bool, why string, err error) {
	select {
	case <-at.done:
		return at.ok, at.why, at.err
	case <-ctx.Done():
		return false, "", ctx.Err()
	}
}

// readPrinter reports whether a device takes jobs, and why not. A printer that Graph
// does not know takes none: that is for the administrator to correct.
func (r *Releaser) readPrinter(ctx context.Context, dev Device) (ok bool, why string, err error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	p, err := r.printers.Printer(ctx, dev.PrinterID)
	if notFound(err) {
		r.log.Error("graph does not know the printer of a device: correct devices[].printer_id, and share the printer "+
			"with the app", zap.String("device", dev.ID), zap.String("printer", dev.PrinterID))
		return false, "", nil
	}
	if err != nil {
		return false, "", err
	}
	why, unavailable := dev.Unavailable(p, r.clock.graphTime())
	return !unavailable, why, nil
}

// others names the other devices that could release jobs of the queue right
// now, as "a, b or c"; empty when there is none.
func (at *destination) others(ctx context.Context, queue string) string {
	var near []Device
	for _, d := range at.r.devices {
		if d.ID != at.dev.ID && d.PrinterID != at.dev.PrinterID && slices.Contains(d.Queues, queue) {
			near = append(near, d)
		}
	}
	slices.SortFunc(near, func(a, b Device) int { return strings.Compare(a.ID, b.ID) })
	near = near[:min(len(near), maxOthers)]
	ready := make([]bool, len(near))
	var reads errgroup.Group
	for i, d := range near {
		reads.Go(func() error {
			return recovery.Catch(func() error {
				ready[i] = at.r.readyLately(ctx, d)
				return nil
			})
		})
	}
	_ = reads.Wait()
	var names []string
	for i, d := range near {
		if ready[i] {
			names = append(names, d.ID)
		}
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " or " + names[n-1]
	}
	return strings.Join(names, "")
}

// readyLately is readPrinter for a suggestion: it may be a moment old, and what
// can't be read is not suggested.
func (r *Releaser) readyLately(ctx context.Context, dev Device) bool {
	r.mu.Lock()
	s := r.states[dev.PrinterID]
	r.mu.Unlock()
	if time.Now().Before(s.until) {
		return s.ready
	}
	ready, _, err := r.readPrinter(ctx, dev)
	if err != nil {
		return false
	}
	r.mu.Lock()
	r.states[dev.PrinterID] = printerState{ready, time.Now().Add(stateTTL)}
	r.mu.Unlock()
	return ready
}
