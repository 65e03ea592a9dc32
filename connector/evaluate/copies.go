package evaluate

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/cache"
	"pullprint/connector/printer"
	"pullprint/policy"
)

// defaultsTTL is how long it is cached how many copies a printer makes and whether it prints on both
// sides: administrators rarely change either.
const defaultsTTL = 15 * time.Minute

// defaultsWithin is how long a printer is waited for, and maxPrinters for how many
// printers it is kept.
const (
	defaultsWithin = 8 * time.Second
	maxPrinters    = 10_000
)

// defaults are what a printer makes of a job.
type defaults struct {
	copies   int // of one that does not say
	oneSided bool
}

// printerDefaults caches the defaults of printers.
type printerDefaults struct {
	graph  Graph
	flight cache.Flight[defaults]
	known  *cache.TTL[defaults] // by printer id
}

func newPrinterDefaults(g Graph) *printerDefaults {
	return &printerDefaults{graph: g, known: cache.NewTTL[defaults](defaultsTTL, maxPrinters)}
}

// of is what a printer makes of a job. When Graph does not answer, it is what Graph said before.
func (d *printerDefaults) of(ctx context.Context, id string) (defaults, error) {
	old, fresh := d.known.Get(id)
	if fresh {
		return old, nil
	}
	now, _, err := d.flight.Do(ctx, id, defaultsWithin, func(ctx context.Context) (defaults, error) {
		a, err := d.graph.Attributes(ctx, id)
		if err != nil {
			return defaults{}, fmt.Errorf("read the defaults of a printer: %w", err)
		}
		now := defaults{max(a.Defaults.Copies, 1), printer.OneSided(a.Capabilities)}
		d.known.Put(id, now)
		return now, nil
	})
	if err != nil && old.copies > 0 {
		return old, nil
	}
	return now, err
}

// readSides finds out whether a job for both sides that prints where it was sent prints on one side
// only. When that is not known, it prints as it says. Where a held job prints is known at its release.
func (e *Evaluator) readSides(ctx context.Context, needs policy.Needs, eval *Evaluation) {
	if !needs.Pages || !eval.Job.Duplex || eval.Point != policy.Arrival || eval.Queue.Mode != printer.ModeDirect {
		return
	}
	of, err := e.defaults.of(ctx, eval.job.Ref.Printer)
	if err != nil {
		e.log.Warn("sides of a printer not read", zap.String("job", eval.job.Ref.Job),
			zap.String("printer", eval.job.Ref.Printer), zap.Error(err))
	}
	eval.Job.OneSided = of.oneSided
}

// ReadCopies finds out how many copies a job has that does not say: as many as the printer
// makes, and if that of the queue and the one it goes to differ, the more. If that is not
// known, neither is how many pages it prints.
func (e *Evaluator) ReadCopies(ctx context.Context, needs policy.Needs, eval *Evaluation) {
	if !eval.Unsaid {
		return
	}
	for _, id := range eval.Printers {
		of, err := e.defaults.of(ctx, id)
		if err != nil {
			e.log.Warn("default copies of a printer not read", zap.String("job", eval.job.Ref.Job),
				zap.String("printer", id), zap.Error(err))
			if needs.Pages {
				eval.Missing = append(eval.Missing, policy.Document)
			}
			return
		}
		eval.Job.Copies = max(eval.Job.Copies, of.copies)
	}
}
