package connector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/connector/bus"
	"pullprint/connector/held"
	"pullprint/policy"
	"pullprint/trigger/graph"
)

// maxCalls is how often one instance calls for the same effect, with a look at
// the job between, before it leaves the intent to a later delivery or sweep.
const maxCalls = 3

// act says how an effect is come to.
type act struct {
	// heard is when the notification was stored, zero when the sweep resumes.
	heard time.Time
	// look is true when the effect may have happened already: the job is read
	// before anything is done.
	look bool
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
//     the decision. The sweep has no message behind it, so it publishes first.
//
// An error leaves the intent as it is.
func (w *Worker) carryOut(ctx context.Context, rec held.Record, rev uint64, a act) error {
	ctx, cancel := context.WithTimeout(ctx, actWithin)
	defer cancel()
	ans, err := w.effect(ctx, &rec, a.look)
	if err != nil {
		return err
	}
	rec.Decision.Answer = &ans
	note := ans.Operation
	if ans.ReadBack {
		note += ", read back"
	}
	if err := rec.Move(ans.Outcome, time.Now(), w.Instance, note); err != nil {
		return err
	}
	if ans.Outcome == held.Gone {
		err := w.conclude(ctx, &rec, rev)
		if err == nil {
			w.lost(&rec, note)
		}
		return err
	}
	var publishing errgroup.Group
	publishing.Go(func() error { return w.publish(ctx, &rec) })
	if a.heard.IsZero() {
		if err := publishing.Wait(); err != nil {
			return err
		}
	}
	err = w.conclude(ctx, &rec, rev)
	if err := errors.Join(err, publishing.Wait()); err != nil {
		return err
	}
	w.report(&rec, a.heard)
	return nil
}

// conclude stores a final record. Whoever took the intent over in the meantime
// may have stored the same end before.
func (w *Worker) conclude(ctx context.Context, rec *held.Record, rev uint64) error {
	_, ok, err := w.Jobs.Put(ctx, rec, rev)
	if err != nil || ok {
		return err
	}
	now, rev, err := w.Jobs.Get(ctx, rec.Key())
	if err != nil || rev == 0 || !now.State.Final() {
		return errors.Join(errBusy, err)
	}
	return nil
}

// effect calls Graph for the effect of an intent and says how it ended.
// Nothing is called for twice without a look at the job between.
func (w *Worker) effect(ctx context.Context, rec *held.Record, look bool) (held.Answer, error) {
	op := operation(rec.State)
	var last error
	for range maxCalls {
		if look {
			outcome, err := w.readBack(ctx, rec)
			if err != nil {
				return held.Answer{}, err
			}
			w.Metrics.readBacks.WithLabelValues(foundLabel(outcome)).Inc()
			if outcome != "" {
				return held.Answer{Operation: op, Outcome: outcome, ReadBack: true, At: time.Now()}, nil
			}
		}
		last = w.call(ctx, rec)
		if last == nil {
			return held.Answer{Operation: op, Outcome: rec.State.Outcome(), At: time.Now()}, nil
		}
		var ge *graph.Error
		if !errors.As(last, &ge) || (ge.Unavailable() && !ge.Ambiguous()) || ctx.Err() != nil {
			break // surely not sent, or no time left: a later delivery goes on
		}
		look = true
	}
	return held.Answer{}, fmt.Errorf("%s job: %w", op, last)
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

func (w *Worker) call(ctx context.Context, rec *held.Record) error {
	switch rec.State {
	case held.Aborting:
		d := policy.Decision{Reason: rec.Decision.Reason, Text: rec.Decision.Text, Remedy: rec.Decision.Remedy}
		return w.Graph.AbortJob(ctx, graph.JobRef(rec.Ref), d.Sentence())
	case held.Completing:
		return w.Graph.FinishTask(ctx, rec.Definition, rec.Task, graph.TaskCompleted, "completed by pullprint")
	}
	return fmt.Errorf("no effect for state %s", rec.State)
}

// readBack reads the job and its task and says which state they show; empty
// means that the effect has not happened and can still be called for.
func (w *Worker) readBack(ctx context.Context, rec *held.Record) (held.State, error) {
	job, err := w.Graph.Job(ctx, graph.JobRef(rec.Ref))
	if notFound(err) {
		return held.Gone, nil
	}
	if err != nil {
		return "", fmt.Errorf("read job back: %w", err)
	}
	return shown(rec, job), nil
}

// shown says which end a job has come to, seen from a record; empty when it
// has come to none and its task still waits for us.
func shown(rec *held.Record, job graph.Job) held.State {
	ours := func(end, intent held.State) held.State {
		if rec.State == intent || rec.State == end {
			return end
		}
		return held.Gone
	}
	if job.RedirectedTo != "" {
		return ours(held.Released, held.Releasing)
	}
	switch job.State {
	case graph.JobAborted:
		return ours(held.Aborted, held.Aborting)
	case graph.JobCanceled:
		return held.Gone
	case graph.JobCompleted:
		return ours(held.Completed, held.Completing)
	}
	for _, t := range job.Tasks {
		if t.ID != rec.Task {
			continue
		}
		switch t.State {
		case graph.TaskCompleted:
			return ours(held.Completed, held.Completing)
		case graph.TaskAborted:
			return ours(held.Aborted, held.Aborting)
		}
	}
	return ""
}

// resume goes on with an intent whose outcome nobody stored: this process's
// own earlier try, or that of an instance taken for dead. heard is when the
// notification behind it was stored, zero when there is none.
func (w *Worker) resume(ctx context.Context, rec held.Record, rev uint64, heard time.Time) error {
	release, ok := w.claim(rec.Key())
	if !ok {
		return errBusy
	}
	defer release()
	age := time.Since(rec.Intent.Since)
	mine := rec.Intent.By == w.Instance
	if !mine && !w.Sole && age < takeOver {
		return errBusy
	}
	if !mine || age > actWithin {
		rec.TakeOver(time.Now(), w.Instance)
		var err error
		if rev, ok, err = w.Jobs.Put(ctx, &rec, rev); err != nil {
			return err
		}
		if !ok {
			return errBusy
		}
		w.log.Info("intent taken over", zap.String("job", rec.Job), zap.String("task", rec.Task), zap.String("state", string(rec.State)), zap.Int("attempt", rec.Intent.Attempt))
	}
	return w.carryOut(ctx, rec, rev, act{heard: heard, look: true})
}

// settle goes on with the record under key, if there is one, of a job that
// Graph says is over: an intent is resumed, a held job is gone, and of a final
// one the decision is published again, as the delivery before may have died
// before it was.
func (w *Worker) settle(ctx context.Context, d bus.Delivery, key, why string) error {
	if key == "" {
		return nil
	}
	rec, rev, err := w.Jobs.Get(ctx, key)
	switch {
	case err != nil || rev == 0:
		return err
	case rec.State.Intent():
		return w.resume(ctx, rec, rev, d.Stored)
	case !rec.State.Final():
		return w.end(ctx, rec, rev, why)
	}
	return w.publish(ctx, &rec)
}

func (w *Worker) end(ctx context.Context, rec held.Record, rev uint64, why string) error {
	release, ok := w.claim(rec.Key())
	if !ok {
		return errBusy
	}
	defer release()
	if err := rec.Move(held.Gone, time.Now(), w.Instance, why); err != nil {
		return err
	}
	_, ok, err := w.Jobs.Put(ctx, &rec, rev)
	if err != nil {
		return err
	}
	if !ok {
		return errBusy
	}
	w.lost(&rec, why)
	return nil
}

func (w *Worker) lost(rec *held.Record, why string) {
	w.Metrics.gone.WithLabelValues(rec.Queue).Inc()
	w.log.Info("job gone", zap.String("job", rec.Job), zap.String("task", rec.Task), zap.String("queue", rec.Queue), zap.String("why", why))
}
