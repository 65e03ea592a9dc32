package notes

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"

	"pullprint/trigger/fuzztest"
)

// slotOf is a slot with lengths of its own, whose checksum is right.
func slotOf(key, value int, body []byte) []byte {
	raw := make([]byte, slotSize)
	copy(raw[headerSize:], body)
	binary.LittleEndian.PutUint16(raw[0:], uint16(key))
	binary.LittleEndian.PutUint16(raw[2:], uint16(value))
	binary.LittleEndian.PutUint32(raw[4:], crc32.ChecksumIEEE(raw[headerSize:]))
	return raw
}

// A slot is taken for a note only if it is whole.
func TestSlots(t *testing.T) {
	const room = slotSize - headerSize
	good, ok := encodeNote("key", []byte("value"), 7)
	if key, value, until, read := decodeNote(good); !ok || !read || key != "key" || string(value) != "value" || until != 7 {
		t.Errorf("%q, %q, %d, %t", key, value, until, read)
	}
	for _, at := range []int{headerSize, headerSize + 4, slotSize - 1, 4} {
		flipped := bytes.Clone(good)
		flipped[at] ^= 1
		if _, _, _, ok := decodeNote(flipped); ok {
			t.Errorf("byte %d was changed, and it is taken", at)
		}
	}
	for name, raw := range map[string][]byte{
		"free": make([]byte, slotSize), "no key": slotOf(0, 5, []byte("value")), "longer than its slot": slotOf(1, room, nil),
		"a key longer than its slot": slotOf(room+1, 0, nil),
	} {
		if key, value, _, ok := decodeNote(raw); ok {
			t.Errorf("%s: taken as %q, %q", name, key, value)
		}
	}
	// An earlier version had no time: what is as long as the whole slot is read without one.
	if _, value, until, ok := decodeNote(slotOf(1, room-1, []byte(strings.Repeat("x", room)))); !ok || len(value) != room-1 || until != 0 {
		t.Errorf("%d bytes, until %d, %t", len(value), until, ok)
	}
	if _, ok := encodeNote("k", make([]byte, room-timeSize), 0); ok {
		t.Error("a note longer than its slot is written")
	}
}

// FuzzSlot: whatever a slot holds, it is a note or free, and a note is the same after it was written again.
func FuzzSlot(f *testing.F) {
	good, _ := encodeNote("key", []byte("value"), 7)
	f.Add(good, false)
	f.Add(slotOf(3, 100, []byte("key")), true)
	watch := fuzztest.New(f, fuzztest.Small)
	f.Fuzz(func(t *testing.T, raw []byte, sum bool) {
		defer watch.Input(t)()
		slot := make([]byte, slotSize)
		copy(slot, raw)
		if sum { // else hardly any would be right
			binary.LittleEndian.PutUint32(slot[4:], crc32.ChecksumIEEE(slot[headerSize:]))
		}
		key, value, until, ok := decodeNote(slot)
		if !ok {
			return
		}
		again, ok := encodeNote(key, value, until)
		if !ok {
			return // of an earlier version, and long
		}
		if k, v, u, ok := decodeNote(again); !ok || k != key || !bytes.Equal(v, value) || u != until {
			t.Errorf("%q %q %d, and then %q %q %d", key, value, until, k, v, u)
		}
	})
}
