package sweep

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/effect"
	"pullprint/connector/index"
	"pullprint/connector/job"
	"pullprint/connector/job/paper"
	"pullprint/connector/printer"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// Every job that was let go on is followed until it ends at its printer. Crash safety, in the
// order of the steps:
//
//  1. what the job has reserved is settled or given back, by what Graph shows of it at its
//     printer. If the process dies before or after, the next sweep sees the same end: what is
//     settled is not settled again.
//  2. of a job that failed, a notice is stored under an id of its own. If the process dies before
//     or after, the next sweep stores it under the same id; only it does not know any more how much
//     was given back.
//  3. the end is stored with the record, by compare-and-set. If the process dies before, the next
//     sweep stores it; after that, the record is not followed any more.
//  4. it is counted, by whoever stored it.
const (
	// followFor is how long after a job was let go on its end is looked for: a printer that is off
	// over night may still print it; one that does not for a day needs somebody to look at it.
	followFor = 24 * time.Hour
	// maxFollows is how many jobs without a reservation a sweep looks at, in turn: as many as 40
	// printers may have under way at once (limitAtOnce).
	maxFollows = 2000
	// maxHops is how many redirects of a job are followed: we make one, and another app may have made another.
	maxHops = 4
)

// ending is where a job ends.
type ending struct {
	at    graph.Ref
	moved bool      // as job.Record.PrintsAt
	since time.Time // when it was let go on
}

// seen is what Graph shows of the end of a job at its printer.
type seen struct {
	state  paper.State // empty while it is under way
	detail string
	// cause is a word of Graph's for why it failed: see printer.Trouble.
	cause string
	// refunded is what was given back of what it cost; nil when nobody paid, or nobody knows.
	refunded *quota.Amount
	// early is true when Graph does not know the job, and may not know it yet.
	early bool
}

// look looks whether a job has ended at its printer.
func (s *Sweeper) look(ctx context.Context, p *atPrinters, e ending) (seen, error) {
	j, err := p.job(ctx, e.at)
	for hop := 0; err == nil && j.RedirectedTo != "" && hop < maxHops; hop++ {
		to, perr := graph.ParseJobURL(j.RedirectedTo)
		if e.moved = perr != nil; e.moved {
			break
		}
		j, err = p.job(ctx, to)
	}
	switch {
	case graph.IsNotFound(err) && s.clock.Since(e.since) < effect.ForgottenAfter:
		return seen{early: true}, nil // it is asked again
	case graph.IsNotFound(err): // Universal Print forgets jobs that have ended
		return seen{state: paper.Unknown, detail: "Universal Print does not know the job any more"}, nil
	case err != nil:
		return seen{}, fmt.Errorf("read job at its printer: %w", err)
	}
	end := seen{detail: printer.Words(slices.DeleteFunc(slices.Clone(j.Details),
		func(d string) bool { return d == "completedSuccessfully" }))}
	switch j.State {
	case graph.JobCompleted:
		end.state = paper.Printed
	case graph.JobAborted:
		end.state = paper.Failed
		end.cause, end.detail = s.trouble(ctx, j.Ref.Printer, end.detail)
	case graph.JobCanceled:
		end.state = paper.Canceled
	default: // it prints, or waits there
		return seen{detail: printer.Words([]string{string(j.State)})}, nil
	}
	if e.moved { // it may have printed
		return seen{state: paper.Unknown, detail: "Universal Print does not tell where the job went"}, nil
	}
	return end, nil
}

// follow stores the end of a job that nobody pays for, if it has one.
func (s *Sweeper) follow(ctx context.Context, p *atPrinters, f index.Followed) error {
	saw, err := s.look(ctx, p, ending{at: f.At, moved: f.Moved, since: f.Since})
	if saw.state == "" && !s.tooLong(f.Since) {
		return err
	}
	rec, rev, err := s.jobs.Get(ctx, f.Key)
	if err != nil || rev == 0 || !rec.Followed() {
		return err
	}
	return s.endOnPaper(ctx, &rec, rev, saw)
}

// tooLong reports whether a job was let go on so long ago that its end is not looked for any more.
func (s *Sweeper) tooLong(since time.Time) bool {
	return s.clock.Heard() && s.clock.Since(since) > followFor
}

// endOnPaper stores and counts what became of a job that is followed: what was seen, or that
// nobody knows when that is too long ago. Nothing is done while it is under way.
func (s *Sweeper) endOnPaper(ctx context.Context, rec *job.Record, rev uint64, saw seen) error {
	since := rec.Paper.At
	if saw.state == "" {
		if !s.tooLong(since) {
			return nil
		}
		saw.state = paper.Unknown
		saw.detail = "not ended within a day, " + cmp.Or(saw.detail, "and Graph does not answer")
	}
	if saw.state == paper.Failed {
		if err := s.tellFailed(ctx, rec, saw); err != nil {
			return err
		}
	}
	now := time.Now()
	rec.EndOnPaper(job.Paper{State: saw.state, At: now, Detail: saw.detail}, s.instance)
	_, ok, err := s.jobs.Put(ctx, rec, rev)
	if err != nil || !ok {
		return err // when another was faster, that one counts it
	}
	s.metrics.onPaper(rec, saw.cause, now)
	s.log.Info("job ended at its printer", zap.String("job", rec.Job), zap.String("task", rec.Task), zap.String("queue", rec.Queue),
		zap.String("paper", string(saw.state)), zap.String("detail", saw.detail))
	return nil
}
