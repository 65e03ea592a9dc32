package connector

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// The kinds of records, as label of pullprint_damaged_records_total.
const (
	recordAccount    = "account"
	recordBadge      = "badge"
	recordState      = "state"
	recordJob        = "job"
	recordDelegation = "delegation"
)

// damagedRecords is the counter of records that can't be read. Several packages meet them: each
// gets the same counter for the same registry, and one of its own without a registry.
func damagedRecords(reg prometheus.Registerer) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pullprint_damaged_records_total",
		Help: "Records met in the store that can't be read and were left out, by kind: account, badge, job, delegation or state.",
	}, []string{"kind"})
	if reg != nil {
		err := reg.Register(c)
		if there := new(prometheus.AlreadyRegisteredError); errors.As(err, there) {
			existing, ok := there.ExistingCollector.(*prometheus.CounterVec)
			if ok {
				c, err = existing, nil
			}
		}
		if err != nil {
			panic(err) // as MustRegister does
		}
	}
	for _, kind := range []string{recordAccount, recordBadge, recordJob, recordDelegation, recordState} {
		c.WithLabelValues(kind)
	}
	return c
}

// maxNamed is how many damaged records one line of the log names.
const maxNamed = 10
