// Package ledgerexport writes the history of accounts to files of JSON lines.
package ledgerexport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/job"
	"pullprint/connector/store"
	"pullprint/policy/quota"
	"pullprint/trigger/durable"
)

// Config configures the export of the history of accounts.
type Config struct {
	// Dir is the folder of the files; empty means that none are written.
	Dir string `yaml:"dir"`
	// Every is how often a file is written.
	Every time.Duration `yaml:"every"`
	// Keep is how long a file is kept.
	Keep time.Duration `yaml:"keep"`
}

// The defaults of LedgerExport.
const (
	defaultExportEvery = time.Hour
	defaultExportKeep  = 90 * 24 * time.Hour
)

// Fill puts the defaults in.
func (e *Config) Fill() {
	if e.Dir == "" {
		return
	}
	if e.Every == 0 {
		e.Every = defaultExportEvery
	}
	if e.Keep == 0 {
		e.Keep = defaultExportKeep
	}
}

// History reads the entries of an account, or of all accounts when account is empty, in
// the order in which they were stored; *bus.Bus is one.
type History interface {
	LedgerFrom(
		ctx context.Context, account string, sequence uint64, fn func(sequence uint64, stored time.Time, body []byte) error,
	) error
}

// Exporter writes the history of accounts to files of JSON lines, one entry a line, as
// they were stored. Only one process at a time may run it.
//
// Crash safety: a file is named by the sequence of its first entry. It is
// written under another name, synced, and renamed; then the position in
// the state bucket is moved behind its last entry. After a crash in between, the next run
// begins at the same entry and replaces the file with one of the same name that begins with
// the same entries. So no entry is missing and none is in two files. If the existing file
// has other entries, the history was restored from a backup: the file is kept under another
// name.
type Exporter struct {
	cfg     Config
	history History
	state   store.KV // says how far the history has been exported
	log     *zap.Logger
}

// New makes one; Run does the work.
func New(cfg Config, h History, state store.KV, log *zap.Logger) *Exporter {
	return &Exporter{cfg: cfg, history: h, state: state, log: log.Named("ledger-export")}
}

// Key is the key in the state bucket of how far the history has been exported.
const Key = "export.ledger"

// exportEntries is how many entries a file has at most. A file is built in memory, where so
// many take about 15 MB.
const exportEntries = 50_000

// errEnough ends the reading of a history early.
var errEnough = errors.New("enough is read")

// position says how far the history has been exported.
type position struct {
	// Next is the sequence to go on with.
	Next uint64    `json:"next"`
	At   time.Time `json:"at"`
}

// CheckPosition reports with an error a position that can't be read.
func CheckPosition(value []byte) error { return json.Unmarshal(value, new(position)) }

// Run exports now and whenever the time has come, until ctx ends.
func (e *Exporter) Run(ctx context.Context) error {
	tick := time.NewTicker(e.cfg.Every)
	defer tick.Stop()
	for {
		if err := e.Export(ctx); err != nil && ctx.Err() == nil {
			e.log.Error("ledger not exported, tried again next time", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Export writes the entries since the last export, and removes files that are too old.
func (e *Exporter) Export(ctx context.Context) error {
	if err := os.MkdirAll(e.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("make ledger_export.dir: %w", err)
	}
	for more := true; more; {
		var err error
		if more, err = e.exportFile(ctx); err != nil {
			return err
		}
	}
	return e.removeOld(time.Now())
}

// exportFile writes one file; more says that it is full and there may be more to write.
func (e *Exporter) exportFile(ctx context.Context) (more bool, err error) {
	pos, revision, err := e.position(ctx)
	if err != nil {
		return false, err
	}
	list, next, err := e.collect(ctx, pos)
	if err != nil {
		return false, err
	}
	more = len(list) >= exportEntries
	list = slices.DeleteFunc(list, func(c collected) bool { return c.repeated })
	if len(list) > 0 {
		if err := e.writeFile(fmt.Sprintf("ledger-%020d.jsonl", pos.Next), lines(list)); err != nil {
			return false, err
		}
	}
	if next == pos.Next {
		return false, nil
	}
	value, err := json.Marshal(position{Next: next, At: time.Now().UTC()})
	if err != nil {
		return false, fmt.Errorf("encode position of the export: %w", err)
	}
	if _, ok, err := e.state.CompareAndSet(ctx, Key, value, revision, 0); err != nil || !ok {
		return false, fmt.Errorf("store position of the export: %w", errors.Join(err, job.BusyIf(!ok)))
	}
	e.log.Info("ledger exported", zap.Int("entries", len(list)))
	return more, nil
}

func (e *Exporter) position(ctx context.Context) (position, uint64, error) {
	pos := position{Next: 1}
	value, revision, err := e.state.Get(ctx, Key)
	if err == nil && revision > 0 {
		err = json.Unmarshal(value, &pos)
	}
	if err != nil {
		return pos, 0, fmt.Errorf("read position of the export: %w", err)
	}
	return pos, revision, nil
}

// collected is an entry that was read for a file.
type collected struct {
	sequence uint64
	body     []byte
	// repeated is true when the history has the entry before.
	repeated bool
}

// entryID tells the entries of an account apart: one of the same name that was there before
// may have used the same numbers.
type entryID struct {
	seq uint64
	at  int64 // nanoseconds
}

func idOf(e *quota.Entry) entryID { return entryID{e.Seq, e.At.UnixNano()} }

// promptly is how soon an entry is in the history. Only an entry that is published again,
// by a process that does not know that it was published, comes later.
const promptly = 10 * time.Second

// collect reads the entries of a file from a position on, and finds those that are repeated.
func (e *Exporter) collect(ctx context.Context, pos position) (list []collected, next uint64, err error) {
	from := pos.Next
	next = from
	late := map[string]map[entryID][]int{} // by account: where they are in list
	err = e.history.LedgerFrom(ctx, "", from, func(sequence uint64, stored time.Time, body []byte) error {
		next = sequence + 1
		if sequence < from && !stored.After(pos.At) {
			return nil // the history was rolled back to what was exported before
		}
		var entry quota.Entry
		readable := json.Unmarshal(body, &entry) == nil
		if readable && entry.Was > 0 && entry.Was < from {
			return nil // it was exported before somebody was erased from it
		}
		if readable && stored.Sub(entry.At) >= promptly {
			if late[entry.Account] == nil {
				late[entry.Account] = map[entryID][]int{}
			}
			late[entry.Account][idOf(&entry)] = append(late[entry.Account][idOf(&entry)], len(list))
		}
		list = append(list, collected{sequence: sequence, body: bytes.Clone(body)})
		if len(list) >= exportEntries {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, from, fmt.Errorf("read ledger: %w", err)
	}
	for account, ids := range late {
		if err := e.findRepeated(ctx, account, ids, list); err != nil {
			return nil, from, err
		}
	}
	return list, next, nil
}

// findRepeated marks those of some late entries of an account that its history has before.
// It reads that history once, until all were met.
func (e *Exporter) findRepeated(ctx context.Context, account string, ids map[entryID][]int, list []collected) error {
	err := e.history.LedgerFrom(ctx, account, 1, func(sequence uint64, _ time.Time, body []byte) error {
		var entry quota.Entry
		if json.Unmarshal(body, &entry) != nil {
			return nil
		}
		id := idOf(&entry)
		for _, i := range ids[id] {
			list[i].repeated = list[i].sequence > sequence
		}
		delete(ids, id)
		if len(ids) == 0 {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return fmt.Errorf("read ledger of an account: %w", err)
	}
	return nil
}

// lines are the entries of a file.
func lines(list []collected) []byte {
	var out bytes.Buffer
	for _, c := range list {
		out.Write(c.body)
		out.WriteByte('\n')
	}
	return out.Bytes()
}

// writeFile writes a file into the folder atomically.
func (e *Exporter) writeFile(name string, lines []byte) error {
	path := filepath.Join(e.cfg.Dir, name)
	if old, err := os.ReadFile(path); err == nil && !bytes.HasPrefix(lines, old) {
		aside := strings.TrimSuffix(path, ".jsonl") + time.Now().UTC().Format("-replaced-20060102T150405Z") + ".jsonl"
		if err := os.Rename(path, aside); err != nil {
			return fmt.Errorf("keep the export of another history: %w", err)
		}
		e.log.Warn("the ledger is not that of the files before: a backup was restored", zap.String("kept", aside))
	}
	if err := durable.Write(path, lines); err != nil {
		return fmt.Errorf("export ledger: %w", err)
	}
	return nil
}

// removeOld removes files that were written too long ago.
func (e *Exporter) removeOld(now time.Time) error {
	files, err := filepath.Glob(filepath.Join(e.cfg.Dir, "ledger-*.jsonl"))
	if err != nil {
		return fmt.Errorf("look for old exports: %w", err)
	}
	for _, f := range files {
		st, err := os.Stat(f)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && now.Sub(st.ModTime()) > e.cfg.Keep {
			err = os.Remove(f)
		}
		if err != nil {
			return fmt.Errorf("remove an old export: %w", err)
		}
	}
	return nil
}
