package pdf

import (
	"bufio"
	"io"

	"pullprint/trigger/pages/document"
)

// The codes of LZWDecode: 256 clears the table, 257 ends the data.
const (
	lzwClear = 256
	lzwEnd   = 257
	lzwCodes = 1 << 12
)

// lzw decodes LZWDecode. compress/lzw has another bit order and does not change the width early.
type lzw struct {
	r      *bufio.Reader
	early  bool
	bits   uint32
	count  uint
	next   int // the code that is defined next
	last   int
	prefix [lzwCodes]uint16
	suffix [lzwCodes]byte
	buf    [lzwCodes]byte
}

func (z *lzw) code() (int, error) {
	width, grow := uint(9), z.next
	if z.early {
		grow++
	}
	for width < 12 && grow >= 1<<width {
		width++
	}
	for z.count < width {
		b, err := z.r.ReadByte()
		if err != nil {
			return 0, early(err)
		}
		z.bits, z.count = z.bits<<8|uint32(b), z.count+8
	}
	z.count -= width
	return int(z.bits >> z.count & (1<<width - 1)), nil
}

// decode decodes one code.
func (z *lzw) decode() ([]byte, error) {
	c, err := z.code()
	switch {
	case err != nil:
		return nil, err
	case c == lzwEnd:
		return nil, io.EOF
	case c == lzwClear:
		z.next, z.last = lzwEnd+1, -1
		return nil, nil
	case c > z.next || (c == z.next && z.last < 0) || (z.last < 0 && c > 255):
		return nil, document.ErrDamaged
	}
	i, from := len(z.buf), c
	if c == z.next { // the last sequence, and its first byte again
		i, from = i-1, z.last
	}
	for ; from > lzwEnd; from = int(z.prefix[from]) {
		i--
		z.buf[i] = z.suffix[from]
	}
	i--
	z.buf[i] = byte(from) //nolint:gosec // below lzwEnd
	if c == z.next {
		z.buf[len(z.buf)-1] = byte(from) //nolint:gosec // below lzwEnd
	}
	if z.last >= 0 && z.next < lzwCodes {
		z.prefix[z.next], z.suffix[z.next] = uint16(z.last), byte(from) //nolint:gosec // below lzwCodes
		z.next++
	}
	z.last = c
	return z.buf[i:], nil
}
