package release

import (
	"context"
	"slices"
	"sync"
	"time"

	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
)

// Order asks for held jobs at a device.
type Order struct {
	// Device is the configured id of the device.
	Device string
	// Owner is the Entra object id of the person the jobs are for: the owner of
	// the badge, or the one whom the owner of the jobs lets release them.
	Owner string
	// Own leaves out the jobs of those who let Owner release theirs.
	Own bool
	// Jobs are the jobs asked for; nil is every job that the device may release.
	Jobs []graph.Ref
	// Actor is who asks when it is not the reader of the device: the name of an API
	// token.
	Actor string
	// Asked is what asked: when it is not given, a badge at the reader, or the token of Actor.
	Asked decision.Origin
	// At is when it was asked for.
	At time.Time
	// Set is how the owner wants the jobs printed: a variant that costs less.
	Set policy.Settings
}

// wants reports whether a waiting job is asked for.
func (o *Order) wants(rec *job.Record) bool {
	return (o.Jobs == nil || slices.Contains(o.Jobs, rec.Ref)) && (!o.Own || rec.Owner == o.Owner)
}

func (o Order) origin() decision.Origin {
	switch {
	case o.Asked != "":
		return o.Asked
	case o.Actor != "":
		return decision.AskedByToken
	}
	return decision.AskedByBadge
}

// Outcome is what became of an order, job by job, oldest first. A job that
// ended elsewhere is in none of the lists.
type Outcome struct {
	// Owner is empty when the order found no job.
	Owner    string     `json:"owner"`
	Released []Released `json:"released"`
	Kept     []Refused  `json:"kept"`
	Aborted  []Refused  `json:"aborted"`
}

// Released is a job that Graph sent to the device.
type Released struct {
	graph.Ref
	Queue string `json:"queue"`
	// Destination is the printer of the device at Graph.
	Destination string `json:"destination"`
	// DestinationJob is the job there, when Graph told.
	DestinationJob string `json:"destination_job,omitempty"`
}

// Refused is a job that was not released, and why.
type Refused struct {
	graph.Ref
	Queue  string `json:"queue"`
	Reason Reason `json:"reason"`
	// Cost is what the job would have cost, and Variant the least change with which
	// it would be paid for, when it was refused for its cost.
	Cost    quota.Amount       `json:"cost,omitzero"`
	Variant *decision.Settings `json:"variant,omitempty"`
	// Pending is true of a job that will be canceled as soon as Graph answers.
	Pending bool `json:"pending,omitempty"`
}

// Reason is a stable code with words for the owner.
type Reason struct {
	Code   string `json:"code"`
	Text   string `json:"text"`
	Remedy string `json:"remedy"`
	// IPP is the keyword for job-state-reasons that comes nearest.
	IPP string `json:"ipp,omitempty"`
}

// Empty reports whether the order found no job.
func (o *Outcome) Empty() bool { return len(o.Released)+len(o.Kept)+len(o.Aborted) == 0 }

// outcome is the Outcome of an order from the records of its jobs.
func outcome(owner string, results []job.Record) Outcome {
	out := Outcome{Released: []Released{}, Kept: []Refused{}, Aborted: []Refused{}}
	for i := range results {
		rec := &results[i]
		d := &rec.Decision
		if rec.Owner != owner && d.Reason == reasons.QuotaExhausted {
			told := policy.ForAnother(policy.Decision{Reason: d.Reason, Text: d.Text, Remedy: d.Remedy})
			d.Text, d.Remedy = told.Text, told.Remedy
		}
		refused := Refused{
			Ref: rec.Ref, Queue: rec.Queue, Reason: Reason{d.Reason, d.Text, d.Remedy, d.IPP},
			Cost: d.Cost, Variant: d.Variant,
		}
		switch rec.State {
		case job.Released:
			out.Released = append(out.Released, Released{rec.Ref, rec.Queue, rec.Release.Printer, rec.Release.Job})
		case job.Aborted:
			out.Aborted = append(out.Aborted, refused)
		case job.Held, job.Releasing, job.Aborting:
			out.Kept = append(out.Kept, refused)
		}
	}
	if !out.Empty() {
		out.Owner = owner
	}
	return out
}

// budgetTurn makes a job of an order wait until the job before it is decided and paid for, so
// that a budget that is too small for all is spent on the oldest. The zero value does not
// wait.
type budgetTurn struct {
	before <-chan struct{}
	over   func() // may be called again
}

// budgetTurns are those of an order of n jobs.
func (r *Releaser) budgetTurns(n int) []budgetTurn {
	list := make([]budgetTurn, n)
	limited := r.policy().HasAllowances()
	var before chan struct{}
	for i := range list {
		list[i].over = func() {}
		if !limited {
			continue
		}
		list[i].before = before
		mine := make(chan struct{})
		list[i].over = sync.OnceFunc(func() { close(mine) })
		before = mine
	}
	return list
}

// wait waits for the turn.
func (t budgetTurn) wait(ctx context.Context) error {
	if t.before == nil {
		return nil
	}
	select {
	case <-t.before:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
