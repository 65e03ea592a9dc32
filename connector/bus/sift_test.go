package bus_test

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
)

// storedElsewhere stores a task as another process does, so that the bus doesn't know it.
func storedElsewhere(tb testing.TB, b *bus.Bus, id string) {
	tb.Helper()
	msg := &nats.Msg{Subject: "pullprint.tasks.def", Data: []byte("first"), Header: nats.Header{}}
	msg.Header.Set(jetstream.MsgIDHeader, id)
	if _, err := b.JetStream().PublishMsg(context.Background(), msg); err != nil {
		tb.Error(err)
	}
}

// Duplicates that this process doesn't know cost the writes beside them neither their
// batch nor their answer.
func TestUnknownDuplicatesInBatches(t *testing.T) {
	t.Parallel()
	for name, every := range map[string]int{"one in a hundred": 100, "one in two": 2, "all": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg, o := withRegistry()
			b := bustest.Open(t, bustest.With(o))
			const n = 1200
			known := 0
			for i := 0; i < n; i += every {
				storedElsewhere(t, b, strconv.Itoa(i))
				known++
			}
			var first, duplicates atomic.Int64
			together(n, func(i int) {
				switch dup, err := b.PublishTask(t.Context(), "def", strconv.Itoa(i), []byte("x")); {
				case err != nil || dup != (i%every == 0):
					t.Errorf("task %d: duplicate %t, %v", i, dup, err)
				case dup:
					duplicates.Add(1)
				default:
					first.Add(1)
				}
			})
			if first.Load() != int64(n-known) || duplicates.Load() != int64(known) {
				t.Errorf("%d stored and %d duplicates, want %d and %d", first.Load(), duplicates.Load(), n-known, known)
			}
			mustLag(t, b, n, 0)
			if metric(t, reg, "pullprint_bus_batches_total", "refused") == 0 {
				t.Error("no batch was refused: this test shows nothing")
			}
			s, err := b.JetStream().Stream(t.Context(), "PULLPRINT_TASKS")
			if err != nil {
				t.Fatal(err)
			}
			inBatches := 0
			for seq := uint64(known + 1); seq <= n; seq++ {
				msg, err := s.GetMsg(t.Context(), seq)
				if err != nil {
					t.Fatal(err)
				}
				if msg.Header.Get("Nats-Rollup") != "" || string(msg.Data) != "x" {
					t.Errorf("task %d is stored as %q with %v", seq, msg.Data, msg.Header)
				}
				if msg.Header.Get("Nats-Batch-Id") != "" {
					inBatches++
				}
			}
			if inBatches < (n-known)*3/4 {
				t.Errorf("%d of %d were stored in batches", inBatches, n-known)
			}
		})
	}
}

// In a bucket a write that is too late costs the others of its batch as little.
func TestConflictsInBatches(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	const n = 240
	key := func(i int) string { return fmt.Sprintf("k.%d", i) }
	for i := 0; i < n; i += 3 {
		if _, err := b.JetStream().Publish(t.Context(), "$KV.pullprint_jobs."+key(i), []byte("theirs")); err != nil {
			t.Fatal(err)
		}
	}
	together(n, func(i int) {
		if _, ok, err := b.Jobs().CompareAndSet(t.Context(), key(i), []byte("ours"), 0, 0); err != nil || ok != (i%3 != 0) {
			t.Errorf("key %d: %t %v", i, ok, err)
		}
	})
	s, err := b.JetStream().Stream(t.Context(), "KV_pullprint_jobs")
	if err != nil {
		t.Fatal(err)
	}
	inBatches := 0
	for i := range n {
		want := "ours"
		if i%3 == 0 {
			want = "theirs"
		}
		msg, err := s.GetLastMsgForSubject(t.Context(), "$KV.pullprint_jobs."+key(i))
		if err != nil || string(msg.Data) != want {
			t.Fatalf("key %d: %v, want %s", i, err, want)
		}
		if msg.Header.Get("Nats-Batch-Id") != "" {
			inBatches++
		}
	}
	if inBatches < n*2/3*3/4 {
		t.Errorf("%d of %d were stored in batches", inBatches, n*2/3)
	}
}

// BenchmarkUnknownDuplicates publishes tasks of which one in so many is stored already by
// another process; 0: none. ns/op is of a task that is new.
func BenchmarkUnknownDuplicates(b *testing.B) {
	body := make([]byte, 700)
	for _, every := range []int{0, 64, 8, 2} {
		b.Run(strconv.Itoa(every), func(b *testing.B) {
			bb := bustest.Open(b)
			run := strconv.FormatInt(time.Now().UnixNano(), 36)
			known := func(i int) bool { return every > 0 && i%every == 0 }
			total := b.N
			if every > 0 {
				total = b.N * every / (every - 1)
			}
			var next atomic.Int64
			for i := 1; i <= total; i++ {
				if known(i) {
					storedElsewhere(b, bb, run+strconv.Itoa(i))
				}
			}
			b.ResetTimer()
			together(256, func(int) {
				for i := int(next.Add(1)); i <= total; i = int(next.Add(1)) {
					if dup, err := bb.PublishTask(context.Background(), "def", run+strconv.Itoa(i), body); err != nil || dup != known(i) {
						b.Error(dup, err)
						return
					}
				}
			})
		})
	}
}
