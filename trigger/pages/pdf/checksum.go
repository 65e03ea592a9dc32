package pdf

import (
	"bufio"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash"
	"hash/adler32"
	"io"

	"pullprint/trigger/pages/document"
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
		if _, serr := io.ReadFull(c.r, want[:]); document.IsFinal(serr) {
			err = serr
		} else if serr != nil || binary.BigEndian.Uint32(want[:]) != c.sum.Sum32() {
			err = document.ErrDamaged
		}
	}
	c.err = err
	return n, err
}
