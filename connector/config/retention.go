package config

import (
	"cmp"
	"time"
)

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

// KeepJobs is how long the record of a job that has come to its end is kept.
func (r Retention) KeepJobs() time.Duration { return cmp.Or(r.Jobs, 7*day) }

const (
	day = 24 * time.Hour
	// maxKept is longer than any law asks for.
	maxKept = 3650 * day
)

// The bounds of the export of the ledger.
const (
	minExport = time.Minute
	maxExport = 24 * time.Hour
)

// retention checks how long records are kept.
func (k *checker) retention() {
	r := k.c.Retention
	for _, kind := range []struct {
		key          string
		value, least time.Duration
	}{
		{"decisions", r.Decisions, day},
		{"audit", r.Audit, 30 * day},
		{"ledger", r.Ledger, 31 * day}, // the longest month
		{"dead", r.Dead, day},
		{"jobs", r.Jobs, day},
	} {
		path := "retention." + kind.key
		k.refuse(kind.value != 0 && (kind.value < kind.least || kind.value > maxKept), path,
			"a day is written 1d; leave it out for the default", "%s is out of range, want %dd to %dd", path, kind.least/day, maxKept/day)
	}
}

// ledgerExport checks where the ledger is exported to.
func (k *checker) ledgerExport() {
	e := k.c.LedgerExport
	if e.Dir == "" {
		k.refuse(e.Every != 0 || e.Keep != 0, "ledger_export.dir",
			"name the folder that the files go into, or leave ledger_export out", "ledger_export.dir is missing")
		return
	}
	k.inFolder("ledger_export.dir", e.Dir)
	k.between("ledger_export.every", e.Every, minExport, maxExport, "write 1m to 24h")
	k.between("ledger_export.keep", e.Keep, day, maxKept, "write 1d to 3650d")
}
