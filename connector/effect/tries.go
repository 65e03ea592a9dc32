package effect

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/connector/job/readback"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// madeBy finds the try by which a job was redirected, by what Graph shows of it at its
// printer. Of several that it may be, it is the most expensive: what may have printed is charged.
// ok is false when no try that is remembered was at that printer.
func (e *Executor) madeBy(ctx context.Context, rec *job.Record) (try job.Try, ok bool, err error) {
	tries := slices.DeleteFunc(slices.Clone(rec.Tries), func(t job.Try) bool {
		return graph.Canonical(t.Printer) != graph.Canonical(rec.Release.Printer)
	})
	if len(tries) > 1 && rec.Release.Job != "" {
		if tries, err = e.fitting(ctx, rec, tries); err != nil {
			return try, false, err
		}
	}
	if len(tries) == 0 {
		return try, false, nil
	}
	slices.Reverse(tries) // of two that cost the same, the newer
	return slices.MaxFunc(tries, func(a, b job.Try) int { return cmp.Compare(costOf(&a), costOf(&b)) }), true, nil
}

func costOf(t *job.Try) quota.Amount {
	if t.Charge == nil {
		return 0
	}
	return t.Charge.Amount
}

// fitting are those of some tries that can have made the job at its printer; all of them
// when that can't be told.
func (e *Executor) fitting(ctx context.Context, rec *job.Record, tries []job.Try) ([]job.Try, error) {
	there, err := e.graph.Job(ctx, graph.Ref{Printer: rec.Release.Printer, Job: rec.Release.Job})
	if graph.IsNotFound(err) || refused(err) { // it may not be read
		return tries, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read job at its printer: %w", err)
	}
	sent, err := e.graph.Job(ctx, rec.Ref)
	if err != nil && !graph.IsNotFound(err) && !refused(err) {
		return nil, fmt.Errorf("read job: %w", err)
	}
	fit := slices.DeleteFunc(slices.Clone(tries), func(t job.Try) bool { return !fitsTry(&t, sent.Configuration, there.Configuration) })
	if len(fit) == 0 {
		return tries, nil
	}
	return fit, nil
}

// fitsTry reports whether a job at its printer can be what a try made of the job as sent.
// What Graph does not say contradicts nothing.
func fitsTry(t *job.Try, sent, there graph.Configuration) bool {
	set := decision.Settings{}
	if t.Set != nil {
		set = *t.Set
	}
	return sameNumber(set.Copies, sent.Copies, there.Copies) &&
		sameNumber(set.PagesPerSheet, sent.PagesPerSheet, there.PagesPerSheet) &&
		sameWord(set.ColorMode, sent.ColorMode, there.ColorMode) &&
		sameWord(set.DuplexMode, sent.DuplexMode, there.DuplexMode) &&
		sameWord(set.MediaSize, sent.MediaSize, there.MediaSize)
}

// sameNumber reports whether a setting at the printer can be what it was set to, else sent as.
func sameNumber(set, sent, there int) bool {
	made := cmp.Or(set, sent)
	return made == 0 || there == 0 || made == there
}

// sameWord is sameNumber for a setting that is text.
func sameWord(set, sent, there string) bool {
	made := cmp.Or(set, sent)
	return made == "" || there == "" || strings.EqualFold(made, there)
}

// correctTry makes the decision of a record that was found redirected that of the try which
// made it, if that is another than the one under way.
func (e *Executor) correctTry(ctx context.Context, rec *job.Record) error {
	if decision.IsLate(rec.Decision.ID, rec.Task) {
		return nil
	}
	try, ok, err := e.madeBy(ctx, rec)
	if err != nil || !ok || try.ID == rec.Decision.ID {
		return err
	}
	return e.decideFound(ctx, rec)
}

// LookForRedirect looks for a redirect that was taken for not made, before a held job is
// decided anew, and ends the record if there is one. While Graph may not show it yet, the
// error is job.ErrBusy.
func (e *Executor) LookForRedirect(ctx context.Context, rec job.Record, rev uint64, j graph.Job) (found bool, err error) {
	unclaim, ok := e.Claim(rec.Key())
	if !ok {
		return false, job.ErrBusy
	}
	defer unclaim()
	if readback.Outcome(&rec, j) == job.Released {
		_, err := e.FinishEnded(ctx, rec, rev, j)
		return true, err
	}
	there, err := e.atDestination(ctx, &rec)
	if err == nil && (there || e.clock.Since(rec.Release.At) < ForgottenAfter) {
		err = job.ErrBusy
	}
	return false, err
}

// ForgottenAfter is how long after a release Graph may not know a job at its printer yet: one
// of its servers may be behind the others, usually by seconds. After that, Graph has forgotten
// the job because it has ended.
const ForgottenAfter = 5 * time.Minute
