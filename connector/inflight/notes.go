// Package inflight notes which jobs a process works on, so that a job that kills the process is
// found and given up instead of killing every later one.
package inflight

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"pullprint/connector/job"
	"pullprint/connector/store"
	"pullprint/trigger/graph"
)

// maxCrashes is how often the process may die while it works on a job before the job is not
// worked on again. The first time, any of the jobs under way may be the cause; the last time,
// the job was alone.
const maxCrashes = 3

// noteFor is how long a note is kept: as long as a task stays in the stream.
const noteFor = 7 * 24 * time.Hour

// givenUpFor is how long the note of a job is kept that was given up. It has to be longer than
// Graph keeps an unfinished job, which is not documented.
const givenUpFor = 365 * 24 * time.Hour

// noteWithin bounds the writing of a note that nobody waits for any more.
const noteWithin = 5 * time.Second

// aloneWithin is how long a job with two crashes waits until nothing else is under way, before
// it is left to a later delivery.
const aloneWithin = 30 * time.Second

// ErrCrashed says that the process died again and again while it worked on a job.
var ErrCrashed = fmt.Errorf("the process died %d times while it worked on this job: it is not worked on any more",
	maxCrashes)

// KV stores notes of what is being worked on; the notes of the bus are one.
type KV interface {
	store.KV
	Delete(ctx context.Context, key string, revision uint64) (bool, error)
	Alive(ctx context.Context, instance string) (bool, error)
}

// Notes stores what this process works on, so that the next one knows what it may have died
// of. A job with maxCrashes deaths is not worked on again. Failures, redeliveries during an
// outage and a clean stop do not count, because the note is taken back then; nor do the notes
// of replicas that are alive.
//
// With the embedded store a note costs a write that is not synced, and every task is
// noted. With an external store it is a durable write, and those tasks are noted
// that are a risk: before a document is opened, and when a task is delivered again
// or is older than this process. A task without documents that kills a replica at
// once is so noted from the second time on.
//
// All jobs that were under way when the process died have a note. To find out which of them
// is the cause, jobs with two deaths are worked on one at a time. If the process is killed from
// outside while a job waits for Graph or the store, that job is not the cause. Waits are noted
// for all jobs with the embedded store, and for jobs that are worked on alone with an external
// one.
type Notes struct {
	kv    KV
	by    string
	sole  bool
	began time.Time
	since func(time.Time) time.Duration // how long ago
	log   *zap.Logger
	alone *semaphore.Weighted

	mu   sync.Mutex // guards mine, and users and failed of each
	mine map[string]*noted
}

// maxParallel is the weight of alone: an ordinary job takes 1, a job that has to be alone takes
// all of it.
const maxParallel = 1 << 20

// Options are what notes of what is being worked on are made of.
type Options struct {
	// KV stores them; without it nothing is noted, and a job that kills the process kills every
	// later one, too.
	KV KV
	// Instance names this process; it must be new at every start.
	Instance string
	// Sole is true when no other instance can be alive on the same store.
	Sole bool
	// Since is how long ago a time that was stored is.
	Since  func(time.Time) time.Duration
	Logger *zap.Logger
}

// New returns Notes that hold nothing.
func New(o Options) *Notes {
	return &Notes{
		kv: o.KV, by: o.Instance, sole: o.Sole, began: time.Now(), since: o.Since, log: o.Logger,
		alone: semaphore.NewWeighted(maxParallel), mine: map[string]*noted{},
	}
}

// Risky reports whether a delivery of a task, counted from 1, is noted before anything is done
// about it. stored is when its message was.
func (f *Notes) Risky(delivered int, stored time.Time) bool {
	return f.kv != nil && (f.sole || delivered > 1 || stored.Before(f.began))
}

func noteKey(ref graph.Ref) string { return ref.Printer + "." + ref.Job }

// notedKey finds the note of what is worked on in a context.
type notedKey struct{}

// Begin notes that a job is worked on until end is called, which is told whether
// that went well. Calls of Graph and the store under the context that is returned are
// noted as waiting. The error is ErrCrashed, job.ErrBusy or the store's.
func (f *Notes) Begin(ctx context.Context, ref graph.Ref) (work context.Context, end func(well bool), err error) {
	if f.kv == nil {
		return ctx, func(bool) {}, nil
	}
	key := noteKey(ref)
	if n, ok := ctx.Value(notedKey{}).(*noted); ok && n.key == key { // a part of what is noted
		return ctx, func(well bool) { f.ended(n, well) }, nil
	}
	for range store.MaxConflicts {
		n, ok := f.join(key)
		if !ok {
			found, revision, err := f.look(ctx, key)
			if err != nil {
				return ctx, nil, err
			}
			if n, err = f.take(ctx, key, found, revision); err != nil {
				return ctx, nil, err
			}
		} else if n.tracked {
			f.waits(ctx, n, 0) // whoever joins does not wait
		}
		if n != nil {
			return context.WithValue(ctx, notedKey{}, n), f.ending(ctx, key, n), nil
		}
	}
	return ctx, nil, job.ErrBusy
}

// join shares the note of this process, if there is one.
func (f *Notes) join(key string) (*noted, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, ok := f.mine[key]
	if ok {
		n.users++
		n.shared.Store(true)
	}
	return n, ok
}

// look reads a note and counts the death of whoever made it.
func (f *Notes) look(ctx context.Context, key string) (n note, revision uint64, err error) {
	raw, revision, err := f.kv.Get(ctx, key)
	if err != nil || revision == 0 {
		return note{}, revision, err
	}
	if err := json.Unmarshal(raw, &n); err != nil {
		return note{}, revision, nil //nolint:nilerr // it is written anew, and costs a count at most
	}
	if n.By == "" || n.By == f.by {
		return n, revision, nil
	}
	switch dead, err := f.dead(ctx, n); {
	case err != nil:
		return note{}, 0, err
	case dead && n.Waiting:
		n.Waiting = false
	case dead:
		n.countDeath()
	case f.since(n.Since) < job.HandleLimit:
		return note{}, 0, job.ErrBusy
	}
	return n, revision, nil
}

// dead reports whether the instance of a note is surely not alive. One that is may
// have lost the message to us by an outage of the store.
func (f *Notes) dead(ctx context.Context, n note) (bool, error) {
	if f.sole {
		return true, nil
	}
	if f.since(n.Since) < job.TakeOver {
		return false, nil
	}
	alive, err := f.kv.Alive(ctx, n.By)
	return !alive, err
}

// take makes the note this process's own; nil after a concurrent update.
func (f *Notes) take(ctx context.Context, key string, found note, revision uint64) (*noted, error) {
	if found.Crashes >= maxCrashes {
		_, ok, err := f.put(ctx, key, note{Since: found.Since, Crashes: found.Crashes, Died: found.Died}, revision)
		if err == nil && ok {
			err = ErrCrashed
		}
		return nil, err
	}
	unlock, err := f.acquire(ctx, found.Crashes)
	if err != nil {
		return nil, err
	}
	n := &noted{
		key: key, since: time.Now(), users: 1, crashes: found.Crashes, died: found.Died,
		tracked: f.sole || found.Crashes >= maxCrashes-1, unlock: unlock,
	}
	var ok bool
	n.revision, ok, err = f.put(ctx, key, n.note(f.by, false), revision)
	switch {
	case err != nil: // the note may have been stored although nothing was begun
		n.revision, n.failed = revision, true
		f.end(ctx, n)
		return nil, err
	case !ok:
		unlock()
		return nil, nil
	}
	if found.Crashes > 0 {
		f.log.Warn("a process died while it worked on this job, among others perhaps", zap.String("job", key),
			zap.Int("times", found.Crashes))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mine[key] = n
	return n, nil
}

// acquire waits until a job may be worked on. A job that is given up after one more death
// waits until nothing else is under way.
func (f *Notes) acquire(ctx context.Context, crashes int) (unlock func(), err error) {
	n := int64(1)
	if crashes == maxCrashes-1 {
		n = maxParallel
	}
	ctx, cancel := context.WithTimeout(ctx, aloneWithin)
	defer cancel()
	if err := f.alone.Acquire(ctx, n); err != nil {
		return nil, job.ErrBusy
	}
	return sync.OnceFunc(func() { f.alone.Release(n) }), nil
}

func (f *Notes) put(
	ctx context.Context, key string, n note, revision uint64,
) (newRevision uint64, ok bool, err error) {
	raw, err := json.Marshal(n)
	if err != nil {
		return 0, false, fmt.Errorf("encode note: %w", err)
	}
	ttl := noteFor
	if n.By == "" && n.Crashes >= maxCrashes {
		ttl = givenUpFor
	}
	newRevision, ok, err = f.kv.CompareAndSet(ctx, key, raw, revision, ttl)
	if err != nil {
		err = fmt.Errorf("note what is worked on: %w", err)
	}
	return newRevision, ok, err
}

// ending returns the function that ends the use of a note.
func (f *Notes) ending(ctx context.Context, key string, n *noted) func(well bool) {
	return func(well bool) {
		f.ended(n, well)
		f.mu.Lock()
		n.users--
		last := n.users == 0
		if last && f.mine[key] == n {
			delete(f.mine, key)
		}
		f.mu.Unlock()
		switch {
		case last:
			f.end(ctx, n)
		case n.tracked:
			f.waits(context.WithoutCancel(ctx), n, 0)
		}
	}
}

// ended notes whether a part of the work went well.
func (f *Notes) ended(n *noted, well bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n.failed = n.failed || !well
}

// end takes the note back and releases alone after that, so that a job that has to be alone
// does not begin while the note still says that this one is under way.
func (f *Notes) end(ctx context.Context, n *noted) {
	defer n.unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWithin) // a stop must not leave it behind
	defer cancel()
	n.written.Lock()
	defer n.written.Unlock()
	err := f.takeBack(ctx, n)
	n.revision = 0
	if err != nil {
		// It counts as one death, unless the job is worked on again before.
		f.log.Warn("note of what was worked on not taken back", zap.String("job", n.key), zap.Error(err))
	}
}

// takeBack removes the note of n from the store. If the answer to an earlier write was lost, the
// note has another revision: then it is read first. A note that is not ours any more is left.
func (f *Notes) takeBack(ctx context.Context, n *noted) error {
	ok, err := f.withdraw(ctx, n)
	if err == nil && ok {
		return nil
	}
	raw, revision, readErr := f.kv.Get(ctx, n.key)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	var found note
	if revision == 0 || json.Unmarshal(raw, &found) != nil || found.By != f.by || !found.Since.Equal(n.since) {
		return nil
	}
	n.revision = revision
	ok, err = f.withdraw(ctx, n)
	return errors.Join(err, job.BusyIf(err == nil && !ok))
}

// withdraw stores that nobody works on the job. Earlier deaths are forgotten only if the work
// succeeded.
func (f *Notes) withdraw(ctx context.Context, n *noted) (ok bool, err error) {
	if n.failed && n.crashes > 0 {
		_, ok, err = f.put(ctx, n.key, note{Since: time.Now(), Crashes: n.crashes, Died: n.died}, n.revision)
		return ok, err
	}
	return f.kv.Delete(ctx, n.key, n.revision)
}

// GivenUp reports whether a job is not worked on because of maxCrashes deaths.
func (f *Notes) GivenUp(ctx context.Context, ref graph.Ref) bool {
	if f.kv == nil {
		return false
	}
	n, _, err := f.look(ctx, noteKey(ref))
	return err == nil && n.By == "" && n.Crashes >= maxCrashes
}
