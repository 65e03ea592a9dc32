package index

import (
	"strings"

	"go.uber.org/zap"

	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/connector/recovery"
	"pullprint/connector/store"
	"pullprint/trigger/graph"
)

// take applies a change of a record; a panic affects that record only.
func (x *Index) take(key string, value []byte) {
	if err := recovery.Catch(func() error { x.apply(key, value); return nil }); err != nil {
		x.broken.WithLabelValues(store.RecordJob).Inc()
		x.log.Error("job record not understood, its job is left alone", zap.String("key", key), zap.Error(err))
	}
}

func (x *Index) apply(key string, value []byte) {
	if value == nil {
		if _, rest, ok := strings.Cut(key, "."); ok {
			printer, j, _ := strings.Cut(rest, ".")
			x.drop(graph.Ref{Printer: printer, Job: j}, key)
		}
		return
	}
	var rec kept
	if err := rec.read(value); err != nil {
		x.broken.WithLabelValues(store.RecordJob).Inc()
		x.log.Error("job record can't be read, its job is left alone", zap.String("key", key), zap.Error(err),
			zap.String("remedy", "restore the store from a backup, or remove the key from the bucket pullprint_jobs"))
		x.apply(key, nil) // the old entry is not valid any more
		return
	}
	e := &Entry{
		Ref: rec.Ref, Key: key, Task: rec.Task, Queue: rec.Queue, State: rec.State, Seen: rec.Seen,
		HoldUntil: rec.HoldUntil, Warned: rec.Warned, Created: rec.Created, Owner: graph.Canonical(rec.Owner),
		Reason: rec.Decision.Reason, Policy: rec.Decision.Policy,
		Mode: mode(rec.Decision.Input.Mode),
	}
	if rec.Intent != nil {
		e.Since = rec.Intent.Since
	}
	of := &job.Record{Ref: rec.Ref, Queue: rec.Queue, State: rec.State, Release: rec.Release, Paper: rec.Paper}
	x.set(rec.Ref, e, followed(key, of), failedOf(of))
}

// mode is a known mode without memory of its own.
func mode(s string) string {
	switch s {
	case printer.ModePull:
		return printer.ModePull
	case printer.ModeDirect:
		return printer.ModeDirect
	}
	return ""
}
