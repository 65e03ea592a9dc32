package pages

import (
	"bufio"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash"
	"hash/adler32"
	"hash/crc32"
	"io"
)

// checked inflates a zlib stream and verifies its checksum (RFC 1950): altered data can still
// be valid and mean something else. A wrong or missing checksum is ErrDamaged.
type checked struct {
	r   *bufio.Reader
	z   io.Reader
	sum hash.Hash32
	err error
}

func newChecked(r *bufio.Reader) *checked {
	return &checked{r: r, z: flate.NewReader(r), sum: adler32.New()}
}

// Read implements io.Reader.
func (c *checked) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.z.Read(p)
	c.sum.Write(p[:n])
	if errors.Is(err, io.EOF) {
		var want [4]byte
		if _, serr := io.ReadFull(c.r, want[:]); isBudget(serr) {
			err = serr
		} else if serr != nil || binary.BigEndian.Uint32(want[:]) != c.sum.Sum32() {
			err = ErrDamaged
		}
	}
	c.err = err
	return n, err
}

// summed reads data of known length and CRC-32, and returns ErrDamaged if either is wrong.
type summed struct {
	r    io.Reader
	left int64
	want uint32
	sum  hash.Hash32
}

func newSummed(r io.Reader, length int64, want uint32) *summed {
	return &summed{r: r, left: length, want: want, sum: crc32.NewIEEE()}
}

// Read implements io.Reader.
func (s *summed) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.sum.Write(p[:n])
	if s.left -= int64(n); s.left < 0 || (errors.Is(err, io.EOF) && (s.left != 0 || s.sum.Sum32() != s.want)) {
		return 0, ErrDamaged
	}
	return n, err
}
