package store

import (
	"github.com/prometheus/client_golang/prometheus"

	"pullprint/trigger/series"
)

// The kinds of records, as label of pullprint_damaged_records_total.
const (
	RecordAccount    = "account"
	RecordBadge      = "badge"
	RecordState      = "state"
	RecordJob        = "job"
	RecordDelegation = "delegation"
)

// DamagedRecords is the counter of records that can't be read. Several packages meet them: each
// gets the same counter for the same registry, and one of its own without a registry.
func DamagedRecords(reg prometheus.Registerer) *prometheus.CounterVec {
	c := series.Registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pullprint_damaged_records_total",
		Help: "Records met in the store that can't be read and were left out, by kind: account, badge, job, delegation or state.",
	}, []string{"kind"}))
	series.Begin(c, RecordAccount, RecordBadge, RecordJob, RecordDelegation, RecordState)
	return c
}

// MaxNamed is how many damaged records one line of the log names.
const MaxNamed = 10
