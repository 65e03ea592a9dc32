// Package backup is the file format of a copy of the store: writing it, checking it, reading
// it, and sending the streams in it to a server that restores them. A file is believed only
// once it has been read through: see Open.
package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"pullprint/connector/bus/schema"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrUnusable: a file is not a complete backup.
var ErrUnusable = errors.New("the backup can't be used")

// A backup file is
//
//	pullprint backup 1\n
//	frames: a letter, 4 bytes of length, big-endian, and what the letter says
//	    H  Header in JSON, once, first
//	    S  the name of a stream: what follows is of it; a stream may come again
//	    M  a message: sequence and time in nanoseconds (8 bytes each), the lengths of
//	       subject (2) and headers (4), subject, headers, body
//	    Z  Trailer in JSON, once, last
//	the SHA-256 of all before, 32 bytes
//
// The messages of a stream are in the order of their sequences. Of a bucket a key
// may come several times, when it was written while the backup was made: the last
// counts.
const (
	fileMagic = "pullprint backup 1\n"

	frameHeader  = 'H'
	frameStream  = 'S'
	frameMessage = 'M'
	frameTrailer = 'Z'

	// frameHead is the letter of a frame and its length.
	frameHead = 1 + 4
	maxFrame  = 128 << 20
	// frameBuffer is how much of a file is read at once.
	frameBuffer = 256 << 10
)

// Header says what a file is.
type Header struct {
	Created time.Time `json:"created"`
	// Format is that of the records: see package bus.
	Format int `json:"format"`
	// Readable is the oldest format whose programs can work with them.
	Readable int `json:"readable_by"`
}

// Trailer is the end of a file.
type Trailer struct {
	// Streams are how far each had come.
	Streams map[string]StreamEnd `json:"streams"`
	// Floor is how far the tasks are done.
	Floor jetstream.SequenceInfo `json:"floor"`
}

// StreamEnd is where the copy of a stream ends.
type StreamEnd struct {
	First    uint64 `json:"first"`
	Last     uint64 `json:"last"`
	Messages uint64 `json:"messages"` // in the file
}

// Record is a message as it is stored.
type Record struct {
	Sequence uint64
	Time     time.Time
	Header   nats.Header
	Subject  string
	Body     []byte
}

// headerBytes writes headers as NATS does, sorted by name: the same headers are
// the same bytes.
func headerBytes(h nats.Header) []byte {
	if len(h) == 0 {
		return nil
	}
	var b bytes.Buffer
	b.WriteString("NATS/1.0\r\n")
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			b.WriteString(name + ": " + value + "\r\n")
		}
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// Encode is the record as it stands in a file, and is hashed.
func (r *Record) Encode(buf []byte) []byte {
	header := headerBytes(r.Header)
	buf = binary.BigEndian.AppendUint64(buf[:0], r.Sequence)
	buf = binary.BigEndian.AppendUint64(buf, uint64(r.Time.UnixNano()))
	buf = binary.BigEndian.AppendUint16(buf, uint16(len(r.Subject))) //nolint:gosec // the server's limit is less
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(header)))    //nolint:gosec // so is this
	return append(append(append(buf, r.Subject...), header...), r.Body...)
}

func decodeRecord(b []byte) (Record, error) {
	const fixed = 8 + 8 + 2 + 4
	if len(b) < fixed {
		return Record{}, fmt.Errorf("%w: a message is cut short", ErrUnusable)
	}
	stored := int64(binary.BigEndian.Uint64(b[8:])) //nolint:gosec // bits
	r := Record{Sequence: binary.BigEndian.Uint64(b), Time: time.Unix(0, stored)}
	subj, header := int(binary.BigEndian.Uint16(b[16:])), int(binary.BigEndian.Uint32(b[18:]))
	if len(b) < fixed+subj+header {
		return Record{}, fmt.Errorf("%w: a message is cut short", ErrUnusable)
	}
	r.Subject = string(b[fixed : fixed+subj])
	if header > 0 {
		var err error
		if r.Header, err = nats.DecodeHeadersMsg(b[fixed+subj : fixed+subj+header]); err != nil {
			return Record{}, fmt.Errorf("%w: the headers of a message: %w", ErrUnusable, err)
		}
	}
	r.Body = b[fixed+subj+header:]
	return r, nil
}

// segment is a part of a file that holds messages of one stream.
type segment struct{ from, to int64 }

// File is a file that was read through once: it is whole, and nobody has
// changed it since it was written, short of changing its sum as well.
type File struct {
	src      io.ReaderAt
	Header   Header
	Trailer  Trailer
	segments map[string][]segment
	// newest is the last sequence of each key of a bucket: by stream, by subject.
	newest map[string]map[string]uint64
	// LeaveOut, when set, says which subjects are not to be stored again.
	LeaveOut func(subject string) bool
}

// Open reads a file through and checks everything about it.
func Open(src io.ReaderAt, size int64) (*File, error) {
	f := &File{src: src, segments: map[string][]segment{}, newest: map[string]map[string]uint64{}}
	magic := make([]byte, len(fileMagic))
	if _, err := src.ReadAt(magic, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read backup: %w", err)
	}
	if string(magic) != fileMagic {
		return nil, fmt.Errorf("%w: it is no backup of pullprint, or one of a newer version", ErrUnusable)
	}
	if size < int64(len(fileMagic))+sha256.Size {
		return nil, fmt.Errorf("%w: it ends early", ErrUnusable)
	}
	want := make([]byte, sha256.Size)
	if _, err := src.ReadAt(want, size-sha256.Size); err != nil {
		return nil, fmt.Errorf("read backup: %w", err)
	}
	sum := sha256.New()
	sum.Write(magic)
	body := io.NewSectionReader(src, int64(len(fileMagic)), size-int64(len(fileMagic))-sha256.Size)
	if err := f.scan(&frames{bufio.NewReaderSize(io.TeeReader(body, sum), frameBuffer), body.Size()}); err != nil {
		return nil, err
	}
	if !bytes.Equal(sum.Sum(nil), want) {
		return nil, fmt.Errorf("%w: its checksum is wrong: it is damaged, or was cut off while it was written", ErrUnusable)
	}
	return f, nil
}

// scan reads all frames.
func (f *File) scan(r *frames) error {
	at := int64(len(fileMagic))
	stream, count := "", map[string]uint64{}
	last := map[string]uint64{}
	for n := 0; ; n++ {
		letter, body, err := r.next()
		if errors.Is(err, io.EOF) {
			return errEndsEarly
		}
		if err != nil {
			return err
		}
		if (n == 0) != (letter == frameHeader) {
			return fmt.Errorf("%w: its parts are in no order", ErrUnusable)
		}
		from := at
		at += frameHead + int64(len(body))
		switch letter {
		case frameHeader:
			if err := json.Unmarshal(body, &f.Header); err != nil {
				return fmt.Errorf("%w: its header: %w", ErrUnusable, err)
			}
		case frameStream:
			stream = string(body)
			if !slices.ContainsFunc(schema.Streams(1), func(p schema.Stream) bool { return p.Config.Name == stream }) {
				return fmt.Errorf("%w: it has a stream %.100q that this version does not know", ErrUnusable, stream)
			}
			f.segments[stream] = append(f.segments[stream], segment{at, at})
		case frameMessage:
			m, err := decodeRecord(body)
			if err != nil {
				return err
			}
			if stream == "" || m.Sequence <= last[stream] {
				return fmt.Errorf("%w: its messages are in no order", ErrUnusable)
			}
			last[stream], count[stream] = m.Sequence, count[stream]+1
			segments := f.segments[stream]
			segments[len(segments)-1].to = at
			if !schema.OnlyGrows(stream) {
				f.note(stream, &m)
			}
		case frameTrailer:
			if err := json.Unmarshal(body, &f.Trailer); err != nil {
				return fmt.Errorf("%w: its end: %w", ErrUnusable, err)
			}
			if r.left > 0 {
				return fmt.Errorf("%w: there is something behind its end", ErrUnusable)
			}
			return f.checkCounts(count, last)
		default:
			return fmt.Errorf("%w: it has a part %q at %d that this version does not know", ErrUnusable, letter, from)
		}
	}
}

func (f *File) note(stream string, m *Record) {
	if f.newest[stream] == nil {
		f.newest[stream] = map[string]uint64{}
	}
	f.newest[stream][m.Subject] = m.Sequence
}

func (f *File) checkCounts(count, last map[string]uint64) error {
	for _, p := range schema.Streams(1) {
		name := p.Config.Name
		end, ok := f.Trailer.Streams[name]
		if !ok && schema.AddedLater(name) && count[name] == 0 {
			continue
		}
		if !ok || end.Messages != count[name] || end.Last < last[name] {
			return fmt.Errorf("%w: messages of %s in it: %d, and there should be %d", ErrUnusable, name, count[name],
				end.Messages)
		}
	}
	return nil
}

// frames reads the frames of a part of a file.
type frames struct {
	r    *bufio.Reader
	left int64 // bytes of the part that are not read yet
}

// errEndsEarly is of a file that was cut off, or claims a frame that is longer than it.
var errEndsEarly = fmt.Errorf("%w: it ends early", ErrUnusable)

// next is the next frame, or io.EOF where the part ends. What a frame says about its
// length is believed only as far as the file goes.
func (f *frames) next() (letter byte, body []byte, err error) {
	if f.left == 0 {
		return 0, nil, io.EOF
	}
	var head [frameHead]byte
	if err := f.fill(head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxFrame {
		return 0, nil, fmt.Errorf("%w: it is damaged", ErrUnusable)
	}
	if int64(n) > f.left {
		return 0, nil, errEndsEarly
	}
	body = make([]byte, n)
	if err := f.fill(body); err != nil {
		return 0, nil, err
	}
	return head[0], body, nil
}

func (f *frames) fill(b []byte) error {
	n, err := io.ReadFull(f.r, b)
	f.left -= int64(n)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errEndsEarly
	case err != nil:
		return fmt.Errorf("read backup: %w", err) // the disk, not the file
	}
	return nil
}

// each calls fn with the messages of a stream that are to be stored again, in
// their order: of a bucket the last of each key, and nothing of a process that has
// ended, nor what LeaveOut says.
func (f *File) each(stream string, fn func(*Record) error) error {
	newest := f.newest[stream]
	for _, s := range f.segments[stream] {
		part := io.NewSectionReader(f.src, s.from, s.to-s.from)
		r := frames{bufio.NewReaderSize(part, frameBuffer), part.Size()}
		for {
			_, body, err := r.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			m, err := decodeRecord(body)
			if err != nil {
				return err
			}
			if schema.Ephemeral(m.Subject) || (newest != nil && newest[m.Subject] != m.Sequence) ||
				(f.LeaveOut != nil && f.LeaveOut(m.Subject)) {
				continue
			}
			if err := fn(&m); err != nil {
				return err
			}
		}
	}
	return nil
}
