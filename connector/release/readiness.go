package release

import (
	"cmp"
	"context"
	"slices"

	"pullprint/connector/printer"
	"pullprint/connector/recovery"
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

// Place is a device at which jobs can be released.
type Place struct {
	printer.Device
	// Unavailable is true when Graph tells that it can't print; Why is the cause, and may be empty.
	Unavailable bool
	Why         string
}

// Places are the devices that may release jobs of one of the queues, by location and id. Their states may
// be some seconds old; one that is not known in time counts as able to print, as a release reads it once more.
func (r *Releaser) Places(ctx context.Context, queues []string) (list []Place) {
	for _, d := range r.devices {
		if slices.ContainsFunc(queues, func(q string) bool { return slices.Contains(d.Queues, q) }) {
			list = append(list, Place{Device: d})
		}
	}
	slices.SortFunc(list, func(a, b Place) int { return cmp.Or(cmp.Compare(a.Location, b.Location), cmp.Compare(a.ID, b.ID)) })
	_ = recovery.Each(min(len(list), maxPlaces), maxPlaces, func(i int) {
		if now, err := r.cachedState(ctx, list[i].Device); err == nil {
			list[i].Unavailable, list[i].Why = !now.ready, now.why
		}
	})
	return list
}
