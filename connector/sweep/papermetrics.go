package sweep

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"pullprint/connector/job"
	"pullprint/connector/job/paper"
	"pullprint/connector/printer"
)

// paperMetrics tell what became of jobs at their printers.
type paperMetrics struct {
	printed  *prometheus.CounterVec
	toPaper  *prometheus.HistogramVec
	failures *prometheus.CounterVec
}

func newPaperMetrics(auto promauto.Factory, queues []printer.Queue, devices []printer.Device) *paperMetrics {
	m := &paperMetrics{
		printed: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_printed_total",
			Help: "Jobs that were let go on, by what became of them at their printer: printed, failed, canceled or unknown. A job " +
				"that printed where it was sent has the name of its queue as device.",
		}, []string{"device", "result"}),
		failures: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_print_failures_total",
			Help: "Jobs that failed at their printer, by device and by what was wrong with the printer just after, in Graph's words, " +
				"as mediaJam; unknown when it did not tell.",
		}, []string{"device", "cause"}),
		toPaper: auto.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pullprint_paper_duration_seconds",
			Help: "Time from the tap until the job was seen to be printed, by device. The sweep looks once a minute.",
			// One to three sweeps; what a queue at the printer takes; a printer that somebody has to see to; followFor.
			Buckets: []float64{30, 60, 120, 180, 300, 600, 1800, 3600, 4 * 3600, 24 * 3600},
		}, []string{"device"}),
	}
	for _, q := range queues {
		if q.Mode == printer.ModeDirect {
			m.start(q.Name)
		}
	}
	for _, d := range devices {
		m.start(d.ID)
		m.toPaper.WithLabelValues(d.ID)
	}
	return m
}

// start makes the series of a device, or of a queue whose jobs print where they were sent.
func (m *paperMetrics) start(device string) {
	for _, r := range paper.Results {
		m.printed.WithLabelValues(device, string(r))
	}
	for _, cause := range printer.Troubles() {
		m.failures.WithLabelValues(device, cause)
	}
}

// onPaper counts what became of a job at its printer, and the cause if it failed.
func (m *paperMetrics) onPaper(rec *job.Record, cause string, now time.Time) {
	device := rec.PrintedBy()
	m.printed.WithLabelValues(device, string(rec.Paper.State)).Inc()
	if rec.Paper.State == paper.Failed {
		m.failures.WithLabelValues(device, cause).Inc()
	}
	if rec.Paper.State == paper.Printed && rec.State != job.Completed && rec.Release != nil {
		m.toPaper.WithLabelValues(device).Observe(now.Sub(rec.Release.At).Seconds())
	}
}
