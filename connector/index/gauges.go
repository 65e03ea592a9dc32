package index

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pullprint/connector/job"
	"pullprint/connector/printer"
)

// expiresSoon is what counts as a hold that ends soon.
const expiresSoon = time.Hour

var (
	heldDesc    = prometheus.NewDesc("pullprint_held_jobs", "Jobs held now, by queue.", []string{"queue"}, nil)
	intentsDesc = prometheus.NewDesc("pullprint_intents",
		"Jobs whose effect in Graph was begun and has no outcome yet, by state.", []string{"state"}, nil)
	intentAgeDesc = prometheus.NewDesc("pullprint_intents_oldest_age_seconds",
		"How long ago the oldest effect without an outcome was begun; 0 without one.", nil, nil)
	heldAgeDesc = prometheus.NewDesc("pullprint_held_oldest_age_seconds",
		"How long the job that was held first of those held now has been held; 0 without one.", []string{"queue"}, nil)
	expiringDesc = prometheus.NewDesc("pullprint_held_expiring_jobs",
		"Held jobs that will be aborted within an hour unless they are released.", []string{"queue"}, nil)
)

// indexCollector reports at each scrape how many jobs are held and how long jobs have been
// waiting. It reads the Index, which mirrors what all replicas share, so all of them report the
// same. It reports nothing until every record is known: a part of the jobs is no number of them.
type indexCollector struct {
	x      *Index
	queues []printer.Queue
}

func (c indexCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{heldDesc, intentsDesc, intentAgeDesc, heldAgeDesc, expiringDesc} {
		ch <- d
	}
}

func (c indexCollector) Collect(ch chan<- prometheus.Metric) {
	if !c.x.isReady() {
		return
	}
	now := time.Now()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	intents := map[job.State]int{job.Releasing: 0, job.Aborting: 0, job.Completing: 0}
	ages, expiring := map[string]time.Duration{}, map[string]int{}
	for _, q := range c.queues {
		ages[q.Name], expiring[q.Name] = 0, 0
	}
	var oldest time.Duration
	c.x.each(func(_ jobID, in *indexed) {
		switch state := job.State(in.state.Value()); {
		case state.Intent():
			intents[state]++
			oldest = max(oldest, now.Sub(in.since.time()))
		case state == job.Held:
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
	for queue, n := range c.x.Held() {
		gauge(heldDesc, float64(n), queue)
	}
	gauge(intentAgeDesc, oldest.Seconds())
	for queue, age := range ages {
		gauge(heldAgeDesc, age.Seconds(), queue)
		gauge(expiringDesc, float64(expiring[queue]), queue)
	}
}
