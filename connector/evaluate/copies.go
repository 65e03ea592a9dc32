package evaluate

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/cache"
	"pullprint/policy"
)

// copiesTTL is how long a printer's default number of copies is cached: administrators rarely
// change it.
const copiesTTL = 15 * time.Minute

// copiesWithin is how long a printer's default is waited for, and maxPrinters for how many
// printers it is kept.
const (
	copiesWithin = 8 * time.Second
	maxPrinters  = 10_000
)

// defaultCopies caches the default number of copies of printers.
type defaultCopies struct {
	graph  Graph
	flight cache.Flight[int]
	known  *cache.TTL[int] // by printer id
}

func newDefaultCopies(g Graph) *defaultCopies {
	return &defaultCopies{graph: g, known: cache.NewTTL[int](copiesTTL, maxPrinters)}
}

// of is how many copies a printer makes of a job that does not say. When Graph does not
// answer, it is what Graph said before.
func (d *defaultCopies) of(ctx context.Context, printer string) (int, error) {
	old, fresh := d.known.Get(printer)
	if fresh {
		return old, nil
	}
	n, _, err := d.flight.Do(ctx, printer, copiesWithin, func(ctx context.Context) (int, error) {
		a, err := d.graph.Attributes(ctx, printer)
		if err != nil {
			return 0, fmt.Errorf("read how many copies a printer makes: %w", err)
		}
		n := max(a.Defaults.Copies, 1)
		d.known.Put(printer, n)
		return n, nil
	})
	if err != nil && old > 0 {
		return old, nil
	}
	return n, err
}

// ReadCopies finds out how many copies a job has that does not say: as many as the printer
// makes, and if that of the queue and the one it goes to differ, the more. If that is not
// known, neither is how many pages it prints.
func (e *Evaluator) ReadCopies(ctx context.Context, needs policy.Needs, eval *Evaluation) {
	if !eval.Unsaid {
		return
	}
	for _, printer := range eval.Printers {
		n, err := e.copies.of(ctx, printer)
		if err != nil {
			e.log.Warn("default copies of a printer not read", zap.String("job", eval.job.Ref.Job),
				zap.String("printer", printer), zap.Error(err))
			if needs.Pages {
				eval.Missing = append(eval.Missing, policy.Document)
			}
			return
		}
		eval.Job.Copies = max(eval.Job.Copies, n)
	}
}
