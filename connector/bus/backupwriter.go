package bus

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"io"
)

// frameWriter writes a backup file.
type frameWriter struct {
	w   *bufio.Writer
	sum hash.Hash
	buf []byte
}

func newFrameWriter(w io.Writer) (*frameWriter, error) {
	f := &frameWriter{w: bufio.NewWriterSize(w, 256<<10), sum: sha256.New()}
	return f, f.put([]byte(backupMagic))
}

func (f *frameWriter) put(b []byte) error {
	f.sum.Write(b)
	_, err := f.w.Write(b)
	return err
}

func (f *frameWriter) frame(letter byte, b []byte) error {
	head := binary.BigEndian.AppendUint32([]byte{letter}, uint32(len(b))) //nolint:gosec // a message is less
	if err := f.put(head); err != nil {
		return err
	}
	return f.put(b)
}

func (f *frameWriter) json(letter byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode backup: %w", err)
	}
	return f.frame(letter, b)
}

func (f *frameWriter) message(r *record) error {
	f.buf = r.encode(f.buf)
	return f.frame(frameMessage, f.buf)
}

func (f *frameWriter) close(t backupTrailer) error {
	if err := f.json(frameTrailer, t); err != nil {
		return err
	}
	if _, err := f.w.Write(f.sum.Sum(nil)); err != nil {
		return err
	}
	return f.w.Flush()
}
