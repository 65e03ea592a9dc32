package connector_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/connector/arrival"
	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/store"
)

// BenchmarkReplicas is the rate from stored tasks to aborts at Graph of one replica
// and of three, on three NATS servers that keep three copies and sync every write.
// All of it shares the cores of one machine. With Graph at 40 ms, as a real one is,
// a replica waits most of the time.
func BenchmarkReplicas(b *testing.B) {
	for _, delay := range []time.Duration{0, 40 * time.Millisecond} {
		for _, n := range []int{1, 3} {
			b.Run(fmt.Sprintf("graph=%s/replicas=%d", delay, n), func(b *testing.B) {
				nats, s := bustest.StartCluster(b), newStub(b)
				s.delay = delay
				replicas := make([]*bench, n)
				for i := range replicas {
					store, err := bus.Open(b.Context(), bus.Config{URL: nats.URL(), Replicas: bustest.Nodes}, bus.Options{})
					if err != nil {
						b.Fatal(err)
					}
					b.Cleanup(func() { _ = store.Close() })
					replicas[i] = newBenchOn(b, store, s, fmt.Sprint("replica-", i))
				}
				replicas[0].store(b, b.N)
				b.ResetTimer()
				drainTogether(b, b.N, replicas)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
			})
		}
	}
}

// drainTogether has all replicas consume until n tasks are done.
func drainTogether(b *testing.B, n int, replicas []*bench) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var done atomic.Int64
	var all sync.WaitGroup
	for _, x := range replicas {
		all.Go(func() {
			_ = x.bus.Consume(ctx, arrival.Workers, func(ctx context.Context, d store.Delivery) store.Disposition {
				disp := x.Arrivals.Handle(ctx, d)
				if disp != store.Done() {
					return disp // the cluster was slow: it comes again
				}
				if done.Add(1) == int64(n) {
					cancel()
				}
				return disp
			})
		})
	}
	all.Wait()
	if got := done.Load(); got < int64(n) {
		b.Errorf("%d tasks of %d", got, n)
	}
}
