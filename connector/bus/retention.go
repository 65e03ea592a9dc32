package bus

import (
	"cmp"
	"time"

	"pullprint/connector/bus/schema"
)

// day is the unit of the retentions.
const day = 24 * time.Hour

// Retention is how long records are kept, by kind; 0 is the default of that kind.
// Tasks are kept for 7 days: bridges rely on it.
type Retention struct {
	// Decisions are what was decided about jobs, and why; 30 days by default.
	Decisions time.Duration
	// Audit is who asked for what; 365 days by default.
	Audit time.Duration
	// Ledger is what happened on accounts; 400 days by default.
	Ledger time.Duration
	// Dead is what was given up; 30 days by default.
	Dead time.Duration
}

// age is how long a stream keeps its messages; told is false when the configuration
// does not say, and ok when the stream has no retention of its own.
func (r Retention) age(stream string) (age time.Duration, told, ok bool) {
	var configured, otherwise time.Duration
	switch stream {
	case schema.Decisions:
		configured, otherwise = r.Decisions, 30*day
	case schema.Audit:
		configured, otherwise = r.Audit, 365*day
	case schema.Ledger:
		configured, otherwise = r.Ledger, 400*day
	case schema.Dead:
		configured, otherwise = r.Dead, 30*day
	default:
		return 0, false, false
	}
	return cmp.Or(configured, otherwise), configured != 0, true
}
