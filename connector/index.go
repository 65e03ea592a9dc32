package connector

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/held"
	"pullprint/trigger/graph"
)

// Index mirrors in memory what the sweep and the gauges need of every job
// record, by job. It follows the store and so lags behind it by moments:
// it may save a call, it never decides. 100,000 held jobs take a few tens of
// megabytes and no goroutine.
type Index struct {
	store   *held.Store
	metrics *Metrics
	log     *zap.Logger

	ready chan struct{}

	mu      sync.RWMutex
	entries map[held.Ref]Entry
	held    map[string]int // by queue
}

// Entry is what the index knows of a job.
type Entry struct {
	held.Ref
	Key       string
	Task      string
	Queue     string
	State     held.State
	Since     time.Time // of the intent, or zero
	Seen      time.Time
	HoldUntil time.Time
	Warned    time.Time
	Created   time.Time
	Owner     string
	Reason    string
	Policy    string
	// Mode is that of the queue when the newest decision was made.
	Mode string
}

// NewIndex follows store once Run is called. There is to be one for a Metrics.
func NewIndex(store *held.Store, m *Metrics, log *zap.Logger) *Index {
	x := &Index{
		store: store, metrics: m, log: log.Named("index"),
		ready: make(chan struct{}), entries: map[held.Ref]Entry{}, held: map[string]int{},
	}
	m.watch(x)
	return x
}

// Run follows the store until ctx ends.
func (x *Index) Run(ctx context.Context) error {
	var once sync.Once
	return x.store.Watch(ctx, x.apply, func() {
		once.Do(func() {
			x.log.Info("job records read", zap.Int("records", x.Len()))
			close(x.ready)
		})
	})
}

// Ready is closed when every record that was stored before Run is known.
func (x *Index) Ready() <-chan struct{} { return x.ready }

// Lookup says what is known of a job.
func (x *Index) Lookup(ref held.Ref) (Entry, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	e, ok := x.entries[canonical(ref)]
	return e, ok
}

// Len is the number of records known, finished ones included.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.entries)
}

// Open lists the jobs that have not come to their end.
func (x *Index) Open() []Entry {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var open []Entry
	for _, e := range x.entries {
		if !e.State.Final() {
			open = append(open, e)
		}
	}
	return open
}

func (x *Index) apply(key string, value []byte) {
	if value == nil {
		if _, rest, ok := strings.Cut(key, "."); ok {
			printer, job, _ := strings.Cut(rest, ".")
			x.set(held.Ref{Printer: printer, Job: job}, nil)
		}
		return
	}
	var rec struct {
		held.Ref
		Task      string       `json:"task"`
		Queue     string       `json:"queue"`
		State     held.State   `json:"state"`
		Seen      time.Time    `json:"seen"`
		HoldUntil time.Time    `json:"hold_until"`
		Warned    time.Time    `json:"warned"`
		Created   time.Time    `json:"created"`
		Owner     string       `json:"owner"`
		Intent    *held.Intent `json:"intent"`
		Decision  struct {
			Reason string `json:"reason"`
			Policy string `json:"policy"`
			Input  struct {
				Mode string `json:"mode"`
			} `json:"input"`
		} `json:"decision"`
	}
	if err := json.Unmarshal(value, &rec); err != nil {
		x.metrics.damaged.WithLabelValues(recordJob).Inc()
		x.log.Error("job record can't be read, its job is left alone: restore the store from a backup, or remove the key from the bucket pullprint_jobs", zap.String("key", key), zap.Error(err))
		x.apply(key, nil) // what was known of it holds no longer
		return
	}
	e := &Entry{
		Ref: rec.Ref, Key: key, Task: rec.Task, Queue: rec.Queue, State: rec.State, Seen: rec.Seen,
		HoldUntil: rec.HoldUntil, Warned: rec.Warned, Created: rec.Created, Owner: rec.Owner, Reason: rec.Decision.Reason, Policy: rec.Decision.Policy,
		Mode: mode(rec.Decision.Input.Mode),
	}
	if rec.Intent != nil {
		e.Since = rec.Intent.Since
	}
	x.set(rec.Ref, e)
}

// mode is a known mode without memory of its own.
func mode(s string) string {
	switch s {
	case ModePull:
		return ModePull
	case ModeDirect:
		return ModeDirect
	}
	return ""
}

// canonical is a job's name in the one form in which it is looked up.
func canonical(ref held.Ref) held.Ref {
	return held.Ref{Printer: graph.Canonical(ref.Printer), Job: graph.Canonical(ref.Job)}
}

func (x *Index) set(ref held.Ref, e *Entry) {
	ref = canonical(ref)
	x.mu.Lock()
	defer x.mu.Unlock()
	old, had := x.entries[ref]
	if had && old.State == held.Held {
		x.count(old.Queue, -1)
	}
	if e == nil {
		delete(x.entries, ref)
		return
	}
	if e.State == held.Held {
		x.count(e.Queue, +1)
	}
	x.entries[ref] = *e
}

func (x *Index) count(queue string, by int) {
	x.held[queue] += by
	x.metrics.held.WithLabelValues(queue).Set(float64(x.held[queue]))
}

// Select lists the jobs that fit, in no order.
func (x *Index) Select(fits func(*Entry) bool) []Entry {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var list []Entry
	for _, e := range x.entries {
		if fits(&e) {
			list = append(list, e)
		}
	}
	return list
}

// Held counts the held jobs of each queue.
func (x *Index) Held() map[string]int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return maps.Clone(x.held)
}
