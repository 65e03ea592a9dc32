// Package index mirrors in memory what the sweep, the API and the gauges need of every job record.
package index

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"maps"
	"math"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/connector/store"
	"pullprint/trigger/graph"
	"pullprint/trigger/wait"
)

// Index mirrors in memory what the sweep and the gauges need of every job record, by job. It
// follows the store and lags slightly behind it, so it is used to avoid calls, never to decide.
// 100,000 held jobs take about 25 MB and no goroutine.
//
// A loop over all records releases the lock after each lockBatch of them, so that updates
// from the store and taps do not wait for 300,000 records. The index can change meanwhile.
type Index struct {
	store  *job.Store
	broken *prometheus.CounterVec // records that can't be read
	log    *zap.Logger

	ready chan struct{}
	ended chan struct{} // closed when Run ends

	mu      sync.RWMutex // guards what follows
	damage  error        // why the records can't all be read
	began   time.Time    // when Run began
	entries map[jobID]indexed
	odd     map[jobID]odd
	order   seenOrder
	follows map[jobID]Followed // jobs that were let go on and have not ended at their printer
	// failures are the jobs that failed there, as long as their records are kept
	failures map[jobID]failed
	held     map[string]int     // by queue; that of a configured one is there
	unseen   map[jobID]struct{} // known before the current watch, and not seen by it yet
}

// lockBatch is how many records are looked at under one hold of the lock: about 0.1 ms.
const lockBatch = 1024

// Entry is what the index knows of a job.
type Entry struct {
	graph.Ref
	Key       string
	Task      string
	Queue     string
	State     job.State
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

// New returns an Index that follows store once Run is called. Its metrics, with those of
// queues at zero, are registered with reg, which may be nil and takes one Index.
func New(kept *job.Store, queues []printer.Queue, reg prometheus.Registerer, log *zap.Logger) *Index {
	x := &Index{
		store: kept, broken: store.DamagedRecords(reg), log: log.Named("index"),
		ready: make(chan struct{}), ended: make(chan struct{}),
		entries: map[jobID]indexed{}, odd: map[jobID]odd{}, held: map[string]int{},
		follows: map[jobID]Followed{}, failures: map[jobID]failed{},
	}
	for _, q := range queues {
		x.held[q.Name] = 0
	}
	if reg != nil {
		reg.MustRegister(indexCollector{x, queues})
	}
	return x
}

// readAgain is how long after a damaged record all records are read again, and watchAgain how
// long after a watch that ended for another reason, for example an outage of the store.
const (
	readAgain  = time.Minute
	watchAgain = 5 * time.Second
)

// Run follows the store until ctx ends; it is called once. When a watch ends for another reason, the next one
// reads all records again. Meanwhile Err returns the reason, and the intake of tasks goes on.
func (x *Index) Run(ctx context.Context) error {
	defer close(x.ended)
	x.mu.Lock()
	x.began = time.Now()
	x.mu.Unlock()
	var once sync.Once
	for {
		err := x.store.Watch(ctx, x.take, func() {
			x.dropUnseen()
			once.Do(func() {
				x.arrange() // so that the first page need not
				x.log.Info("job records read", zap.Int("records", x.Len()))
				close(x.ready)
			})
			x.damaged(nil)
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		pause := watchAgain
		if errors.Is(err, store.ErrDamaged) {
			pause = readAgain
		}
		err = cmp.Or(err, errWatchEnded)
		x.damaged(err)
		x.log.Error("job records can't all be read, tried again", zap.Duration("after", pause), zap.Error(err))
		if err := wait.Sleep(ctx, pause); err != nil {
			return err
		}
		x.expectAll()
	}
}

// errWatchEnded is the error of a watch that ended without one.
var errWatchEnded = errors.New("the watch of the job records ended")

// expectAll marks all known jobs as not seen by the next watch. Nothing changes the index
// meanwhile.
func (x *Index) expectAll() {
	unseen := make(map[jobID]struct{}, x.Len())
	x.each(func(p jobID, _ *indexed) { unseen[p] = struct{}{} })
	x.mu.Lock()
	defer x.mu.Unlock()
	x.unseen = unseen
}

// dropUnseen forgets the jobs that the watch has not seen: their records were deleted between
// two watches.
func (x *Index) dropUnseen() {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := 0
	for p := range x.unseen {
		if n++; n%lockBatch == 0 {
			x.mu.Unlock()
			runtime.Gosched()
			x.mu.Lock()
		}
		x.forget(p, gone)
		x.removeStale()
	}
	x.unseen = nil
}

// Lookup returns the entry of a job.
func (x *Index) Lookup(ref graph.Ref) (Entry, bool) {
	p := jobIDOf(ref)
	x.mu.RLock()
	defer x.mu.RUnlock()
	in, ok := x.entries[p]
	if !ok {
		return Entry{}, false
	}
	return in.whole(p, x.odd[p]), true
}

// Len is the number of records known, finished ones included.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.entries)
}

// each calls fn with every record, in no order. A record that is added or changed meanwhile
// may be seen or not. fn runs under the lock: it has to be quick and must not call the index.
func (x *Index) each(fn func(jobID, *indexed)) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	n := 0
	var in indexed // one for all calls: fn must not keep it
	for p, next := range x.entries {
		if n++; n%lockBatch == 0 {
			x.mu.RUnlock()
			runtime.Gosched()
			x.mu.RLock()
		}
		in = next
		fn(p, &in)
	}
}

// Each calls fn with what limits are counted by of every record, in no order. fn has to be quick
// and must not call the index.
func (x *Index) Each(fn func(queue, owner string, state job.State, seen time.Time)) {
	x.each(func(_ jobID, in *indexed) {
		fn(in.queue.Value(), in.owner.Value(), job.State(in.state.Value()), in.seen.time())
	})
}

// Open is the jobs that have not ended, as they are now. They are kept in compact form, and the Entry
// of each is made when it is its turn: 100,000 of them take 15 MB as long as the sequence is in use.
func (x *Index) Open() iter.Seq[Entry] {
	type openJob struct {
		id jobID
		in indexed
	}
	held := 0
	for _, n := range x.Held() {
		held += n
	}
	open, odds := make([]openJob, 0, held), map[jobID]odd{}
	x.each(func(p jobID, in *indexed) {
		if job.State(in.state.Value()).Final() {
			return
		}
		open = append(open, openJob{p, *in})
		if o, ok := x.odd[p]; ok {
			odds[p] = o
		}
	})
	return func(yield func(Entry) bool) {
		for i := range open {
			if p := open[i].id; !yield(open[i].in.whole(p, odds[p])) {
				return
			}
		}
	}
}

func (x *Index) set(ref graph.Ref, e *Entry, f Followed, bad failed) {
	p := jobIDOf(ref)
	p.job = strings.Clone(p.job) // it may be a part of all that was read
	in, o := pack(e)
	x.mu.Lock()
	defer x.mu.Unlock()
	old, had := x.entries[p]
	if had && old.seen > in.seen && old.whole(p, x.odd[p]).Key != e.Key {
		return // of an earlier job that had the number, and another owner
	}
	if !had || old.seen != in.seen {
		x.order.add(orderKey{in.seen, p})
	}
	x.forget(p, in.seen)
	delete(x.unseen, p)
	if e.State == job.Held {
		x.count(e.Queue, +1)
	}
	x.entries[p] = in
	if f != (Followed{}) {
		x.follows[p] = f
	}
	if bad != (failed{}) {
		x.failures[p] = bad
	}
	x.removeStale()
	if o != (odd{}) {
		x.odd[p] = o
	}
}

// drop forgets the record at a key; one of the same job at another key stays.
func (x *Index) drop(ref graph.Ref, key string) {
	p := jobIDOf(ref)
	x.mu.Lock()
	defer x.mu.Unlock()
	if in, ok := x.entries[p]; ok && in.whole(p, x.odd[p]).Key == key {
		x.forget(p, gone)
		x.removeStale()
	}
}

// gone is the time of a job that is in no list.
const gone instant = math.MinInt64

// forget takes a record out; a position for the same moment stays. mu is held.
func (x *Index) forget(p jobID, seen instant) {
	old, had := x.entries[p]
	if had && job.State(old.state.Value()) == job.Held {
		x.count(old.queue.Value(), -1)
	}
	if had && old.seen != seen {
		x.order.stale++
	}
	delete(x.entries, p)
	delete(x.odd, p)
	delete(x.follows, p)
	delete(x.failures, p)
}

func (x *Index) count(queue string, by int) {
	x.held[queue] += by
}

// Any reports whether a job fits. fits is quick and sees an Entry without Key and Task.
func (x *Index) Any(fits func(*Entry) bool) bool {
	found := false
	x.each(func(p jobID, in *indexed) {
		if !found {
			e := in.view(p)
			found = fits(&e)
		}
	})
	return found
}

// Position is the position of a job in a list: newest first, jobs of the same moment by their
// keys. The zero Position is before the first.
type Position struct {
	Seen int64 // Unix nanoseconds
	Key  string
}

// PositionOf is the Position of an Entry.
func PositionOf(e *Entry) Position { return Position{int64(instantOf(e.Seen)), e.Key} }

// Compare orders positions.
func (p Position) Compare(o Position) int {
	return cmp.Or(cmp.Compare(o.Seen, p.Seen), cmp.Compare(p.Key, o.Key))
}

// Held counts the held jobs of each queue.
func (x *Index) Held() map[string]int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return maps.Clone(x.held)
}
