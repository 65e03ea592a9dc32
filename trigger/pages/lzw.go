package pages

import (
	"bufio"
	"io"
)

// The codes of LZWDecode: 256 clears the table, 257 ends the data.
const (
	lzwClear = 256
	lzwEnd   = 257
	lzwCodes = 1 << 12
)

// lzwReader decodes LZWDecode. compress/lzw has another bit order and does not change the width
// early.
type lzwReader struct {
	r      *bufio.Reader
	early  bool
	bits   uint32
	count  uint
	next   int // the code that is defined next
	last   int
	prefix [lzwCodes]uint16
	suffix [lzwCodes]byte
	buf    [lzwCodes]byte
	out    []byte // the part of buf that is not read yet
	begun  bool
	err    error
}

// Read implements io.Reader.
func (z *lzwReader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(z.out) == 0 {
			if z.err == nil {
				z.err = z.decode()
			}
			if z.err != nil {
				return n, z.err
			}
		}
		m := copy(p[n:], z.out)
		n, z.out = n+m, z.out[m:]
	}
	return n, nil
}

func (z *lzwReader) code() (int, error) {
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

// decode decodes one code into out.
func (z *lzwReader) decode() error {
	if !z.begun {
		z.begun, z.next, z.last = true, lzwEnd+1, -1
	}
	c, err := z.code()
	switch {
	case err != nil:
		return err
	case c == lzwEnd:
		return io.EOF
	case c == lzwClear:
		z.next, z.last = lzwEnd+1, -1
		return nil
	case c > z.next || (c == z.next && z.last < 0) || (z.last < 0 && c > 255):
		return ErrDamaged
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
	z.last, z.out = c, z.buf[i:]
	return nil
}
