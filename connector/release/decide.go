package release

import (
	"context"
	"strings"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/decision"
	"pullprint/connector/evaluate"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/policy"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
)

// chosen is the settings of a job before the rules at release: those that its owner has
// chosen, overridden by those of the rules at arrival.
func chosen(o Order, rec *job.Record) policy.Settings {
	if rec.Set == nil {
		return o.Set
	}
	return policy.Settings(*rec.Set).Over(o.Set)
}

// evaluated is what was decided about a job, and of what.
type evaluated struct {
	of       evaluate.Evaluation
	decision policy.Decision
	// shadow is what the policy that is tried out decides; nil when it was not asked.
	shadow *policy.Decision
}

// evaluate decides on a release. It checks in this order: the owner of the job, whether the
// device can print, the rules at arrival if they could not be evaluated then, the rules at release,
// and whether the device can print the job as they have it.
func (r *Releaser) evaluate(
	ctx context.Context, o Order, rec *job.Record, job graph.Job, at *destination,
) (evaluated, error) {
	q, _ := r.queues.At(rec.Printer)
	eval := r.evaluator.Begin(job, q, time.Now())
	eval.Pages, eval.Paid = rec.Pages, rec.Charge
	if eval.User.ID == "" || !strings.EqualFold(eval.User.ID, rec.Owner) {
		r.log.Error("owner of the job differs from its record, job stays held", zap.String("job", rec.Job), zap.String("task", rec.Task))
		own := r.evaluator.Own(reasons.OwnerUnknown, policy.Release, policy.Keep)
		return evaluated{of: eval, decision: own}, nil
	}
	d, notes, err := r.usable(ctx, rec, at)
	if err != nil {
		return evaluated{}, err
	}
	if d != nil {
		return evaluated{of: eval, decision: *d}, nil
	}
	if reasons.Waits(rec.Decision.Reason) {
		first := eval
		d, _, err := r.evaluator.Evaluate(ctx, &first)
		switch {
		case err != nil:
			return evaluated{}, err
		case d.Verdict == policy.Abort, reasons.Waits(d.Reason):
			d.Point = policy.Release
			if d.Verdict != policy.Abort {
				d.Verdict = policy.Keep
			}
			return evaluated{of: first, decision: d}, nil
		}
		rec.Set, eval.Pages = evaluate.SettingsOf(d.Set), first.Pages
	}
	eval.Point, eval.Device = policy.Release, o.Device
	eval.Printers = append(eval.Printers, r.devices[o.Device].PrinterID)
	if o.Set.Copies > 0 {
		r.evaluator.ReadCopies(ctx, policy.Needs{}, &eval)
		if o.Set.Copies > eval.Job.Copies {
			o.Set.Copies = 0 // fewer than were sent is a variant, more is another job
		}
	}
	eval.Job.OneSided = printer.OneSided(at.can)
	eval.Set = chosen(o, rec)
	eval.Set.Apply(&eval.Job)
	eval.Unsaid = eval.Unsaid && eval.Set.Copies == 0
	v, shadow, err := r.evaluator.Evaluate(ctx, &eval)
	if err == nil && v.Verdict == policy.Redirect {
		v = r.suitable(ctx, rec, printer.Set(job.Configuration, v.Set.Over(eval.Set)), at, v)
	}
	v.Unknown = append(notes, v.Unknown...)
	return evaluated{eval, v, shadow}, err
}

// usable says why the device can't take the job; nil when it can.
func (r *Releaser) usable(ctx context.Context, rec *job.Record, at *destination) (*policy.Decision, []policy.Unknown, error) {
	ready, why, err := at.ready(ctx)
	switch {
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case err != nil:
		d, note := r.policy().Without(policy.Release, policy.Device)
		notes := []policy.Unknown{note}
		if d != nil {
			d.Unknown = notes
		}
		return d, notes, nil
	case ready:
		return nil, nil, nil
	}
	d := r.evaluator.Own(reasons.DeviceUnavailable, policy.Release, policy.Keep)
	if why != "" {
		d.Text = strings.TrimSuffix(d.Text, ".") + ": " + why + "."
	}
	if others := at.others(ctx, r.queues.NameOf(rec), graph.Configuration{}); others != "" {
		d.Remedy = "Go to " + others + ": your job is still waiting."
	}
	return &d, nil, nil
}

// suitable is a decision to release a job, or one to keep it where the device can't print it.
func (r *Releaser) suitable(
	ctx context.Context, rec *job.Record, j graph.Configuration, at *destination, v policy.Decision,
) policy.Decision {
	why := printer.Unsuitable(at.can, j)
	if why == "" {
		return v
	}
	d := r.evaluator.Own(reasons.DeviceUnsuitable, policy.Release, policy.Keep)
	d.Text, d.Unknown = strings.TrimSuffix(d.Text, ".")+": "+why+".", v.Unknown
	if others := at.others(ctx, r.queues.NameOf(rec), j); others != "" {
		d.Remedy = "Go to " + others + ": your job is still waiting."
	}
	return d
}

// keep leaves a job held; only the audit tells of it.
func (r *Releaser) keep(ctx context.Context, o Order, rec job.Record, d decision.Decision) (job.Record, error) {
	d.ID = decision.KeepID(d.ID, o.At)
	rec.Decision = d
	if err := r.effects.Publish(ctx, &rec); err != nil {
		return rec, err
	}
	r.effects.Report(&rec, o.At)
	return rec, nil
}
