package release

import (
	"cmp"
	"context"
	"slices"
	"time"

	"pullprint/connector/job"
	"pullprint/trigger/graph"
)

// Sent are the jobs that a person has had released at a device since a time: their own, and those of people
// who let them. The newest comes first.
func (r *Releaser) Sent(ctx context.Context, person, device string, since time.Time) ([]job.Record, error) {
	person = graph.Canonical(person)
	owners, err := r.delegations.Of(ctx, person, time.Now())
	if err != nil {
		return nil, err
	}
	var list []job.Record
	for _, o := range append(owners, person) {
		err := r.jobs.Owned(ctx, o, func(rec job.Record, _ uint64) error {
			here := rec.Release != nil && rec.Release.Device == device && rec.Release.At.After(since)
			if here && rec.State == job.Released && (rec.Owner == person || rec.Decision.Actor == person) {
				list = append(list, rec)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b job.Record) int {
		return cmp.Or(b.Release.At.Compare(a.Release.At), cmp.Compare(a.Key(), b.Key()))
	})
	return list, nil
}
