package evaluate

import (
	"context"
	"time"

	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/policy"
)

// Question is the request to the policy about a held job, built from its record.
func (e *Evaluator) Question(
	ctx context.Context, p *policy.Policy, rec *job.Record, dev printer.Device, now time.Time,
) policy.Request {
	d := rec.Audit()
	d.Queue = e.queues.NameOf(rec)
	d.Input = rec.Input()
	d.At, d.Point, d.Device = now, string(policy.Release), dev.ID
	d.Input.Mode = printer.ModePull
	if rec.Pages != nil {
		d.Input.Pages = rec.Pages
	}
	d.Input.Missing = nil
	if p.Needs(policy.Release, printer.ModePull).Groups {
		if m, err := e.groups.of(ctx, rec.Owner); err == nil {
			d.Input.Groups = m.groups
		} else {
			d.Input.Missing = []string{string(policy.Directory)}
		}
	}
	eval := Evaluation{Request: RequestOf(p, &d), Paid: rec.Charge}
	eval.job.Ref.Printer, eval.job.Ref.Job = rec.Printer, rec.Job
	if rec.Set != nil {
		policy.Settings(*rec.Set).Apply(&eval.Job)
	}
	if d.Input.CopiesUnsaid && (rec.Set == nil || rec.Set.Copies == 0) && dev.PrinterID != "" {
		eval.Unsaid, eval.Printers = true, []string{dev.PrinterID}
		e.ReadCopies(ctx, p.Needs(policy.Release, printer.ModePull), &eval)
	}
	return e.withBalances(ctx, p, eval)
}
