package tap

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// What became of a tap, as label of pullprint_taps_total.
const (
	tapReleased = "released" // at least one job
	tapKept     = "kept"     // there were jobs, and none was released
	tapEmpty    = "empty"
	tapUnknown  = "unknown"
	tapInvalid  = "revoked-or-expired"
	tapLocked   = "locked"
	tapRepeated = "repeated"
	tapFailed   = "failed"
	tapShown    = "identified" // at a station, where its owner chooses
)

var tapResults = []string{
	tapReleased, tapKept, tapEmpty, tapUnknown, tapInvalid, tapLocked, tapRepeated, tapFailed, tapShown,
}

// metrics count badges shown at devices.
type metrics struct {
	taps *prometheus.CounterVec
	odd  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	auto := promauto.With(reg)
	return &metrics{
		taps: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_taps_total", Help: "Badges shown at devices, by device and result.",
		}, []string{"device", "result"}),
		odd: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_odd_badges_total", Help: "Unknown badges with characters that no card has, by device.",
		}, []string{"device"}),
	}
}
