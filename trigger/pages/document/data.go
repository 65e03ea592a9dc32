package document

import (
	"errors"
	"io"
)

// blockSize is the size of the blocks that hold the data of a stream. Most object streams have
// one or two.
const blockSize = 16 << 10

// Data is the data of a stream in blocks: it grows without being copied, and its blocks are
// reused.
type Data struct {
	blocks [][]byte
	size   int64
}

// Size returns the length of the data.
func (d *Data) Size() int64 { return d.size }

// ReadAt implements io.ReaderAt.
func (d *Data) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && off < d.size {
		block := d.blocks[off/blockSize]
		m := copy(p[n:], block[off%blockSize:min(blockSize, d.size-off/blockSize*blockSize)])
		n, off = n+m, off+int64(m)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// ReadAll reads r to its end and holds the data until Drop. The error is one of the budget, or
// ErrDamaged, which comes with the data that was read before.
func (b *Budget) ReadAll(r io.Reader) (*Data, error) {
	d := &Data{}
	for {
		if d.size == int64(len(d.blocks))*blockSize {
			if err := b.grow(d); err != nil {
				b.Drop(d)
				return nil, err
			}
		}
		n, err := r.Read(d.blocks[len(d.blocks)-1][d.size%blockSize:])
		d.size += int64(n)
		switch {
		case err == nil:
		case IsFinal(err):
			b.Drop(d)
			return nil, err
		case errors.Is(err, io.EOF):
			return d, nil
		default:
			return d, ErrDamaged
		}
	}
}

func (b *Budget) grow(d *Data) error {
	if err := b.Hold(blockSize); err != nil {
		return err
	}
	if n := len(b.spare); n > 0 {
		d.blocks, b.spare = append(d.blocks, b.spare[n-1]), b.spare[:n-1]
		return nil
	}
	d.blocks = append(d.blocks, make([]byte, blockSize))
	return nil
}

// Drop frees the data of a stream.
func (b *Budget) Drop(d *Data) {
	b.Free(int64(len(d.blocks)) * blockSize)
	b.spare = append(b.spare, d.blocks...)
	d.blocks, d.size = nil, 0
}

// Produced returns a reader of what next returns, call by call, until its error. What comes
// with an error is read before it.
func Produced(next func() ([]byte, error)) io.Reader { return &produced{next: next} }

type produced struct {
	next func() ([]byte, error)
	out  []byte // what is not read yet
	err  error
}

// Read implements io.Reader.
func (r *produced) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(r.out) == 0 {
			if r.err != nil {
				return n, r.err
			}
			r.out, r.err = r.next()
		}
		m := copy(p[n:], r.out)
		n, r.out = n+m, r.out[m:]
	}
	return n, nil
}
