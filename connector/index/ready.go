package index

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrReading says that the records that were stored before the start are still being read.
var ErrReading = errors.New("job records are being read")

const (
	// waitLimit is how long Wait waits: as long as an order at a device may take
	// (release.OrderWithin), after which people do not stand there any more.
	waitLimit = 20 * time.Second
	// readLimit is how long the reading after a start may take. 100,000 records take below 3 s on
	// two cores that do other work, 300,000 below 10 s.
	readLimit = time.Minute
)

// Ready is closed when every record that was stored before Run is known.
func (x *Index) Ready() <-chan struct{} { return x.ready }

func (x *Index) isReady() bool {
	select {
	case <-x.ready:
		return true
	default:
		return false
	}
}

// Wait waits until every record that was stored before Run is known, for waitLimit at most. Then,
// and when the records can't be read, it is an ErrReading: what the index knows is only a part.
func (x *Index) Wait(ctx context.Context) error {
	if x.isReady() {
		return nil
	}
	if err := x.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrReading, err)
	}
	late := time.NewTimer(waitLimit)
	defer late.Stop()
	select {
	case <-x.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-x.ended: // so that no request keeps the process from ending
	case <-late.C:
	}
	return ErrReading
}

// Err says why the job records can't all be read, or that they are being read for too long; nil
// while they can, and during the reading after a start.
func (x *Index) Err() error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.damage == nil && !x.isReady() && !x.began.IsZero() && time.Since(x.began) > readLimit {
		return fmt.Errorf("%w for more than %v", ErrReading, readLimit)
	}
	return x.damage
}

func (x *Index) damaged(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.damage = err
}
