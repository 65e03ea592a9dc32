package effect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// maxCalls is how often one instance calls Graph for the same effect, reading the job in
// between, before it leaves the intent to a later delivery or sweep.
const maxCalls = 3

// completedText is what Graph has as the description of a completed task.
const completedText = "completed by pullprint"

// releaseWithin is how long after a tap its job may still be redirected: the time of an order
// (release.OrderWithin) and 10 s in which its owner may still stand there. After this the owner
// has probably left, and the job must not print unattended.
const releaseWithin = 30 * time.Second

// callGraph calls Graph for the effect of an intent and says how it ended.
// It never calls twice without reading the job in between. Once a call may have taken
// effect, in this process or an earlier one, the refusal of a later call proves nothing:
// Graph refuses a second call because the first took effect.
func (e *Executor) callGraph(ctx context.Context, rec *job.Record, a Cause) (result, error) {
	called := a.verifyFirst
	var last error
	for range maxCalls {
		if a.verifyFirst {
			seen, err := e.verify(ctx, rec, called, last)
			if err != nil || seen.outcome != "" {
				return seen, err
			}
			if refused(last) && rec.State == job.Releasing {
				break // the refusal contradicts the read; leave the intent to a later delivery or sweep
			}
			a.Settings = seen.settings
		}
		if err := e.Reserve(ctx, rec, false); err != nil {
			return e.notReserved(rec, called, err)
		}
		if a.OnReserved != nil {
			a.OnReserved()
		}
		last = e.callOnce(ctx, rec, a.Settings)
		if last == nil {
			return result{outcome: rec.State.Outcome()}, nil
		}
		var ge *graph.Error
		if !errors.As(last, &ge) || (ge.Unavailable() && !ge.Ambiguous()) || ctx.Err() != nil {
			break // surely not sent, or no time left: a later delivery or sweep goes on
		}
		called = called || ge.Ambiguous()
		a.verifyFirst = true
	}
	return result{}, fmt.Errorf("%s job: %w", operation(rec.State), last)
}

// verify reads what became of an effect before Graph is called for it. called says whether Graph may
// have been called before, last is what it answered then. The outcome is empty when the effect can
// still be called for.
func (e *Executor) verify(ctx context.Context, rec *job.Record, called bool, last error) (result, error) {
	seen, err := e.readBack(ctx, rec, called)
	if errors.Is(err, errUnclear) {
		seen, err = e.readBack(ctx, rec, called)
	}
	if err != nil {
		return result{}, err
	}
	e.metrics.readBacks.WithLabelValues(foundLabel(seen.outcome)).Inc()
	seen.readBack, seen.notMade = true, refused(last) && !called
	if seen.outcome == "" && rec.State == job.Releasing && (seen.notMade || e.clock.Since(rec.Release.At) > releaseWithin) {
		seen.outcome = job.Held
	}
	return seen, nil
}

// notReserved is the result when the job's cost can't be reserved: a job that was to be redirected is
// held again when an account is exhausted.
func (e *Executor) notReserved(rec *job.Record, called bool, err error) (result, error) {
	var ex *quota.Exhausted
	if !errors.As(err, &ex) || rec.State != job.Releasing {
		return result{}, err
	}
	e.DecideExhausted(rec, ex, policy.Keep)
	rec.Charge = rec.Charge.Before
	if !called && len(rec.Tries) > 0 {
		rec.Tries = rec.Tries[:len(rec.Tries)-1] // Graph was not called
	}
	return result{outcome: job.Held}, nil
}

// refused reports whether Graph rejected the call, so that it has not taken effect and will
// not later.
func refused(err error) bool {
	var ge *graph.Error
	return errors.As(err, &ge) && !ge.Unavailable() && !ge.Ambiguous()
}

func foundLabel(outcome job.State) string {
	if outcome == "" {
		return "not-done"
	}
	return string(outcome)
}

func operation(s job.State) string {
	switch s {
	case job.Aborting:
		return "abort"
	case job.Completing:
		return "complete"
	case job.Releasing:
		return "redirect"
	}
	return string(s)
}

func (e *Executor) callOnce(ctx context.Context, rec *job.Record, settings json.RawMessage) error {
	settings, err := overlay(settings, rec.Decision.Set)
	if err != nil {
		return err
	}
	switch rec.State {
	case job.Aborting:
		d := policy.Decision{Reason: rec.Decision.Reason, Text: rec.Decision.Text, Remedy: rec.Decision.Remedy}
		return e.graph.AbortJob(ctx, rec.Ref, d.Sentence())
	case job.Completing:
		if settings != nil {
			if err := e.graph.UpdateJob(ctx, rec.Ref, settings); err != nil {
				return err
			}
		}
		return e.graph.FinishTask(ctx, rec.Definition, rec.Task, graph.TaskCompleted, completedText)
	case job.Releasing:
		made, err := e.graph.RedirectJob(ctx, rec.Ref, rec.Release.Printer, settings)
		rec.Release.Job = made.Job
		return err
	}
	return fmt.Errorf("no effect for state %s", rec.State)
}

// overlay is a job's own settings with what rules rewrote in them; nil when nothing was
// rewritten. What Graph would reject is left out: annotations, nulls, and values that its
// schema does not have.
func overlay(settings json.RawMessage, set *decision.Settings) (json.RawMessage, error) {
	if set == nil {
		return nil, nil
	}
	all := map[string]json.RawMessage{}
	if len(settings) > 0 {
		if err := json.Unmarshal(settings, &all); err != nil {
			return nil, errors.New("the job's configuration is not a JSON object")
		}
	}
	maps.DeleteFunc(all, func(key string, value json.RawMessage) bool {
		return strings.HasPrefix(key, "@") || string(value) == "null" || string(value) == `"unknownFutureValue"`
	})
	text, err := json.Marshal(set)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	return json.Marshal(all)
}
