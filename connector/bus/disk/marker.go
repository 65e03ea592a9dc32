package disk

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/schema"
)

// markEvery is how long the mark may be behind the store: as long as writes are lost to it.
const markEvery = time.Second

// Marker keeps the mark of a store while it is in use.
type Marker struct {
	file string
	log  *zap.Logger

	wake, stop, ended chan struct{}

	writing sync.Mutex // one at a time

	mu    sync.Mutex // guards what is below
	mark  Mark
	dirty bool
}

// NewMarker writes a mark to a file and keeps it there.
func NewMarker(file string, m Mark, log *zap.Logger) (*Marker, error) {
	k := &Marker{
		file: file, log: log, wake: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{}), mark: m,
	}
	if err := k.mark.Write(k.file); err != nil {
		return nil, fmt.Errorf("%w; its folder has to be writable, or name another by nats.embedded.mark_file", err)
	}
	go k.run()
	return k, nil
}

// Acked takes note of an acknowledged write. Leases and canaries come and go all
// the time and are no loss: they alone are no reason to write the mark.
func (k *Marker) Acked(stream, subject string, seq uint64) {
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
func (k *Marker) due() {
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
func (k *Marker) again() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.due()
}

// Erasing says that so many messages are about to be taken out of a stream.
// If the process dies before they are, the mark allows for more than is missing.
func (k *Marker) Erasing(stream string, n int) error {
	k.mu.Lock()
	s := k.mark.Streams[stream]
	s.Gaps += n
	k.mark.Streams[stream] = s
	k.mu.Unlock()
	return k.write()
}

// Replaced says that a stream was made again, and no loss is to be seen in that.
func (k *Marker) Replaced(stream string, is Position) error {
	k.mu.Lock()
	k.mark.Streams[stream] = is
	k.mu.Unlock()
	return k.write()
}

func (k *Marker) write() error {
	k.writing.Lock()
	defer k.writing.Unlock()
	k.mu.Lock()
	k.dirty = false
	m := k.mark
	m.Streams = maps.Clone(k.mark.Streams)
	k.mu.Unlock()
	err := m.Write(k.file)
	if err != nil {
		k.again()
	}
	return err
}

func (k *Marker) run() {
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

// Close writes what is not written yet.
func (k *Marker) Close() error {
	close(k.stop)
	<-k.ended
	return k.write()
}
