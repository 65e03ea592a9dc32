package config

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"pullprint/connector/bus"
)

// The bounds of the export of the ledger.
const (
	minExport = time.Minute
	maxExport = 24 * time.Hour
	minKept   = 24 * time.Hour
	maxKept   = 3650 * 24 * time.Hour
)

// kept checks how long records are kept, and where the ledger is exported to.
func (k *checker) kept() {
	var problems bus.Problems
	if errors.As(k.c.Retention.Validate(), &problems) {
		for _, p := range problems {
			k.add(p.Path, p.Hint, "%s is %s", p.Path, p.Message)
		}
	}
	e := k.c.LedgerExport
	if e.Dir == "" {
		if e.Every != 0 || e.Keep != 0 {
			k.add("ledger_export.dir", "name the folder that the files go into, or leave ledger_export out",
				"ledger_export.dir is missing")
		}
		return
	}
	if st, err := os.Stat(filepath.Dir(e.Dir)); err != nil || !st.IsDir() {
		k.add("ledger_export.dir", "make that folder, writable for the user pullprint runs as",
			"ledger_export.dir is in no folder: %s", filepath.Dir(e.Dir))
	}
	if e.Every < minExport || e.Every > maxExport {
		k.add("ledger_export.every", "write 1m to 24h", "ledger_export.every is out of range")
	}
	if e.Keep < minKept || e.Keep > maxKept {
		k.add("ledger_export.keep", "write 1d to 3650d", "ledger_export.keep is out of range")
	}
}
