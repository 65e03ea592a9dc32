package index

import (
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/trigger/graph"
)

func gather(t *testing.T, reg *prometheus.Registry, name string) map[string]float64 {
	t.Helper()
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			label := ""
			if len(m.GetLabel()) > 0 {
				label = m.GetLabel()[0].GetValue()
			}
			if f.GetName() == name {
				out[label] = m.GetGauge().GetValue()
			}
		}
	}
	return out
}

// How long jobs have been waiting is told of every queue, and of none at zero.
func TestWaiting(t *testing.T) {
	reg := prometheus.NewRegistry()
	x := New(nil, []printer.Queue{{Name: "Follow-Me"}, {Name: "Poster"}}, reg, zap.NewNop())
	now := time.Now()
	for i, e := range []Entry{
		{Queue: "Follow-Me", State: job.Held, Seen: now.Add(-30 * time.Minute), HoldUntil: now.Add(30 * time.Minute)},
		{Queue: "Follow-Me", State: job.Held, Seen: now.Add(-3 * time.Hour), HoldUntil: now.Add(3 * time.Hour)},
		{Queue: "Follow-Me", State: job.Released, Seen: now.Add(-9 * time.Hour)},
		{Queue: "Poster", State: job.Completing, Seen: now.Add(-time.Hour), Since: now.Add(-10 * time.Minute)},
		{Queue: "Poster", State: job.Aborting, Seen: now.Add(-time.Hour), Since: now.Add(-time.Minute)},
	} {
		e.Ref = graph.Ref{Printer: "p", Job: strconv.Itoa(i)}
		x.set(e.Ref, &e, Followed{}, failed{})
	}
	near := func(name, label string, want float64) {
		t.Helper()
		if got, ok := gather(t, reg, name)[label]; !ok || got < want || got > want+5 {
			t.Errorf("%s{%s} = %v (%v), want %v", name, label, got, ok, want)
		}
	}
	for _, name := range []string{"pullprint_held_jobs", "pullprint_held_expiring_jobs", "pullprint_intents"} {
		if got := gather(t, reg, name); len(got) > 0 {
			t.Errorf("%s tells %v of a part of the jobs", name, got)
		}
	}
	close(x.ready)
	near("pullprint_held_jobs", "Follow-Me", 2)
	near("pullprint_held_jobs", "Poster", 0)
	near("pullprint_held_oldest_age_seconds", "Follow-Me", 3*3600)
	near("pullprint_held_oldest_age_seconds", "Poster", 0)
	near("pullprint_held_expiring_jobs", "Follow-Me", 1)
	near("pullprint_held_expiring_jobs", "Poster", 0)
	near("pullprint_intents_oldest_age_seconds", "", 600)
	near("pullprint_intents", "completing", 1)
	near("pullprint_intents", "aborting", 1)
	near("pullprint_intents", "releasing", 0)
}

func BenchmarkWaiting(b *testing.B) {
	reg := prometheus.NewRegistry()
	x := New(nil, []printer.Queue{{Name: "Follow-Me"}}, reg, zap.NewNop())
	close(x.ready)
	now := time.Now()
	for i := range 100_000 {
		ref := graph.Ref{Printer: "p", Job: strconv.Itoa(i)}
		x.set(ref, &Entry{Ref: ref, Queue: "Follow-Me", State: job.Held, Seen: now, HoldUntil: now.Add(time.Hour)}, Followed{}, failed{})
	}
	for b.Loop() {
		ch := make(chan prometheus.Metric, 16)
		indexCollector{x, []printer.Queue{{Name: "Follow-Me"}}}.Collect(ch)
	}
}
