package release

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/printer"
	"pullprint/connector/recovery"
	"pullprint/trigger/graph"
)

// The limits of suggesting other devices.
const (
	// stateTTL is how long the state of a device that is only suggested is cached: people who
	// stand at one that is broken ask again and again.
	stateTTL = 15 * time.Second
	// maxStates is how many states are cached.
	maxStates = 10_000
	// maxPlaces is how many devices are read for a list that people choose from: more do not fit some
	// screens of a phone. Of the rest it is not told whether they can print.
	maxPlaces = 16
	// maxOthers is how many devices are read and suggested: more do not fit into a sentence.
	maxOthers = 4
)

// destination is the device of one order. Its printer is read once, while the
// jobs are read.
type destination struct {
	r    *Releaser
	dev  printer.Device
	stop context.CancelFunc
	done chan struct{}
	ok   bool
	why  string // why it is not ok, as text; may be empty
	can  graph.Capabilities
	err  error
}

// deviceState is whether a device takes jobs, why not, and which.
type deviceState struct {
	ready bool
	why   string
	can   graph.Capabilities
}

// destination begins to read the device's printer; ready waits for the result. The caller has
// to call end.
func (r *Releaser) destination(ctx context.Context, dev printer.Device) *destination {
	ctx, stop := context.WithCancel(ctx)
	at := &destination{r: r, dev: dev, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(at.done)
		at.err = recovery.Catch(func() (err error) {
			var now deviceState
			now, at.why, err = r.readPrinter(ctx, dev)
			at.ok, at.can = now.ready, now.can
			return err
		})
	}()
	return at
}

// end stops reading the printer. The result may not have been needed: every job of the order
// may have ended before.
func (at *destination) end() {
	at.stop()
	<-at.done
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

// readPrinter reports whether a device takes jobs, and why not. A printer that Graph does not
// know takes none; the administrator has to correct the configuration.
func (r *Releaser) readPrinter(ctx context.Context, dev printer.Device) (now deviceState, why string, err error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	p, err := r.printers.Printer(ctx, dev.PrinterID)
	if graph.IsNotFound(err) {
		r.log.Error("graph does not know the printer of a device: correct devices[].printer_id, and share the printer "+
			"with the app", zap.String("device", dev.ID), zap.String("printer", dev.PrinterID))
		return deviceState{}, "", nil
	}
	if err != nil {
		return deviceState{}, "", err
	}
	why, unavailable := dev.Unavailable(p, r.clock.AtGraph())
	now = deviceState{!unavailable, why, p.Capabilities}
	r.states.Put(dev.PrinterID, now)
	return now, why, nil
}

// others names the other devices that could release a job of the queue right now, as "a, b or
// c"; empty when there is none.
func (at *destination) others(ctx context.Context, queue string, job graph.Configuration) string {
	var names []string
	for _, d := range at.r.othersReady(ctx, at.dev, []string{queue}, job) {
		names = append(names, d.Place())
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " or " + names[n-1]
	}
	return strings.Join(names, "")
}

// othersReady are the devices other than dev that could release jobs of one of the queues right
// now, and can print a job, in the order of their ids.
func (r *Releaser) othersReady(
	ctx context.Context, dev printer.Device, queues []string, job graph.Configuration,
) (list []printer.Device) {
	for _, d := range r.devices {
		shared := slices.ContainsFunc(queues, func(q string) bool { return slices.Contains(d.Queues, q) })
		if d.ID != dev.ID && d.PrinterID != dev.PrinterID && shared {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b printer.Device) int { return strings.Compare(a.ID, b.ID) })
	list = list[:min(len(list), maxOthers)]
	ready := make([]bool, len(list))
	_ = recovery.Each(len(list), maxOthers, func(i int) {
		now := r.stateLately(ctx, list[i])
		ready[i] = now.ready && printer.Unsuitable(now.can, job) == ""
	})
	i := -1
	return slices.DeleteFunc(list, func(printer.Device) bool { i++; return !ready[i] })
}

// stateLately is readPrinter for a suggestion: the state may be cached, and a device whose
// state can't be read is not suggested.
func (r *Releaser) stateLately(ctx context.Context, dev printer.Device) deviceState {
	now, _ := r.cachedState(ctx, dev) // none is ready
	return now
}

// cachedState is readPrinter where the state may be stateTTL old.
func (r *Releaser) cachedState(ctx context.Context, dev printer.Device) (deviceState, error) {
	if now, fresh := r.states.Get(dev.PrinterID); fresh {
		return now, nil
	}
	now, _, err := r.readPrinter(ctx, dev)
	return now, err
}

// oneSided reports whether a device prints on one side only; when that is not known in time it counts
// as one that prints on both.
func (r *Releaser) oneSided(ctx context.Context, device string) bool {
	dev, ok := r.devices[device]
	if !ok {
		return false
	}
	now, _ := r.cachedState(ctx, dev) // none has no capabilities
	return printer.OneSided(now.can)
}
