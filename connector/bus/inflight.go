package bus

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"
	"time"

	"pullprint/connector/bus/fault"
	"pullprint/connector/bus/link"
	"pullprint/connector/bus/schema"
	"pullprint/connector/bus/stored"
	"pullprint/connector/bus/write"
	"pullprint/connector/store"
)

// The file of the embedded store that says what is being worked on: slots of one
// size, so that a note is written in place by one write that moves no other.
const (
	inflightName = "pullprint.inflight"
	inflightSlot = 512
	// inflightSlots is what the file has room for: four times as many notes as a
	// process has workers. When there is no room left, the note makes room whose ttl
	// ends first: what is in work was noted lately.
	inflightSlots  = 2048
	inflightHeader = 8 // bytes of a slot: length of the key, length of the value, checksum
	inflightTime   = 8 // and at its end: when its ttl ends, in Unix nanoseconds
)

// A note with more than longTTL left is one of a job that was given up. Of these there are
// maxLong at most, so that what is in work has twice the room that it needs; another one
// takes the place of the first.
const (
	longTTL = 30 * 24 * time.Hour
	maxLong = inflightSlots / 2
)

const inflightPrefix = "inflight."

// Inflight keeps notes of what is being worked on, for whoever comes after a
// process that died at it.
//
// With the embedded store it is a file in the store's directory that is written
// and not synced: what a process has written outlives it, and nothing that it
// works on takes the machine down. A note costs microseconds. With an external
// server it is a key of the state bucket, and costs a durable write.
type Inflight struct {
	b  *Bus
	kv *stored.KV // of an external server

	mu       sync.Mutex
	file     *os.File // nil until the first note
	closed   bool
	notes    map[string]noteSlot
	free     []int
	revision uint64
}

type noteSlot struct {
	slot     int
	value    []byte
	revision uint64
	until    int64 // when its ttl ends
}

// Inflight is where notes of what is being worked on are kept.
func (b *Bus) Inflight() *Inflight { return b.inflight }

func (b *Bus) newInflight() *Inflight {
	i := &Inflight{b: b}
	if b.cfg.Embedded == nil {
		i.kv = b.State()
	}
	return i
}

// Get reads a note: nil, 0, nil when there is none.
func (i *Inflight) Get(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	if i.kv != nil {
		return i.kv.Get(ctx, inflightPrefix+key)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.open(); err != nil {
		return nil, 0, err
	}
	n := i.notes[key]
	return n.value, n.revision, nil
}

// CompareAndSet stores a note if it is at revision (0: there is none), as
// KV.CompareAndSet does. A note in a file stays when its ttl has ended, until another
// needs the room.
func (i *Inflight) CompareAndSet(
	ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration,
) (newRevision uint64, swapped bool, err error) {
	if i.kv != nil {
		return i.kv.CompareAndSet(ctx, inflightPrefix+key, value, revision, ttl)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.open(); err != nil {
		return 0, false, err
	}
	n, known := i.notes[key]
	if n.revision != revision {
		return 0, false, nil
	}
	if !known {
		if len(i.free) == 0 {
			i.makeRoom()
		}
		n.slot = i.free[len(i.free)-1]
	}
	n.until = time.Now().Add(ttl).UnixNano()
	if err := i.write(n.slot, key, value, n.until); err != nil {
		return 0, false, err
	}
	if !known {
		i.free = i.free[:len(i.free)-1]
	}
	i.revision++
	n.value, n.revision = bytes.Clone(value), i.revision
	i.notes[key] = n
	return n.revision, true, nil
}

// makeRoom drops a note. The slot is written by whoever takes it.
func (i *Inflight) makeRoom() {
	long, since := 0, time.Now().Add(longTTL).UnixNano()
	first, firstLong := "", ""
	for key, n := range i.notes {
		if i.sooner(key, first) {
			first = key
		}
		if n.until <= since {
			continue
		}
		if long++; i.sooner(key, firstLong) {
			firstLong = key
		}
	}
	if long > maxLong {
		first = firstLong
	}
	i.free = append(i.free, i.notes[first].slot)
	delete(i.notes, first)
}

// sooner reports whether a note makes room before another, which may be none.
func (i *Inflight) sooner(key, than string) bool {
	n, o := i.notes[key], i.notes[than]
	return than == "" || cmp.Or(cmp.Compare(n.until, o.until), cmp.Compare(n.revision, o.revision)) < 0
}

// Delete removes a note that is at revision; false means that it is at another.
func (i *Inflight) Delete(ctx context.Context, key string, revision uint64) (bool, error) {
	if i.kv != nil {
		return i.kv.Delete(ctx, inflightPrefix+key, revision)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.open(); err != nil {
		return false, err
	}
	n, known := i.notes[key]
	if !known || n.revision != revision {
		return false, nil
	}
	if err := i.write(n.slot, "", nil, 0); err != nil {
		return false, err
	}
	delete(i.notes, key)
	i.free = append(i.free, n.slot)
	return true, nil
}

// Alive reports whether an instance gave a sign of life lately, by the server's
// clock. The embedded store has one process, which is this one.
func (i *Inflight) Alive(ctx context.Context, instance string) (bool, error) {
	if i.kv == nil {
		return instance == i.b.instance, nil
	}
	ctx, cancel := link.WithLimit(ctx, write.Limit)
	defer cancel()
	s, err := i.b.link.JS.Stream(ctx, i.kv.Stream())
	if err != nil {
		return false, fmt.Errorf("ask whether %s works: %w", instance, fault.Unavailable(err))
	}
	now, alive := s.CachedInfo().TimeStamp, false
	r := stored.Reader{Link: i.b.link, Stream: i.kv.Stream(), Filter: "$KV." + i.kv.Name() + ".canary." + schema.Token(instance), LastPerSubject: true}
	err = r.Read(ctx, func(m stored.Message) error {
		alive = !m.Absent && now.Sub(m.Stored) < aliveFor
		return nil
	}, nil)
	if err != nil {
		return false, fmt.Errorf("ask whether %s works: %w", instance, fault.Unavailable(err))
	}
	return alive, nil
}

// open reads the file, or makes it. A slot that makes no sense is free: its note
// was never written to its end.
func (i *Inflight) open() error {
	switch {
	case i.closed:
		return fault.ErrClosed
	case i.file != nil:
		return nil
	}
	f, err := os.OpenFile(filepath.Join(i.b.cfg.Embedded.StoreDir, inflightName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("%w: open the notes of what is worked on: %w", store.ErrUnavailable, err)
	}
	all := make([]byte, inflightSlots*inflightSlot)
	if n, _ := f.ReadAt(all, 0); n < len(all) { // what can't be read is no note
		// A new file gets its size now, so that a note later needs no room on disk.
		if _, err := f.WriteAt(all[n:], int64(n)); err != nil {
			return errors.Join(fmt.Errorf("%w: make room for the notes of what is worked on: %w", store.ErrUnavailable, err),
				f.Close())
		}
	}
	i.file, i.notes, i.free = f, map[string]noteSlot{}, nil
	for slot := inflightSlots - 1; slot >= 0; slot-- {
		key, value, until, ok := decodeNote(all[slot*inflightSlot : (slot+1)*inflightSlot])
		if !ok {
			i.free = append(i.free, slot)
			continue
		}
		i.revision++
		i.notes[key] = noteSlot{slot, value, i.revision, until}
	}
	return nil
}

func (i *Inflight) close() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
	if i.file == nil {
		return nil
	}
	return i.file.Close()
}

func (i *Inflight) write(slot int, key string, value []byte, until int64) error {
	raw, ok := encodeNote(key, value, until)
	if !ok {
		return fmt.Errorf("note of %d bytes is too long", len(key)+len(value))
	}
	if _, err := i.file.WriteAt(raw, int64(slot)*inflightSlot); err != nil {
		return fmt.Errorf("%w: note what is worked on: %w", store.ErrUnavailable, err)
	}
	return nil
}

// encodeNote makes a slot; an empty key makes a free one. A version that did not write
// the time reads it all the same.
func encodeNote(key string, value []byte, until int64) (raw []byte, ok bool) {
	raw = make([]byte, inflightSlot)
	if key == "" {
		return raw, true
	}
	if len(key)+len(value) > inflightSlot-inflightHeader-inflightTime {
		return nil, false
	}
	binary.LittleEndian.PutUint16(raw[0:], uint16(len(key)))   //nolint:gosec // less than a slot
	binary.LittleEndian.PutUint16(raw[2:], uint16(len(value))) //nolint:gosec // less than a slot
	body := raw[inflightHeader:]
	copy(body, key)
	copy(body[len(key):], value)
	binary.LittleEndian.PutUint64(body[len(body)-inflightTime:], uint64(until)) //nolint:gosec // of our own clock
	binary.LittleEndian.PutUint32(raw[4:], crc32.ChecksumIEEE(body))
	return raw, true
}

func decodeNote(raw []byte) (key string, value []byte, until int64, ok bool) {
	body := raw[inflightHeader:]
	nk, nv := int(binary.LittleEndian.Uint16(raw[0:])), int(binary.LittleEndian.Uint16(raw[2:]))
	if nk == 0 || nk+nv > len(body) || binary.LittleEndian.Uint32(raw[4:]) != crc32.ChecksumIEEE(body) {
		return "", nil, 0, false
	}
	if nk+nv <= len(body)-inflightTime { // else it is of the version before, and long
		until = int64(binary.LittleEndian.Uint64(body[len(body)-inflightTime:])) //nolint:gosec // ours
	}
	return string(body[:nk]), bytes.Clone(body[nk : nk+nv]), until, true
}
