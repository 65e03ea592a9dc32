package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"pullprint/connector/bus/schema"
	"pullprint/connector/store"
	"pullprint/trigger/durable"
)

// ErrLost: the embedded store has lost what it had acknowledged.
var ErrLost = errors.New("the store lost what it had acknowledged")

const (
	markVersion = 1
	// markEvery is how long the mark may be behind the store.
	markEvery = time.Second
)

// The high-water mark is a file beside the embedded store, not in it: how far
// each stream had come. A store that is behind its mark was rolled back, deleted
// or damaged, and is not started on: what it has forgotten could print or be paid
// for again.
//
// The crash order. A write is acknowledged once it is on disk; only then its
// sequence goes into the mark, at most a second later, by a new file that is
// synced and renamed over the old one. So the mark is never ahead of the disk,
// wherever the process dies or the power goes: a store that was only killed is
// never refused. It may be behind the disk by what was acknowledged in the last
// second: a loss of just that is not noticed. Nor is it noticed when the mark is
// rolled back together with the store, as with a snapshot of the whole machine:
// keep it elsewhere by nats.embedded.mark_file.
type mark struct {
	Version int                   `json:"version"`
	Written time.Time             `json:"written"`
	Streams map[string]markStream `json:"streams"`
}

type markStream struct {
	// Last is a sequence that was acknowledged.
	Last uint64 `json:"last"`
	// Created is when the server made the stream: another time is another stream.
	Created time.Time `json:"created"`
	// Gaps is how many messages were taken out of the middle of a stream that
	// otherwise only grows, by erasing a person: it is stored before they go.
	Gaps int `json:"gaps,omitempty"`
}

// Loss is what a stream has lost.
type Loss struct {
	// Stream names it; Marked is how far it had come, Found how far it is now.
	Stream        string
	Marked, Found uint64
	// Missing is how many messages are missing at the least, in its middle too.
	Missing uint64
	// Replaced: it is another stream of the same name.
	Replaced bool
	// Damage says where its files can't be read; empty when they can.
	Damage string
	// Record names a record that nobody understands; empty when whole files or messages
	// are lost.
	Record string
}

func (l Loss) String() string {
	switch {
	case l.Record != "":
		return l.Stream + ": " + l.Record
	case l.Damage != "":
		return fmt.Sprintf("%s: %s; keys that were stored there are gone, or what they were before", l.Stream, l.Damage)
	case l.Replaced && l.Found >= l.Marked:
		return fmt.Sprintf("%s was made anew: what it had before, up to message %d, is gone", l.Stream, l.Marked)
	case l.Found < l.Marked:
		return fmt.Sprintf("%s ends at %d and had come to %d: %d missing", l.Stream, l.Found, l.Marked, l.Missing)
	}
	return fmt.Sprintf("%s has holes: %d missing", l.Stream, l.Missing)
}

// lossError tells what is missing and how to go on.
func lossError(lost []Loss, file string) error {
	lines := make([]string, len(lost))
	damaged := false
	for i, l := range lost {
		lines[i] = l.String()
		damaged = damaged || l.Damage != ""
	}
	if damaged {
		return fmt.Errorf("%w: %s; nothing was changed: `pullprint restore FILE` from a backup, or go on with what can be "+
			"read by `pullprint accept-loss`, and look at the disk",
			store.ErrDamaged, strings.Join(lines, "; "))
	}
	return fmt.Errorf("%w: %s (by %s); its folder was rolled back, deleted or damaged: put the right one back, or "+
		"`pullprint restore FILE` from a backup, or go on without it by `pullprint accept-loss`",
		ErrLost, strings.Join(lines, "; "), file)
}

func (e Embedded) markFile() string {
	if e.MarkFile != "" {
		return e.MarkFile
	}
	return filepath.Clean(e.StoreDir) + ".mark"
}

// readMark is nil when there is none.
func readMark(file string) (*mark, error) {
	src, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no mark is no error
	}
	m := new(mark)
	if err == nil {
		err = json.Unmarshal(src, m)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("read the mark of the store: %w; it has to be of user id %d, as the store: chown it", err,
			os.Getuid())
	case err != nil:
		return nil, fmt.Errorf("read the mark of the store: %s: %w; if you are sure that nothing of the store is lost, "+
			"remove that file", file, err)
	case m.Version > markVersion:
		return nil, fmt.Errorf("read the mark of the store: %s is of a newer version of pullprint: use that one", file)
	}
	return m, nil
}

func (m *mark) write(file string) error {
	m.Version, m.Written = markVersion, time.Now().UTC()
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return fmt.Errorf("encode the mark of the store: %w", err)
	}
	if err := durable.Write(file, append(text, '\n'), ofFolder); err != nil {
		return fmt.Errorf("write the mark of the store: %w", err)
	}
	return nil
}

// streamPosition is how far a stream has come, by the server.
type streamPosition struct {
	found   bool
	last    uint64
	created time.Time
	gaps    int
}

func (b *Bus) positionOf(ctx context.Context, stream string) (streamPosition, error) {
	s, err := b.js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return streamPosition{}, nil
	}
	if err != nil {
		return streamPosition{}, fmt.Errorf("read stream %s: %w", stream, err)
	}
	info := s.CachedInfo()
	st := streamPosition{found: true, last: info.State.LastSeq, created: info.Created}
	if schema.OnlyGrows(stream) {
		st.gaps = info.State.NumDeleted
	}
	return st, nil
}

// losses compares the store with a mark.
func (b *Bus) losses(ctx context.Context, m *mark) ([]Loss, error) {
	var lost []Loss
	for _, p := range schema.Streams(1) {
		name := p.Config.Name
		was, known := m.Streams[name]
		if !known {
			continue
		}
		is, err := b.positionOf(ctx, name)
		if err != nil {
			return nil, err
		}
		replaced := is.found && !was.Created.IsZero() && !is.created.Equal(was.Created)
		switch {
		case is.last < was.Last:
			lost = append(lost,
				Loss{Stream: name, Marked: was.Last, Found: is.last, Missing: was.Last - is.last, Replaced: replaced})
		case replaced && was.Last > 0:
			lost = append(lost, Loss{Stream: name, Marked: was.Last, Found: is.last, Missing: was.Last, Replaced: true})
		case is.gaps > was.Gaps:
			missing := uint64(is.gaps - was.Gaps) //nolint:gosec // positive
			lost = append(lost, Loss{Stream: name, Marked: was.Last, Found: is.last, Missing: missing})
		}
	}
	return lost, nil
}

// checkMark refuses an embedded store that is behind its mark. No mark is that of
// a store that was made before there were any, or of none.
func (b *Bus) checkMark(ctx context.Context) error {
	file := b.cfg.Embedded.markFile()
	m, err := readMark(file)
	if err != nil || m == nil {
		return err
	}
	lost, err := b.losses(ctx, m)
	if err != nil || len(lost) == 0 {
		return err
	}
	return lossError(lost, file)
}

// marker keeps the mark of a store while it is in use.
type marker struct {
	file string
	log  *zap.Logger

	wake, stop, ended chan struct{}

	writing sync.Mutex // one at a time

	mu    sync.Mutex
	mark  mark
	dirty bool
}

// newMarker takes what is there for what the mark has to be, and writes it.
func (b *Bus) newMarker(ctx context.Context) (*marker, error) {
	k := &marker{
		file: b.cfg.Embedded.markFile(), log: b.log.Named("mark"), wake: make(chan struct{}, 1), stop: make(chan struct{}),
		ended: make(chan struct{}),
		mark:  mark{Streams: map[string]markStream{}},
	}
	for _, p := range schema.Streams(1) {
		st, err := b.positionOf(ctx, p.Config.Name)
		if err != nil {
			return nil, err
		}
		k.mark.Streams[p.Config.Name] = markStream{Last: st.last, Created: st.created, Gaps: st.gaps}
	}
	if err := k.mark.write(k.file); err != nil {
		return nil, fmt.Errorf("%w; its folder has to be writable, or name another by nats.embedded.mark_file", err)
	}
	go k.run()
	return k, nil
}

// acked takes note of an acknowledged write. Leases and canaries come and go all
// the time and are no loss: they alone are no reason to write the mark.
func (k *marker) acked(stream, subject string, seq uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.mark.Streams[stream]
	if seq <= s.Last {
		return
	}
	s.Last = seq
	k.mark.Streams[stream] = s
	if !schema.Ephemeral(subject) {
		k.due()
	}
}

// due has the mark written within markEvery. mu is held.
func (k *marker) due() {
	if k.dirty {
		return
	}
	k.dirty = true
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// again has a write that failed tried again, whether anything more is stored or not.
func (k *marker) again() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.due()
}

// erasing says that so many messages are about to be taken out of a stream.
// Dying before they are, the mark allows for more than is missing.
func (k *marker) erasing(stream string, n int) error {
	k.mu.Lock()
	s := k.mark.Streams[stream]
	s.Gaps += n
	k.mark.Streams[stream] = s
	k.mu.Unlock()
	return k.write()
}

// replaced says that a stream was made again, and no loss is to be seen in that.
func (k *marker) replaced(stream string, st streamPosition) error {
	k.mu.Lock()
	k.mark.Streams[stream] = markStream{Last: st.last, Created: st.created, Gaps: st.gaps}
	k.mu.Unlock()
	return k.write()
}

func (k *marker) write() error {
	k.writing.Lock()
	defer k.writing.Unlock()
	k.mu.Lock()
	k.dirty = false
	m := k.mark
	m.Streams = make(map[string]markStream, len(k.mark.Streams))
	for name, s := range k.mark.Streams {
		m.Streams[name] = s
	}
	k.mu.Unlock()
	err := m.write(k.file)
	if err != nil {
		k.again()
	}
	return err
}

func (k *marker) run() {
	defer close(k.ended)
	for {
		select {
		case <-k.stop:
			return
		case <-k.wake:
		}
		wait := time.NewTimer(markEvery)
		select {
		case <-k.stop:
			wait.Stop()
			return
		case <-wait.C:
		}
		if err := k.write(); err != nil {
			k.log.Error("mark not written: a loss of what comes now would not be noticed", zap.Error(err))
		}
	}
}

// close writes what is not written yet.
func (k *marker) close() error {
	close(k.stop)
	<-k.ended
	return k.write()
}
