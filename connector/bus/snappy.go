package bus

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

// snappyWriter writes the frames of the Snappy format, which NATS's archives come
// in, without compressing anything: nothing of it is kept.
type snappyWriter struct {
	w     io.Writer
	buf   []byte
	began bool
}

const snappyBlock = 64 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func newSnappyWriter(w io.Writer) io.Writer { return &snappyWriter{w: w} }

func (s *snappyWriter) Write(p []byte) (n int, err error) {
	if !s.began {
		s.began = true
		if _, err := io.WriteString(s.w, "\xff\x06\x00\x00sNaPpY"); err != nil {
			return 0, err
		}
	}
	for n < len(p) {
		block := p[n:min(len(p), n+snappyBlock)]
		sum := crc32.Checksum(block, castagnoli)
		length := len(block) + 4
		s.buf = append(s.buf[:0], 0x01, byte(length), byte(length>>8), byte(length>>16)) //nolint:gosec // three bytes of it
		s.buf = binary.LittleEndian.AppendUint32(s.buf, (sum>>15|sum<<17)+0xa282ead8)
		s.buf = append(s.buf, block...)
		if _, err := s.w.Write(s.buf); err != nil {
			return n, err
		}
		n += len(block)
	}
	return n, nil
}
