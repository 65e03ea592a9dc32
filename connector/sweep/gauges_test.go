package sweep

import (
	"context"
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"pullprint/connector/printer"
	"pullprint/trigger"
)

// A replica that sweeps no more tells nothing of what only the sweep knows.
func TestGaugesOfFormerSweeper(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := New(Options{
		Queues: []printer.Queue{{Name: "Follow-Me"}}, Verifier: trigger.NewVerifier(trigger.VerifierOptions{}),
		Registerer: reg, Logger: zap.NewNop(),
	})
	m := s.metrics
	m.reserved.Set(3)
	m.oldest.Set(3)
	m.headroom.WithLabelValues("Follow-Me").Set(0.1)
	m.drift.WithLabelValues("Follow-Me").Set(1)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(over); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for name, got := range map[string]float64{
		"reserved": testutil.ToFloat64(m.reserved), "oldest": testutil.ToFloat64(m.oldest),
		"headroom": 1 - testutil.ToFloat64(m.headroom.WithLabelValues("Follow-Me")),
		"drift":    testutil.ToFloat64(m.drift.WithLabelValues("Follow-Me")),
	} {
		if got != 0 {
			t.Errorf("%s is %v off", name, got)
		}
	}
}
