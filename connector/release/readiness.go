package release

import (
	"context"

	"pullprint/connector/printer"
	"pullprint/trigger/graph"
)

// Readiness is whether a device can print now.
type Readiness struct {
	// Unavailable is true when Graph tells that it can't; Why is the cause, and may be empty.
	Unavailable bool
	Why         string
	// Others are devices of the same queues that can, in the order of their ids.
	Others []printer.Device
}

// Readiness reads whether a device can print, and which others can when it can't. When Graph
// does not tell in time it counts as one that can: a release reads it once more.
func (r *Releaser) Readiness(ctx context.Context, device string) Readiness {
	dev, ok := r.devices[device]
	if !ok {
		return Readiness{}
	}
	now, why, err := r.readPrinter(ctx, dev)
	if now.ready || err != nil {
		return Readiness{}
	}
	return Readiness{Unavailable: true, Why: why, Others: r.othersReady(ctx, dev, dev.Queues, graph.Configuration{})}
}
