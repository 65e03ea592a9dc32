// Package notes keeps notes of what is being worked on, for whoever comes after a process that
// died at it. At most maxSlots notes are kept in a file; another one takes the place of
// the one whose time ends first.
package notes

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
	fileName = "pullprint.inflight"
	slotSize = 512
	// maxSlots is what the file has room for: four times as many notes as a
	// process has workers. When there is no room left, the note makes room whose ttl
	// ends first: what is in work was noted lately.
	maxSlots   = 2048
	headerSize = 8 // bytes of a slot: length of the key, length of the value, checksum
	timeSize   = 8 // and at its end: when its ttl ends, in Unix nanoseconds
)

// A note with more than longTTL left is one of a job that was given up. Of these there are
// maxLong at most, so that what is in work has twice the room that it needs; another one
// takes the place of the first.
const (
	longTTL = 30 * 24 * time.Hour
	maxLong = maxSlots / 2
)

const keyPrefix = "inflight."

// Notes are in a file of the embedded store's directory, which is written and not synced: what
// a process has written outlives it, and nothing that it works on takes the machine down. A
// note costs microseconds. With an external server they are keys of the state bucket, and cost
// a durable write.
type Notes struct {
	link     *link.Link
	kv       *stored.KV // of an external server
	dir      string     // of the embedded store
	instance string

	mu       sync.Mutex // guards all below, and the file
	file     *os.File   // nil until the first note
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

// InFile returns notes in a file in the folder of the embedded store, of an instance.
func InFile(dir, instance string) *Notes { return &Notes{dir: dir, instance: instance} }

// InBucket returns notes in a bucket of an external server.
func InBucket(l *link.Link, kv *stored.KV) *Notes { return &Notes{link: l, kv: kv} }

// Get reads a note: nil, 0, nil when there is none.
func (i *Notes) Get(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	if i.kv != nil {
		return i.kv.Get(ctx, keyPrefix+key)
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
func (i *Notes) CompareAndSet(
	ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration,
) (newRevision uint64, swapped bool, err error) {
	if i.kv != nil {
		return i.kv.CompareAndSet(ctx, keyPrefix+key, value, revision, ttl)
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
func (i *Notes) makeRoom() {
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
func (i *Notes) sooner(key, than string) bool {
	n, o := i.notes[key], i.notes[than]
	return than == "" || cmp.Or(cmp.Compare(n.until, o.until), cmp.Compare(n.revision, o.revision)) < 0
}

// Delete removes a note that is at revision; false means that it is at another.
func (i *Notes) Delete(ctx context.Context, key string, revision uint64) (bool, error) {
	if i.kv != nil {
		return i.kv.Delete(ctx, keyPrefix+key, revision)
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
func (i *Notes) Alive(ctx context.Context, instance string) (bool, error) {
	if i.kv == nil {
		return instance == i.instance, nil
	}
	ctx, cancel := link.WithLimit(ctx, write.Limit)
	defer cancel()
	s, err := i.link.JS.Stream(ctx, i.kv.Stream())
	if err != nil {
		return false, fmt.Errorf("ask whether %s works: %w", instance, fault.Unavailable(err))
	}
	now, alive := s.CachedInfo().TimeStamp, false
	r := stored.Reader{
		Link: i.link, Stream: i.kv.Stream(), Filter: "$KV." + i.kv.Name() + "." + schema.Canary(instance), LastPerSubject: true,
	}
	err = r.Read(ctx, func(m stored.Message) error {
		alive = !m.Absent && now.Sub(m.Stored) < schema.AliveFor
		return nil
	}, nil)
	if err != nil {
		return false, fmt.Errorf("ask whether %s works: %w", instance, fault.Unavailable(err))
	}
	return alive, nil
}

// open reads the file, or makes it. A slot that makes no sense is free: its note
// was never written to its end.
func (i *Notes) open() error {
	switch {
	case i.closed:
		return fault.ErrClosed
	case i.file != nil:
		return nil
	}
	f, err := os.OpenFile(filepath.Join(i.dir, fileName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("%w: open the notes of what is worked on: %w", store.ErrUnavailable, err)
	}
	all := make([]byte, maxSlots*slotSize)
	if n, _ := f.ReadAt(all, 0); n < len(all) { // what can't be read is no note
		// A new file gets its size now, so that a note later needs no room on disk.
		if _, err := f.WriteAt(all[n:], int64(n)); err != nil {
			return errors.Join(fmt.Errorf("%w: make room for the notes of what is worked on: %w", store.ErrUnavailable, err),
				f.Close())
		}
	}
	i.file, i.notes, i.free = f, map[string]noteSlot{}, nil
	for slot := maxSlots - 1; slot >= 0; slot-- {
		key, value, until, ok := decodeNote(all[slot*slotSize : (slot+1)*slotSize])
		if !ok {
			i.free = append(i.free, slot)
			continue
		}
		i.revision++
		i.notes[key] = noteSlot{slot, value, i.revision, until}
	}
	return nil
}

// Close closes the file; a note after it is refused.
func (i *Notes) Close() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
	if i.file == nil {
		return nil
	}
	return i.file.Close()
}

func (i *Notes) write(slot int, key string, value []byte, until int64) error {
	raw, ok := encodeNote(key, value, until)
	if !ok {
		return fmt.Errorf("note of %d bytes is too long", len(key)+len(value))
	}
	if _, err := i.file.WriteAt(raw, int64(slot)*slotSize); err != nil {
		return fmt.Errorf("%w: note what is worked on: %w", store.ErrUnavailable, err)
	}
	return nil
}

// encodeNote makes a slot; an empty key makes a free one. A version that did not write
// the time reads it all the same.
func encodeNote(key string, value []byte, until int64) (raw []byte, ok bool) {
	raw = make([]byte, slotSize)
	if key == "" {
		return raw, true
	}
	if len(key)+len(value) > slotSize-headerSize-timeSize {
		return nil, false
	}
	binary.LittleEndian.PutUint16(raw[0:], uint16(len(key)))   //nolint:gosec // less than a slot
	binary.LittleEndian.PutUint16(raw[2:], uint16(len(value))) //nolint:gosec // less than a slot
	body := raw[headerSize:]
	copy(body, key)
	copy(body[len(key):], value)
	binary.LittleEndian.PutUint64(body[len(body)-timeSize:], uint64(until)) //nolint:gosec // of our own clock
	binary.LittleEndian.PutUint32(raw[4:], crc32.ChecksumIEEE(body))
	return raw, true
}

func decodeNote(raw []byte) (key string, value []byte, until int64, ok bool) {
	body := raw[headerSize:]
	nk, nv := int(binary.LittleEndian.Uint16(raw[0:])), int(binary.LittleEndian.Uint16(raw[2:]))
	if nk == 0 || nk+nv > len(body) || binary.LittleEndian.Uint32(raw[4:]) != crc32.ChecksumIEEE(body) {
		return "", nil, 0, false
	}
	if nk+nv <= len(body)-timeSize { // else it is of the version before, and long
		until = int64(binary.LittleEndian.Uint64(body[len(body)-timeSize:])) //nolint:gosec // ours
	}
	return string(body[:nk]), bytes.Clone(body[nk : nk+nv]), until, true
}
