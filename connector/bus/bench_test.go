package bus_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
)

// writers runs op from n goroutines until b.N calls are done. Each call is
// durable (fsync) before op returns.
func writers(b *testing.B, n int, op func(writer, i int) error) {
	b.Helper()
	b.ReportAllocs()
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for g := range n {
		wg.Go(func() {
			for {
				i := int(next.Add(1))
				if i > b.N {
					return
				}
				if err := op(g, i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
}

var writerCounts = []int{1, 16, 64, 256}

// BenchmarkPublishTask compares the bus with its floor: the same message by
// the plain client, one sync to disk each.
func BenchmarkPublishTask(b *testing.B) {
	body := make([]byte, 700)
	for _, n := range writerCounts {
		b.Run(fmt.Sprintf("floor/%d", n), func(b *testing.B) {
			js := bustest.Open(b).JetStream()
			run := strconv.FormatInt(time.Now().UnixNano(), 36)
			writers(b, n, func(_, i int) error {
				msg := &nats.Msg{Subject: "pullprint.tasks.d", Data: body, Header: nats.Header{}}
				msg.Header.Set(jetstream.MsgIDHeader, run+strconv.Itoa(i))
				_, err := js.PublishMsg(context.Background(), msg)
				return err
			})
		})
		b.Run(fmt.Sprintf("bus/%d", n), func(b *testing.B) {
			bb := bustest.Open(b)
			run := strconv.FormatInt(time.Now().UnixNano(), 36)
			writers(b, n, func(_, i int) error {
				_, err := bb.PublishTask(context.Background(), "d", run+strconv.Itoa(i), body)
				return err
			})
		})
	}
}

// BenchmarkCompareAndSet moves many keys, each writer its own.
func BenchmarkCompareAndSet(b *testing.B) {
	body := make([]byte, 500)
	for _, n := range writerCounts {
		b.Run(fmt.Sprintf("floor/%d", n), func(b *testing.B) {
			js := bustest.Open(b).JetStream()
			revisions := make([]uint64, n)
			writers(b, n, func(w, _ int) error {
				ack, err := js.Publish(context.Background(), fmt.Sprint("$KV.pullprint_jobs.k", w), body,
					jetstream.WithExpectLastSequencePerSubject(revisions[w]))
				if err == nil {
					revisions[w] = ack.Sequence
				}
				return err
			})
		})
		b.Run(fmt.Sprintf("bus/%d", n), func(b *testing.B) {
			kv := bustest.Open(b).Jobs()
			revisions := make([]uint64, n)
			writers(b, n, func(w, _ int) error {
				revision, ok, err := kv.CompareAndSet(context.Background(), fmt.Sprint("k", w), body, revisions[w], 0)
				if err == nil && !ok {
					err = fmt.Errorf("conflict on a key of our own")
				}
				revisions[w] = revision
				return err
			})
		})
	}
}

// fill stores n keys owner.printer.job, ten of them of each owner.
func fill(b *testing.B, n int) *bus.Bus {
	b.Helper()
	bb := bustest.Open(b)
	body := make([]byte, 500)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			for {
				i := int(next.Add(1))
				if i > n {
					return
				}
				if _, ok, err := bb.Jobs().CompareAndSet(context.Background(), fmt.Sprintf("o%d.p.j%d", i%(n/10), i),
					body, 0, 0); err != nil || !ok {
					b.Error(ok, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return bb
}

// many is how many records a large installation has. With -short, where a benchmark only
// has to run, it is a tenth of them: to store them takes longer than what is measured.
func many() int {
	if testing.Short() {
		return 10_000
	}
	return 100_000
}

// BenchmarkEach reads one owner's ten jobs out of many.
func BenchmarkEach(b *testing.B) {
	for _, n := range []int{1000, many()} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			kv := fill(b, n).Jobs()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				found := 0
				err := kv.Each(context.Background(), fmt.Sprintf("o%d.>", i%(n/10)),
					func(string, []byte, uint64) error { found++; return nil })
				if err != nil || found != 10 {
					b.Fatal(found, err)
				}
			}
		})
	}
}

// BenchmarkWatchCatchUp reads 100,000 keys once, as a start does, beside the
// client's own watcher; and opens the store.
func BenchmarkWatchCatchUp(b *testing.B) {
	n := many()
	bb := fill(b, n)
	b.Run("floor", func(b *testing.B) {
		kv, err := bb.JetStream().KeyValue(context.Background(), "pullprint_jobs")
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			w, err := kv.WatchAll(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			found := 0
			for e := range w.Updates() {
				if e == nil {
					break
				}
				found++
			}
			_ = w.Stop()
			if found != n {
				b.Fatal(found)
			}
		}
	})
	b.Run("bus", func(b *testing.B) {
		for b.Loop() {
			ctx, stop := context.WithCancel(context.Background())
			found := 0
			_ = bb.Jobs().Watch(ctx, ">", func(string, []byte, uint64) { found++ }, stop)
			if found != n {
				b.Fatal(found)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			bb = bustest.Reopen(b, bb)
		}
	})
	runtime.KeepAlive(bb)
}
