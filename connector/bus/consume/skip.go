package consume

import (
	"context"
	"fmt"
	"time"

	"pullprint/connector/bus/fault"
	"pullprint/connector/bus/link"
	"pullprint/connector/bus/schema"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

const (
	// skipWithin bounds one search for tasks that the server has skipped.
	skipWithin = 5 * time.Second
	// maxSkipped is how many of one gap are looked at: as many as a block of the server's
	// files has that are 4 kB long.
	maxSkipped = 2048
)

// gap is a range of sequences that were not delivered.
type gap struct{ first, last uint64 }

// follow takes note of a task that was delivered for the first time. The embedded server
// delivers in order and to us alone, and leaves out what it can't read without a word.
func (c *consumption) follow(meta *jetstream.MsgMetadata) {
	if !c.link.Local || meta.NumDelivered != 1 {
		return
	}
	if at := meta.Sequence.Stream; at > c.last+1 {
		c.gaps = append(c.gaps, gap{c.last + 1, at - 1})
	}
	c.last = meta.Sequence.Stream
}

// tellSkipped names the tasks that are damaged among those that were not delivered. The
// others have expired, were lost on their way and come again, or are known to be gone.
func (c *consumption) tellSkipped(ctx context.Context) {
	gaps := c.gaps
	c.gaps = nil
	if len(gaps) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, skipWithin)
	defer cancel()
	s, err := c.link.JS.Stream(ctx, schema.Tasks)
	if err != nil {
		return // what can't be asked now is not worth a second message
	}
	oldest := s.CachedInfo().State.FirstSeq
	for _, g := range gaps {
		first := max(g.first, oldest)
		n := 0
		for at := first; at <= min(g.last, first+maxSkipped); at++ {
			if ok, err := c.readable(ctx, at); err == nil && !ok {
				n++
			}
		}
		if n > 0 {
			c.log.Error("damaged tasks in the store are skipped",
				zap.String("stream", schema.Tasks), zap.Int("tasks", n), zap.Uint64("first", first), zap.Uint64("last", g.last),
				zap.String("remedy", "look at the disk; the sweep finds the jobs of these tasks"))
		}
	}
}

// readable reports whether the server can read a task.
func (t *Tasks) readable(ctx context.Context, sequence uint64) (bool, error) {
	err := t.link.Ask(ctx, "$JS.API.STREAM.MSG.GET."+schema.Tasks, map[string]uint64{"seq": sequence}, nil)
	if link.Code(err) != 0 {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read task %d: %w", sequence, fault.Unavailable(err))
	}
	return true, nil
}
