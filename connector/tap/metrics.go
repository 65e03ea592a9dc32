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
	tapNeedsPIN = "pin-needed" // a badge alone, where a PIN is asked for after it
	tapWrongPIN = "wrong-pin"
	tapNotTaken = "not-taken" // a badge or a name where the device takes none
)

var tapResults = []string{
	tapReleased, tapKept, tapEmpty, tapUnknown, tapInvalid, tapLocked, tapRepeated, tapFailed, tapShown,
	tapNeedsPIN, tapWrongPIN, tapNotTaken,
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
