package bus

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"pullprint/connector/bus/disk"
	"pullprint/connector/bus/schema"
)

// markEvery is how long the mark may be behind the store: as long as writes are lost to it.
const markEvery = time.Second

func (e Embedded) markFile() string {
	if e.MarkFile != "" {
		return e.MarkFile
	}
	return filepath.Clean(e.StoreDir) + ".mark"
}

// streamPosition is how far a stream has come, by the server.
type streamPosition struct {
	found   bool
	last    uint64
	created time.Time
	gaps    int
}

func (b *Bus) positionOf(ctx context.Context, stream string) (streamPosition, error) {
	s, err := b.link.JS.Stream(ctx, stream)
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
func (b *Bus) losses(ctx context.Context, m *disk.Mark) ([]disk.Loss, error) {
	var lost []disk.Loss
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
				disk.Loss{Stream: name, Marked: was.Last, Found: is.last, Missing: was.Last - is.last, Replaced: replaced})
		case replaced && was.Last > 0:
			lost = append(lost, disk.Loss{Stream: name, Marked: was.Last, Found: is.last, Missing: was.Last, Replaced: true})
		case is.gaps > was.Gaps:
			missing := uint64(is.gaps - was.Gaps) //nolint:gosec // positive
			lost = append(lost, disk.Loss{Stream: name, Marked: was.Last, Found: is.last, Missing: missing})
		}
	}
	return lost, nil
}

// checkMark refuses an embedded store that is behind its mark. No mark is that of
// a store that was made before there were any, or of none.
func (b *Bus) checkMark(ctx context.Context) error {
	file := b.cfg.Embedded.markFile()
	m, err := disk.ReadMark(file)
	if err != nil || m == nil {
		return err
	}
	lost, err := b.losses(ctx, m)
	if err != nil || len(lost) == 0 {
		return err
	}
	return disk.LossError(lost, file)
}

// marker keeps the mark of a store while it is in use.
type marker struct {
	file string
	log  *zap.Logger

	wake, stop, ended chan struct{}

	writing sync.Mutex // one at a time

	mu    sync.Mutex
	mark  disk.Mark
	dirty bool
}

// newMarker takes what is there for what the mark has to be, and writes it.
func (b *Bus) newMarker(ctx context.Context) (*marker, error) {
	k := &marker{
		file: b.cfg.Embedded.markFile(), log: b.log.Named("mark"), wake: make(chan struct{}, 1), stop: make(chan struct{}),
		ended: make(chan struct{}),
		mark:  disk.Mark{Streams: map[string]disk.Position{}},
	}
	for _, p := range schema.Streams(1) {
		st, err := b.positionOf(ctx, p.Config.Name)
		if err != nil {
			return nil, err
		}
		k.mark.Streams[p.Config.Name] = disk.Position{Last: st.last, Created: st.created, Gaps: st.gaps}
	}
	if err := k.mark.Write(k.file); err != nil {
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
// If the process dies before they are, the mark allows for more than is missing.
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
	k.mark.Streams[stream] = disk.Position{Last: st.last, Created: st.created, Gaps: st.gaps}
	k.mu.Unlock()
	return k.write()
}

func (k *marker) write() error {
	k.writing.Lock()
	defer k.writing.Unlock()
	k.mu.Lock()
	k.dirty = false
	m := k.mark
	m.Streams = make(map[string]disk.Position, len(k.mark.Streams))
	for name, s := range k.mark.Streams {
		m.Streams[name] = s
	}
	k.mu.Unlock()
	err := m.Write(k.file)
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
			k.log.Error("mark file not written: a loss of newer writes would not be noticed", zap.Error(err))
		}
	}
}

// close writes what is not written yet.
func (k *marker) close() error {
	close(k.stop)
	<-k.ended
	return k.write()
}
