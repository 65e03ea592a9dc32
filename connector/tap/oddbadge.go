package tap

import (
	"time"

	"go.uber.org/zap"

	"pullprint/policy/badge"
)

// sayOddAgain is after how long the log tells again of a reader whose numbers no card
// has; the metric counts each.
const sayOddAgain = time.Hour

// tellOdd counts an unknown badge with characters that no card has, and says what that
// is a sign of. The number is nowhere.
func (t *Taps) tellOdd(device, canonical string, now time.Time) {
	why := badge.Odd(canonical)
	if why == "" {
		return
	}
	t.metrics.odd.WithLabelValues(device).Inc()
	t.mu.Lock()
	r := t.readers[device]
	say := now.Sub(r.oddSaid) >= sayOddAgain
	if say {
		r.oddSaid = now
	}
	t.mu.Unlock()
	if say {
		t.log.Warn("reader tells numbers that no card has", zap.String("device", device), zap.String("cause", why))
	}
}
