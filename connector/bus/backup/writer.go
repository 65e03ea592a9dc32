package backup

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"io"
)

// Writer writes a backup file.
type Writer struct {
	w   *bufio.Writer
	sum hash.Hash
	buf []byte
}

// NewWriter begins a file on w.
func NewWriter(w io.Writer) (*Writer, error) {
	f := &Writer{w: bufio.NewWriterSize(w, 256<<10), sum: sha256.New()}
	return f, f.put([]byte(fileMagic))
}

func (f *Writer) put(b []byte) error {
	f.sum.Write(b)
	_, err := f.w.Write(b)
	return err
}

func (f *Writer) frame(letter byte, b []byte) error {
	head := binary.BigEndian.AppendUint32([]byte{letter}, uint32(len(b))) //nolint:gosec // a message is less
	if err := f.put(head); err != nil {
		return err
	}
	return f.put(b)
}

func (f *Writer) json(letter byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode backup: %w", err)
	}
	return f.frame(letter, b)
}

// WriteHeader writes what a file begins with.
func (f *Writer) WriteHeader(h Header) error { return f.json(frameHeader, h) }

// BeginStream begins a part with messages of a stream.
func (f *Writer) BeginStream(name string) error { return f.frame(frameStream, []byte(name)) }

// WriteMessage writes a message of the stream begun last.
func (f *Writer) WriteMessage(r *Record) error {
	f.buf = r.Encode(f.buf)
	return f.frame(frameMessage, f.buf)
}

// Close writes the end of the file; the caller closes what it is written to.
func (f *Writer) Close(t Trailer) error {
	if err := f.json(frameTrailer, t); err != nil {
		return err
	}
	if _, err := f.w.Write(f.sum.Sum(nil)); err != nil {
		return err
	}
	return f.w.Flush()
}
