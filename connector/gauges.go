package connector

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pullprint/connector/held"
)

// expiresSoon is what counts as a hold that ends soon.
const expiresSoon = time.Hour

var (
	intentsDesc = prometheus.NewDesc("pullprint_intents",
		"Jobs whose effect in Graph was begun and has no outcome yet, by state.", []string{"state"}, nil)
	intentAgeDesc = prometheus.NewDesc("pullprint_intents_oldest_age_seconds",
		"How long ago the oldest effect without an outcome was begun; 0 without one.", nil, nil)
	heldAgeDesc = prometheus.NewDesc("pullprint_held_oldest_age_seconds",
		"How long the job that was held first of those held now has been held; 0 without one.", []string{"queue"}, nil)
	expiringDesc = prometheus.NewDesc("pullprint_held_expiring_jobs",
		"Held jobs that will be aborted within an hour unless they are released.", []string{"queue"}, nil)
)

// waiting tells at each scrape how long jobs have been waiting. It reads the Index,
// which mirrors what all replicas share, so all of them tell the same.
type waiting struct {
	x      *Index
	queues []Queue
}

// watch tells of x, too, from now on.
func (m *Metrics) watch(x *Index) {
	if m.reg != nil {
		m.reg.MustRegister(waiting{x, m.queues})
	}
}

func (w waiting) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{intentsDesc, intentAgeDesc, heldAgeDesc, expiringDesc} {
		ch <- d
	}
}

func (w waiting) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	intents := map[held.State]int{held.Releasing: 0, held.Aborting: 0, held.Completing: 0}
	ages, expiring := map[string]time.Duration{}, map[string]int{}
	for _, q := range w.queues {
		ages[q.Name], expiring[q.Name] = 0, 0
	}
	var oldest time.Duration
	w.x.each(func(_ place, in *indexed) {
		switch state := held.State(in.state.Value()); {
		case state.Intent():
			intents[state]++
			oldest = max(oldest, now.Sub(in.since.time()))
		case state == held.Held:
			queue := in.queue.Value()
			ages[queue] = max(ages[queue], now.Sub(in.seen.time()))
			if in.holdUntil != 0 && in.holdUntil.time().Sub(now) < expiresSoon {
				expiring[queue]++
			}
		}
	})
	for state, n := range intents {
		gauge(intentsDesc, float64(n), string(state))
	}
	gauge(intentAgeDesc, oldest.Seconds())
	for queue, age := range ages {
		gauge(heldAgeDesc, age.Seconds(), queue)
		gauge(expiringDesc, float64(expiring[queue]), queue)
	}
}

// rest makes the gauges that only the sweeping replica knows say nothing: what it
// knew grows old once another sweeps.
func (m *Metrics) rest() {
	m.reserved.Set(0)
	m.oldest.Set(0)
	for _, q := range m.queues {
		m.headroom.WithLabelValues(q.Name).Set(1)
		m.drift.WithLabelValues(q.Name).Set(0)
	}
}
