package bus_test

import (
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"pullprint/connector/bus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(patient{m}) }

// patient waits for goroutines of a test that need a little longer than goleak does.
type patient struct{ *testing.M }

func (p patient) Run() int {
	code := p.M.Run()
	for range 5 {
		if goleak.Find() == nil {
			break
		}
	}
	return code
}

// metric is the value of a counter or gauge with a label of that value, or
// without labels if label is empty.
func metric(t *testing.T, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			match := label == ""
			for _, l := range m.GetLabel() {
				match = match || l.GetValue() == label
			}
			if match {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s %s", name, label)
	return 0
}

// together runs fn n times at once and waits for all.
func together(n int, fn func(i int)) {
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			fn(i)
		})
	}
	close(begin)
	wg.Wait()
}

func withRegistry() (*prometheus.Registry, bus.Options) {
	reg := prometheus.NewRegistry()
	return reg, bus.Options{Registerer: reg}
}
