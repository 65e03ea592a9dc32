package bus

import "time"

// Retention is how long records are kept, by kind; 0 is the default of that
// kind. Tasks are kept for 7 days: bridges rely on it.
type Retention struct {
	// Decisions are what was decided about jobs, and why; 30d by default.
	Decisions time.Duration `yaml:"decisions"`
	// Audit is who asked for what; 365d by default.
	Audit time.Duration `yaml:"audit"`
	// Ledger is what happened on accounts; 400d by default.
	Ledger time.Duration `yaml:"ledger"`
	// Dead is what was given up; 30d by default.
	Dead time.Duration `yaml:"dead"`
	// Jobs are the records of jobs that have come to their end; 7d by default.
	Jobs time.Duration `yaml:"jobs"`
}

const day = 24 * time.Hour

// kind is one that has a retention of its own.
type kind struct {
	key              string
	stream           string // "" when no stream has it as its age
	value            time.Duration
	least, otherwise time.Duration
}

// maxRetention is longer than any law asks for.
const maxRetention = 3650 * day

func (r Retention) kinds() []kind {
	return []kind{
		{"decisions", streamDecisions, r.Decisions, day, 30 * day},
		{"audit", streamAudit, r.Audit, 30 * day, 365 * day},
		{"ledger", streamLedger, r.Ledger, 31 * day, 400 * day},
		{"dead", streamDead, r.Dead, day, 30 * day},
		{"jobs", "", r.Jobs, day, 7 * day},
	}
}

// Validate reports everything that is wrong with r, as Problems.
func (r Retention) Validate() error {
	var ps Problems
	for _, k := range r.kinds() {
		if k.value != 0 && (k.value < k.least || k.value > maxRetention) {
			ps.add("retention."+k.key, "a day is written 1d; leave it out for the default",
				"out of range, want %dd to %dd", k.least/day, maxRetention/day)
		}
	}
	return ps.err()
}

// KeepJobs is how long the record of a job that has come to its end is kept.
func (r Retention) KeepJobs() time.Duration {
	for _, k := range r.kinds() {
		if k.key == "jobs" && k.value == 0 {
			return k.otherwise
		}
	}
	return r.Jobs
}

// age is how long a stream keeps its messages; told is false when nobody said so,
// and ok when the stream has no retention of its own.
func (r Retention) age(stream string) (age time.Duration, told, ok bool) {
	for _, k := range r.kinds() {
		if k.stream != stream || stream == "" {
			continue
		}
		if k.value == 0 {
			return k.otherwise, false, true
		}
		return k.value, true, true
	}
	return 0, false, false
}
