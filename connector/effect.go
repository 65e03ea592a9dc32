package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/connector/bus"
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
	rec.Decision.Answer = &ans
	note := ans.Operation
	switch {
	case ans.Outcome == held.Held:
		note = "not made"
		if rec.Decision.Verdict == string(policy.Redirect) {
			kept(&rec)
		}
	case ans.ReadBack:
		note += ", read back"
	}
	if err := rec.Move(ans.Outcome, time.Now(), w.Instance, note); err != nil {
		return rec, err
	}
	if ans.Outcome == held.Gone {
		err := w.conclude(ctx, &rec, rev)
		if err == nil {
			w.void(ctx, &rec)
			w.lost(&rec, note)
		}
		return rec, err
	}
	var publishing errgroup.Group
	publishing.Go(func() error { return w.publish(ctx, &rec) })
	if !a.again {
		if err := publishing.Wait(); err != nil {
			return rec, err
		}
	}
	err = w.conclude(ctx, &rec, rev)
	if err := errors.Join(err, publishing.Wait()); err != nil {
		return rec, err
	}
	if ans.Outcome == held.Aborted || (ans.Outcome == held.Held && rec.Charge != nil && !rec.Charge.AtArrival) {
		w.void(ctx, &rec)
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

// effect calls Graph for the effect of an intent and says how it ended.
// Nothing is called for twice without a look at the job between.
func (w *Worker) effect(ctx context.Context, rec *held.Record, a act) (held.Answer, error) {
	op := operation(rec.State)
	var last error
	for range maxCalls {
		if a.look {
			outcome, settings, err := w.readBack(ctx, rec)
			if errors.Is(err, errUnclear) {
				outcome, settings, err = w.readBack(ctx, rec)
			}
			if err != nil {
				return held.Answer{}, err
			}
			a.settings = settings
			w.Metrics.readBacks.WithLabelValues(foundLabel(outcome)).Inc()
			if outcome == "" && rec.State == held.Releasing && (refused(last) || time.Since(rec.Release.At) > releaseWithin) {
				outcome = held.Held
			}
			if outcome != "" {
				return held.Answer{Operation: op, Outcome: outcome, ReadBack: true, At: time.Now()}, nil
			}
		}
		if err := w.reserve(ctx, rec); err != nil {
			var ex *quota.Exhausted
			if !errors.As(err, &ex) || rec.State != held.Releasing {
				return held.Answer{}, err
			}
			w.denied(rec, ex, policy.Keep)
			rec.Charge = nil
			return held.Answer{Operation: op, Outcome: held.Held, At: time.Now()}, nil
		}
		if a.paid != nil {
			a.paid()
		}
		last = w.call(ctx, rec, a.settings)
		if last == nil {
			return held.Answer{Operation: op, Outcome: rec.State.Outcome(), At: time.Now()}, nil
		}
		var ge *graph.Error
		if !errors.As(last, &ge) || (ge.Unavailable() && !ge.Ambiguous()) || ctx.Err() != nil {
			break // surely not sent, or no time left: a later delivery or sweep goes on
		}
		a.look = true
	}
	return held.Answer{}, fmt.Errorf("%s job: %w", op, last)
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

// errUnclear says that what Graph tells of a job does not show whether an effect
// has happened.
var errUnclear = errors.New("graph does not say clearly what became of the job")

// unclearFor is how long after the decision an unclear answer is waited out.
// After that the effect is called for again: Graph's own fence lets it happen
// once.
const unclearFor = 10 * time.Minute

// readBack reads the job and its task and says which state they show; empty
// means that the effect has not happened and can still be called for. A word
// that this program doesn't know is no proof of that.
func (w *Worker) readBack(ctx context.Context, rec *held.Record) (held.State, json.RawMessage, error) {
	job, err := w.Graph.Job(ctx, graph.JobRef(rec.Ref))
	if notFound(err) {
		return held.Gone, nil, nil
	}
	if err != nil {
		return "", nil, fmt.Errorf("read job back: %w", err)
	}
	if state := shown(rec, job); state != "" {
		return state, nil, nil
	}
	if !taskWaits(job.Tasks, rec.Task) {
		task, err := w.Graph.Task(ctx, rec.Definition, rec.Task)
		if err != nil && !notFound(err) {
			return "", nil, fmt.Errorf("read task back: %w", err)
		}
		job.Tasks = []graph.Task{task}
		if state := shown(rec, job); state != "" {
			return state, nil, nil
		}
	}
	if (!taskWaits(job.Tasks, rec.Task) || !jobWaits(job.State)) && time.Since(rec.Decision.At) < unclearFor {
		return "", nil, errUnclear
	}
	return "", job.Settings, nil
}

// taskWaits reports whether a task is surely not finished.
func taskWaits(tasks []graph.Task, id string) bool {
	for _, t := range tasks {
		if t.ID == id {
			return t.State == graph.TaskProcessing || t.State == graph.TaskPending
		}
	}
	return false
}

// jobWaits reports whether a job has surely not ended.
func jobWaits(s graph.JobState) bool {
	return s == graph.JobPaused || s == graph.JobPending || s == graph.JobProcessing || s == graph.JobStopped
}

// shown says which end a job has come to, seen from a record; empty when it
// has come to none and its task still waits for us. Where a redirected job went
// is noted in the record. Only the app of the task's trigger can finish a task
// or redirect, so a finished task of a job that was being released was
// redirected.
func shown(rec *held.Record, job graph.Job) held.State {
	ours := func(end, intent held.State) held.State {
		if rec.State == intent || rec.State == end {
			return end
		}
		if rec.State == held.Releasing && end == held.Completed {
			return held.Released
		}
		return held.Gone
	}
	if job.RedirectedTo != "" {
		if to, err := graph.ParseJobURL(job.RedirectedTo); err == nil && rec.Release != nil {
			rec.Release.Printer, rec.Release.Job = to.Printer, to.Job
		}
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
	_, err := w.carryOut(ctx, rec, rev, act{heard: heard, again: !heard.IsZero(), look: true})
	return err
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
	_, err := w.gone(ctx, rec, rev, why)
	return err
}

// gone ends the record of a job that ended without us. Its caller has claimed it.
func (w *Worker) gone(ctx context.Context, rec held.Record, rev uint64, why string) (held.Record, error) {
	before := rec
	if err := rec.Move(held.Gone, time.Now(), w.Instance, why); err != nil {
		return before, err
	}
	_, ok, err := w.Jobs.Put(ctx, &rec, rev)
	if err != nil {
		return before, err
	}
	if !ok {
		return before, errBusy
	}
	w.Metrics.moved(before.State, &rec)
	w.void(ctx, &rec)
	w.lost(&rec, why)
	return rec, nil
}

// over ends the record of a held job that Graph says is over. Its caller has
// claimed it. A job that was redirected after all, when its redirect was taken
// for not made, is released: the record says so in the same steps.
func (w *Worker) over(ctx context.Context, rec held.Record, rev uint64, job graph.Job) (held.Record, error) {
	if job.RedirectedTo == "" || rec.Release == nil {
		return w.gone(ctx, rec, rev, "graph says the job is over")
	}
	own := policy.Decision{Point: policy.Release, Verdict: policy.Redirect, PolicyHash: w.Policy().Hash()}
	rec.Decision = w.decisionOn(&rec, "release:late", own)
	rec.Decision.Device = rec.Release.Device
	rev, err := w.intend(ctx, &rec, rev, held.Releasing, "found redirected")
	if err != nil {
		return rec, err
	}
	return w.carryOut(ctx, rec, rev, act{look: true})
}

func (w *Worker) lost(rec *held.Record, why string) {
	w.Metrics.gone.WithLabelValues(rec.Queue).Inc()
	w.log.Info("job gone", zap.String("job", rec.Job), zap.String("task", rec.Task), zap.String("queue", rec.Queue), zap.String("why", why))
}
