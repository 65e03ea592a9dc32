package connector

import (
	"context"
	"time"

	"pullprint/connector/held"
	"pullprint/policy"
)

// question is the request to the policy about a held job, built from its record.
func (e *Evaluator) question(
	ctx context.Context, p *policy.Policy, rec *held.Record, dev Device, now time.Time,
) policy.Request {
	d := rec.Audit()
	d.Queue = e.queues.nameOf(rec)
	if rec.Sent != nil {
		d.Input = *rec.Sent
	}
	d.At, d.Point, d.Device = now, string(policy.Release), dev.ID
	d.Input.Mode = ModePull
	if rec.Pages != nil {
		d.Input.Pages = rec.Pages
	}
	d.Input.Missing = nil
	if p.Needs(policy.Release, ModePull).Groups {
		if m, err := e.groups.of(ctx, rec.Owner); err == nil {
			d.Input.Groups = m.groups
		} else {
			d.Input.Missing = []string{string(policy.Directory)}
		}
	}
	eval := evaluation{Request: RequestOf(p, &d), paid: rec.Charge}
	eval.job.Ref.Printer, eval.job.Ref.Job = rec.Printer, rec.Job
	if rec.Set != nil {
		policy.Settings(*rec.Set).Apply(&eval.Job)
	}
	if d.Input.CopiesUnsaid && (rec.Set == nil || rec.Set.Copies == 0) && dev.PrinterID != "" {
		eval.unsaid, eval.printers = true, []string{dev.PrinterID}
		e.readCopies(ctx, p.Needs(policy.Release, ModePull), &eval)
	}
	return e.withBalances(ctx, p, eval)
}
