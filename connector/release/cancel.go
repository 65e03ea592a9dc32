package release

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap"

	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/policy"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
)

var (
	// ErrNoJob says that there is no record of a job.
	ErrNoJob = errors.New("no such job")
	// ErrNotHeld says that a job can't be released or canceled, because it is
	// not held or another is acting on it.
	ErrNotHeld = errors.New("the job is not held")
	// ErrCanceling says that a job will be aborted as soon as Graph answers: the intent is
	// stored. It is an ErrNotHeld.
	ErrCanceling = fmt.Errorf("%w: it will be canceled as soon as possible", ErrNotHeld)
)

// NotHeld is an ErrNotHeld that says what became of the job.
func NotHeld(rec *job.Record) error {
	what := "is " + string(rec.State)
	switch rec.State {
	case job.Released, job.Aborted, job.Completed:
		what = "was already " + string(rec.State)
	case job.Releasing:
		what = "is being released"
	case job.Aborting:
		what = "is being canceled"
	}
	return fmt.Errorf("%w: %s/%s %s.", ErrNotHeld, rec.Queue, rec.Job, what) //nolint:revive,staticcheck // a sentence for people
}

// maxNote is how long the note of an administrator may be, in characters: maxLength in the OpenAPI
// description.
const maxNote = 300

// Cancellation ends a held job that will not be printed.
type Cancellation struct {
	// Key is the record's, as in job.Record.Key.
	Key string
	// Owner, when set, is who cancels at a device: the job must be theirs. Else
	// an administrator does.
	Owner string
	// Actor is the name of the API token that asked, or the object id of the person.
	Actor string
	// Asked is what asked; when it is not given, the owner at a station, or the token of Actor.
	Asked decision.Origin
	// Erasure says that it is part of the erasure of a person's data.
	Erasure bool
	// Note is what an administrator tells the owner; may be empty.
	Note string
}

func (c Cancellation) origin() decision.Origin {
	switch {
	case c.Asked != "":
		return c.Asked
	case c.Erasure:
		return decision.AskedByErasure
	case c.Owner != "":
		return decision.AskedByStation
	}
	return decision.AskedByToken
}

func (c Cancellation) reason() string {
	if c.Owner == "" {
		return reasons.CanceledByAdmin
	}
	return reasons.CanceledByOwner
}

// withNote is the text of the reason with the note.
func (c Cancellation) withNote(text string) string {
	if c.Note == "" {
		return text
	}
	text = strings.TrimSuffix(text, ".") + ": " + c.Note
	if !strings.ContainsAny(c.Note[len(c.Note)-1:], ".!?") {
		text += "."
	}
	return text
}

// CancelForErasure aborts a held job as a part of the erasure of a person's data, which actor
// asked for. The errors are those of Cancel.
func (r *Releaser) CancelForErasure(ctx context.Context, key, actor string) error {
	_, err := r.Cancel(ctx, Cancellation{Key: key, Actor: actor, Erasure: true})
	return err
}

// Check validates a cancellation; the error is an ErrInvalid.
func (c Cancellation) Check() error {
	if utf8.RuneCountInString(c.Note) > maxNote || !utf8.ValidString(c.Note) || strings.ContainsFunc(c.Note, unicode.IsControl) {
		return fmt.Errorf("%w: a reason is one line of at most %d characters", job.ErrInvalid, maxNote)
	}
	return nil
}

// Cancel aborts a held job at Graph with a reason, once. The errors are ErrNoJob
// (also when it is somebody else's), ErrNotHeld, ErrCanceling with the record,
// ErrInvalid, and what Graph or the store failed with: then the job is held still.
func (r *Releaser) Cancel(ctx context.Context, c Cancellation) (job.Record, error) {
	if err := c.Check(); err != nil {
		return job.Record{}, err
	}
	unclaim, ok := r.effects.Claim(c.Key)
	if !ok {
		return job.Record{}, fmt.Errorf("%w: it is being released or aborted", ErrNotHeld)
	}
	defer unclaim()
	rec, rev, err := r.jobs.Get(ctx, c.Key)
	switch {
	case err != nil:
		return job.Record{}, err
	case rev == 0, c.Owner != "" && rec.Owner != graph.Canonical(c.Owner):
		return job.Record{}, ErrNoJob
	case rec.State == job.Aborting:
		return rec, ErrCanceling
	case rec.State != job.Held:
		return rec, NotHeld(&rec)
	}
	v := r.evaluator.Own(c.reason(), policy.Release, policy.Abort)
	v.Text = c.withNote(v.Text)
	d := r.effects.Decision(&rec, decision.CancelID(rec.Task, rec.OnceAt(rev)), v)
	d.Actor, d.Asked = c.Actor, c.origin()
	ctx, cancel := context.WithTimeout(ctx, OrderWithin)
	defer cancel()
	done, err := r.effects.Abort(ctx, rec, rev, d)
	if errors.Is(err, job.ErrBusy) {
		return rec, fmt.Errorf("%w: it is being released or aborted", ErrNotHeld)
	}
	if err != nil {
		if now, rev, readErr := r.jobs.Get(ctx, c.Key); readErr == nil && rev != 0 && now.State == job.Aborting {
			r.log.Warn("job not canceled yet", zap.String("job", rec.Job), zap.Error(err))
			return now, ErrCanceling
		}
	}
	return done, err
}
