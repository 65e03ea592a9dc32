package release

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pullprint/connector/job"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// Choice is a way to print a waiting job that may be chosen at release, with what it would
// cost.
type Choice struct {
	// Set is what is chosen, without what changes nothing; empty is the job as it was sent.
	Set     policy.Settings
	Printed Printed
	Cost    quota.Amount
	// Paid is true when somebody pays the cost.
	Paid bool
	// Refused is the code of the reason for which the job would not be released so; empty when it
	// would.
	Refused string
}

// Choices are the ways of sets to print a waiting job of owner, or of who lets owner release it,
// at a device: first as it was sent, then each of sets that changes anything. The error is
// ErrNoJob when the job does not wait.
func (r *Releaser) Choices(
	ctx context.Context, owner, device string, ref graph.Ref, sets []policy.Settings,
) (Quote, []Choice, error) {
	jobs, err := r.Waiting(ctx, owner, device)
	if err != nil {
		return Quote{}, nil, err
	}
	i := slices.IndexFunc(jobs, func(rec job.Record) bool { return rec.Ref == ref })
	if i < 0 {
		return Quote{}, nil, fmt.Errorf("%w: %s", ErrNoJob, ref.Job)
	}
	rec, p := &jobs[i], r.policy()
	req := r.evaluator.Question(ctx, p, rec, r.at(device), time.Now())
	req.Job.OneSided = r.oneSided(ctx, device)
	of := quoted(p, Quote{Record: *rec}, p.Decide(req))
	of.Printed = printed(&req.Job, rec)
	list := []Choice{choice(p, req, rec, policy.Settings{})}
	for _, set := range sets {
		c := choice(p, req, rec, set)
		if !slices.ContainsFunc(list, func(o Choice) bool { return o.Printed == c.Printed }) {
			list = append(list, c)
		}
	}
	return of, list, nil
}

// choice asks the policy about a job with other settings. Those of the rules at arrival come
// before what is chosen, as at release.
func choice(p *policy.Policy, req policy.Request, rec *job.Record, set policy.Settings) Choice {
	eff := set
	if rec.Set != nil {
		eff = policy.Settings(*rec.Set).Over(set)
	}
	if eff.Copies > max(req.Job.Copies, 1) {
		eff.Copies = 0
	}
	sent := printed(&req.Job, rec)
	eff.Apply(&req.Job)
	d, now := p.Decide(req), printed(&req.Job, rec)
	now.OneSided = sent.OneSided // what is chosen is offered only where it changes something
	if now.Copies == sent.Copies {
		set.Copies = 0
	}
	if now.Color == sent.Color {
		set.ColorMode = ""
	}
	if now.Duplex == sent.Duplex {
		set.DuplexMode = ""
	}
	c := Choice{Set: set, Printed: now, Cost: d.Cost, Paid: len(d.Claims) > 0}
	if d.Verdict != policy.Redirect {
		c.Refused = d.Reason
	}
	return c
}

// Currency is that of costs and balances; empty where they are pages.
func (r *Releaser) Currency() string { return r.policy().Currency() }
