package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"pullprint/connector/held"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// maxCalls is how often one instance calls for the same effect, with a look at
// the job between, before it leaves the intent to a later delivery or sweep.
const maxCalls = 3

// releaseWithin is how long after a tap its job may still be redirected: who
// tapped stands at the device no longer, and paper that nobody waits for is
// anybody's.
const releaseWithin = 30 * time.Second

// act says how an effect is come to.
type act struct {
	// heard is when the notification was stored or the badge was shown, zero
	// when the sweep resumes.
	heard time.Time
	// again is true when a message stands behind the act, which comes again if
	// this process dies.
	again bool
	// look is true when the effect may have happened already: the job is read
	// before anything is done.
	look bool
	// settings are the job's own, as Graph told; what rules rewrote is laid over
	// them. With look they are read.
	settings json.RawMessage
	// paid, when set, is called when what the job costs is reserved.
	paid func()
}

// intend stores the intent to act on a held job; errBusy says that another was
// faster. Its caller has claimed the job.
func (w *Worker) intend(ctx context.Context, rec *held.Record, rev uint64, to held.State, note string) (newRev uint64, err error) {
	before := rec.State
	if err := rec.Move(to, time.Now(), w.Instance, note); err != nil {
		return 0, err
	}
	newRev, ok, err := w.Jobs.Put(ctx, rec, rev)
	if err == nil && !ok {
		err = errBusy
	}
	if err == nil {
		w.Metrics.moved(before, rec)
	}
	return newRev, err
}

// carryOut makes the effect of a stored intent happen, once. The crash story,
// in the order of the steps:
//
//  1. the intent is stored (by the caller). Dying here: nothing happened, the
//     look at the job says so, and the effect is called for.
//  2. Graph is called. Dying during or after the call: the look at the job
//     finds the effect (job aborted, task completed) or not, never guesses.
//  3. the decision is published under its own id, and the outcome is stored.
//     Dying after the one: the intent is resumed and the decision published
//     again under that id, which changes nothing. Dying after the other: the
//     message, which is not acknowledged, finds a final record and publishes
//     the decision. A tap and the sweep have no message behind them, so they
//     publish first.
//
// An error leaves the intent as it is. Otherwise the record that is returned is
// the one that was stored: final, or held again when a redirect surely was not
// made.
func (w *Worker) carryOut(ctx context.Context, rec held.Record, rev uint64, a act) (held.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, actWithin)
	defer cancel()
	ans, err := w.effect(ctx, &rec, a)
	var ex *quota.Exhausted
	if errors.As(err, &ex) && rec.State == held.Completing {
		w.denied(&rec, ex, policy.Abort)
		rec.Charge = nil
		if rev, err = w.intend(ctx, &rec, rev, held.Aborting, policy.ReasonQuotaExhausted); err != nil {
			return rec, err
		}
		return w.carryOut(ctx, rec, rev, act{heard: a.heard, again: a.again})
	}
	if err != nil {
		return rec, err
	}
	rec.Decision.Answer = &ans.Answer
	if err := w.chargePrinted(ctx, &rec, ans); err != nil {
		return rec, err
	}
	if ans.Outcome == held.Held && rec.Decision.Verdict == string(policy.Redirect) {
		kept(&rec)
	}
	note := ans.note()
	if err := rec.Move(ans.Outcome, time.Now(), w.Instance, note); err != nil {
		return rec, err
	}
	if ans.Outcome == held.Gone && !ans.late {
		err := w.conclude(ctx, &rec, rev)
		if err == nil {
			w.void(ctx, &rec)
			w.lost(&rec, note)
		}
		return rec, err
	}
	tried := rec.Charge
	if ans.Outcome == held.Held && ans.sure && tried != nil && tried.Before != nil {
		rec.Charge = tried.Before // of an earlier try, which may have been made
	}
	var publishing errgroup.Group
	publishing.Go(func() error { return catchPanic(func() error { return w.publish(ctx, &rec) }) })
	if !a.again || ans.ReadBack { // what was found late may have no message behind it that tells of it
		if err := publishing.Wait(); err != nil {
			return rec, err
		}
	}
	err = w.conclude(ctx, &rec, rev)
	if err := errors.Join(err, publishing.Wait()); err != nil {
		return rec, err
	}
	switch {
	case ans.Outcome == held.Aborted:
		w.void(ctx, &rec)
	case ans.Outcome == held.Held && ans.sure && tried != nil && !tried.AtArrival:
		w.giveBack(ctx, &rec, tried, tried.Attempt)
	}
	w.report(&rec, a.heard)
	return rec, nil
}

// kept makes the decision to redirect one to keep: the redirect was surely not
// made.
func kept(rec *held.Record) {
	own := policy.Own(policy.ReasonDeviceUnavailable)
	d := &rec.Decision
	d.ID += ":kept"
	d.Verdict, d.Reason, d.Rule, d.Text, d.Remedy, d.IPP = string(policy.Keep), own.Reason, "", own.Text, own.Remedy, own.IPP
}

// conclude stores the record of an intent that has come to its end. Whoever
// took the intent over in the meantime may have stored the same end before.
func (w *Worker) conclude(ctx context.Context, rec *held.Record, rev uint64) error {
	_, ok, err := w.Jobs.Put(ctx, rec, rev)
	if err != nil || ok {
		return err
	}
	now, rev, err := w.Jobs.Get(ctx, rec.Key())
	if err != nil || rev == 0 || now.State != rec.State {
		return errors.Join(errBusy, err)
	}
	return nil
}

// ending is how an effect ended.
type ending struct {
	held.Answer
	// sure is true when a redirect was surely not made. Else it was not seen to be
	// made: what it costs stays reserved until the sweep has looked once more.
	sure bool
	// late is true when a job that was to be aborted was found redirected by a try
	// that had been taken for not made.
	late bool
}

// note is what the record's trail says about it.
func (e *ending) note() string {
	switch {
	case e.Outcome == held.Held:
		return "not made"
	case e.Presumed:
		return e.Operation + ", graph does not know the job any more"
	case e.ReadBack:
		return e.Operation + ", read back"
	}
	return e.Operation
}

// effect calls Graph for the effect of an intent and says how it ended.
// Nothing is called for twice without a look at the job between. Once a call may
// have been made, by this process or one before, no refusal of a later one proves
// that it was not: Graph refuses just because it was.
func (w *Worker) effect(ctx context.Context, rec *held.Record, a act) (ending, error) {
	op := operation(rec.State)
	called := a.look
	var last error
	for range maxCalls {
		if a.look {
			seen, err := w.readBack(ctx, rec, called)
			if errors.Is(err, errUnclear) {
				seen, err = w.readBack(ctx, rec, called)
			}
			if err != nil {
				return ending{}, err
			}
			a.settings = seen.settings
			w.Metrics.readBacks.WithLabelValues(foundLabel(seen.outcome)).Inc()
			sure := refused(last) && !called
			if seen.outcome == "" && rec.State == held.Releasing && (sure || w.since(rec.Release.At) > releaseWithin) {
				seen.outcome = held.Held
			}
			if seen.outcome != "" {
				ans := held.Answer{Operation: op, Outcome: seen.outcome, ReadBack: true, Presumed: seen.presumed, At: time.Now()}
				return ending{Answer: ans, sure: sure, late: seen.late}, nil
			}
			if refused(last) && rec.State == held.Releasing {
				break // Graph tells two things: a later look sees what is true
			}
		}
		if err := w.reserve(ctx, rec, false); err != nil {
			var ex *quota.Exhausted
			if !errors.As(err, &ex) || rec.State != held.Releasing {
				return ending{}, err
			}
			w.denied(rec, ex, policy.Keep)
			rec.Charge = rec.Charge.Before
			return ending{Answer: held.Answer{Operation: op, Outcome: held.Held, At: time.Now()}}, nil
		}
		if a.paid != nil {
			a.paid()
		}
		last = w.call(ctx, rec, a.settings)
		if last == nil {
			return ending{Answer: held.Answer{Operation: op, Outcome: rec.State.Outcome(), At: time.Now()}}, nil
		}
		var ge *graph.Error
		if !errors.As(last, &ge) || (ge.Unavailable() && !ge.Ambiguous()) || ctx.Err() != nil {
			break // surely not sent, or no time left: a later delivery or sweep goes on
		}
		called = called || ge.Ambiguous()
		a.look = true
	}
	return ending{}, fmt.Errorf("%s job: %w", op, last)
}

// refused reports whether Graph read the call and said no: it has not done what
// it was asked for, and will not do it later.
func refused(err error) bool {
	var ge *graph.Error
	return errors.As(err, &ge) && !ge.Unavailable() && !ge.Ambiguous()
}

func foundLabel(outcome held.State) string {
	if outcome == "" {
		return "not-done"
	}
	return string(outcome)
}

func operation(s held.State) string {
	switch s {
	case held.Aborting:
		return "abort"
	case held.Completing:
		return "complete"
	case held.Releasing:
		return "redirect"
	}
	return string(s)
}

func (w *Worker) call(ctx context.Context, rec *held.Record, settings json.RawMessage) error {
	settings, err := overlay(settings, rec.Decision.Set)
	if err != nil {
		return err
	}
	switch rec.State {
	case held.Aborting:
		d := policy.Decision{Reason: rec.Decision.Reason, Text: rec.Decision.Text, Remedy: rec.Decision.Remedy}
		return w.Graph.AbortJob(ctx, graph.JobRef(rec.Ref), d.Sentence())
	case held.Completing:
		if settings != nil {
			if err := w.Graph.UpdateJob(ctx, graph.JobRef(rec.Ref), settings); err != nil {
				return err
			}
		}
		return w.Graph.FinishTask(ctx, rec.Definition, rec.Task, graph.TaskCompleted, "completed by pullprint")
	case held.Releasing:
		made, err := w.Graph.RedirectJob(ctx, graph.JobRef(rec.Ref), rec.Release.Printer, settings)
		rec.Release.Job = made.Job
		return err
	}
	return fmt.Errorf("no effect for state %s", rec.State)
}

// overlay lays what rules rewrote over a job's own settings, whatever else is in
// them; nil when nothing was rewritten. What Graph would not take back is left
// out: annotations, nulls, and words that it has no name for itself.
func overlay(settings json.RawMessage, set *held.Settings) (json.RawMessage, error) {
	if set == nil {
		return nil, nil
	}
	all := map[string]json.RawMessage{}
	if len(settings) > 0 {
		if err := json.Unmarshal(settings, &all); err != nil {
			return nil, errors.New("the job's configuration is not a JSON object")
		}
	}
	for key, value := range all {
		if strings.HasPrefix(key, "@") || string(value) == "null" || string(value) == `"unknownFutureValue"` {
			delete(all, key)
		}
	}
	text, err := json.Marshal(set)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	return json.Marshal(all)
}
