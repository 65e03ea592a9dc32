package bus_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/bus/stored"
	"pullprint/connector/store"
)

// put writes to each stream and bucket by its own way.
var put = map[string]func(ctx context.Context, b *bus.Bus, id string, body []byte) error{
	"PULLPRINT_TASKS": func(ctx context.Context, b *bus.Bus, id string, body []byte) error {
		_, err := b.PublishTask(ctx, "d", id, body)
		return err
	},
	"PULLPRINT_DECISIONS": func(ctx context.Context, b *bus.Bus, id string, body []byte) error {
		return b.PublishDecision(ctx, "hold", id, body)
	},
	"PULLPRINT_LEDGER": func(ctx context.Context, b *bus.Bus, id string, body []byte) error {
		return b.PublishLedger(ctx, "a", id, body)
	},
	"PULLPRINT_AUDIT": func(ctx context.Context, b *bus.Bus, id string, body []byte) error {
		return b.PublishAudit(ctx, "a", id, body)
	},
	"PULLPRINT_DEAD": func(ctx context.Context, b *bus.Bus, id string, body []byte) error {
		return b.PublishDead(ctx, id, body)
	},
	"PULLPRINT_NOTICES": func(ctx context.Context, b *bus.Bus, id string, body []byte) error {
		return b.PublishNotice(ctx, "job.aborted", id, body)
	},
	"KV_pullprint_jobs":   putKey((*bus.Bus).Jobs),
	"KV_pullprint_badges": putKey((*bus.Bus).Badges),
	"KV_pullprint_quota":  putKey((*bus.Bus).Quota),
	"KV_pullprint_state":  putKey((*bus.Bus).State),
}

func putKey(bucket func(*bus.Bus) *stored.KV) func(ctx context.Context, b *bus.Bus, id string, body []byte) error {
	return func(ctx context.Context, b *bus.Bus, id string, body []byte) error {
		_, _, err := bucket(b).CompareAndSet(ctx, id, body, 0, 0)
		return err
	}
}

// A disk that was full for the moment of one write freezes the stream of that write
// alone: the canary names it, although every other stream and the disk are well, and
// a restart makes it whole.
func TestFrozenStreamIsNamed(t *testing.T) {
	t.Parallel()
	for stream, write := range put {
		t.Run(stream, func(t *testing.T) {
			disk := bustest.NewDisk(t, 32<<20)
			b := bustest.Open(t, bustest.Dir(filepath.Join(disk.Dir, "nats")))
			body := make([]byte, 8<<10)
			for _, write := range put {
				if err := write(t.Context(), b, "before", body); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.Canary(t.Context()); err != nil {
				t.Fatal("at the start:", err)
			}
			disk.Fill()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if err := write(ctx, b, "full", body); !errors.Is(err, store.ErrUnavailable) {
				t.Fatal("written on a full disk:", err)
			}
			if err := b.ProbeDisk(); err == nil {
				t.Error("the full disk takes writes")
			}
			disk.Free()
			select {
			case <-b.Unanswered():
			default:
				t.Error("nobody is told of a write without an answer")
			}
			err := b.Canary(t.Context())
			if !errors.Is(err, bus.ErrFrozen) {
				t.Fatalf("the stream is frozen, the canary says %v", err)
			}
			for other := range put {
				if strings.Contains(err.Error(), other) != (other == stream) {
					t.Errorf("the canary says %v", err)
				}
			}
			if err := b.ProbeDisk(); err != nil {
				t.Error(err)
			}
			began := time.Now()
			if err := write(t.Context(), b, "frozen", body); !errors.Is(err, store.ErrUnavailable) || time.Since(began) > time.Second {
				t.Errorf("a write that is sure to fail: %v after %s", err, time.Since(began))
			}
			b = bustest.Reopen(t, b)
			if err := b.Canary(t.Context()); err != nil {
				t.Error("after the restart:", err)
			}
			for name, write := range put {
				if err := write(t.Context(), b, "after", body); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}
