package effect

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/policy"
)

// Audit stores decisions; *bus.Bus is one. A decision is durable when nil is returned, and
// publishing the same msgID again changes nothing.
type Audit interface {
	PublishDecision(ctx context.Context, verdict, msgID string, body []byte) error
}

// freshArrival is up to which age the decision at arrival of a record may be missing in the
// audit: its message may not have been redelivered yet.
const freshArrival = 10 * time.Minute

// PublishArrival publishes the decision at arrival of a young record again before another
// decision replaces it in the record: the process that made it may have died before it
// published it, and its message is redelivered only later.
func (e *Executor) PublishArrival(ctx context.Context, rec *job.Record) error {
	if rec.Decision.Point != string(policy.Arrival) || time.Since(rec.Seen) > freshArrival {
		return nil
	}
	return e.Publish(ctx, rec)
}

// Publish puts the record's decision into the audit stream. Its id is always
// the same, so that doing it again changes nothing.
func (e *Executor) Publish(ctx context.Context, rec *job.Record) error {
	d := rec.Audit()
	body, err := json.Marshal(&d)
	if err != nil {
		return fmt.Errorf("encode decision: %w", err)
	}
	if err := e.audit.PublishDecision(ctx, d.Verdict, d.ID, body); err != nil {
		return fmt.Errorf("publish decision: %w", err)
	}
	return nil
}

// Report counts and logs a decision that took effect.
func (e *Executor) Report(rec *job.Record, heard time.Time) {
	d := rec.Audit()
	e.metrics.decided(&d, heard)
	fields := []zap.Field{
		zap.String("point", d.Point), zap.String("verdict", d.Verdict), zap.String("reason", d.Reason), zap.String("rule", d.Rule),
		zap.String("queue", d.Queue), zap.String("job", d.Job), zap.String("task", d.Task), zap.String("policy", d.Policy),
	}
	if d.Error != "" {
		e.log.Warn("job decided by a failing rule", append(fields, zap.String("error", d.Error))...)
	} else {
		e.log.Info("job decided", fields...)
	}
	if e.onDecision != nil {
		e.onDecision(d)
	}
}

// Decision is a decision of the program itself on a held job, with an id; what the policy saw at
// arrival stays its input.
func (e *Executor) Decision(rec *job.Record, id string, v policy.Decision) decision.Decision {
	return decision.Decision{
		ID: id, At: time.Now(), Point: string(v.Point), Verdict: string(v.Verdict),
		Reason: v.Reason, Text: v.Text, Remedy: v.Remedy, IPP: v.IPP, Policy: v.PolicyHash, By: e.instance, Input: rec.Decision.Input,
	}
}
