package sweep

import (
	"context"
	"strings"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/job"
	"pullprint/connector/notice"
	"pullprint/connector/printer"
	"pullprint/trigger/graph"
)

// troubleWithin bounds the reading of a printer whose job failed: what it says is of use, and not
// needed.
const troubleWithin = 10 * time.Second

// trouble is why a job failed at a printer, as a cause and in words. The details of a job say
// hardly more than that it failed, so the printer is asked what is wrong with it
// (https://learn.microsoft.com/graph/api/resources/printjobstatus). It may have been put right
// since: then nobody knows.
func (s *Sweeper) trouble(ctx context.Context, id, detail string) (cause, words string) {
	ctx, cancel := context.WithTimeout(ctx, troubleWithin)
	defer cancel()
	p, err := s.graph.Printer(ctx, id)
	if err != nil {
		s.log.Debug("printer of a failed job not read", zap.String("printer", id), zap.Error(err))
	}
	cause, words = printer.Trouble(p)
	switch {
	case words == "":
		words = detail
	case detail != "":
		words = detail + ", " + words
	}
	return cause, words
}

// tellFailed stores a notice to the owner of a job that failed at its printer. Stored twice under its
// id it is one.
func (s *Sweeper) tellFailed(ctx context.Context, rec *job.Record, saw seen) error {
	if _, person := graph.CanonicalGUID(rec.Owner); !person {
		return nil
	}
	own, _ := notice.WordsOf(notice.Failed)
	text := own.Text
	if saw.detail != "" {
		text = strings.TrimSuffix(text, ".") + ": " + saw.detail + "."
	}
	return notice.Write(ctx, s.notices, &notice.Notice{
		ID: notice.ID(rec.Decision.ID, notice.Failed), Kind: notice.Failed, At: time.Now(), Ref: rec.Ref, Queue: s.queues.NameOf(rec),
		Owner: rec.Owner, Created: rec.Created, Device: rec.PrintedBy(), Refunded: saw.refunded,
		Text: text, Remedy: own.Remedy,
	})
}
