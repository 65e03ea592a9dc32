package pages

import (
	"context"
	"errors"
	"io"
)

// The bounds of one count, whatever the document claims.
const (
	// maxHeld is how many bytes a count keeps at once: cross-reference rows, object
	// streams, lists of kids, directories of a zip. With what the garbage collector
	// has not freed yet it stays about 32 MiB. A million objects take 8 of them.
	maxHeld = 20 << 20
	// maxWork is how many bytes are inflated and parsed together, about three
	// seconds of a core. A document of 10,000 pages takes less than 20 MiB.
	maxWork = 384 << 20
	// checkEvery is after how much work the context is looked at.
	checkEvery = 1 << 20
)

// budget is what one count may use. What it holds is counted in two sums: caches
// give back what they took; objects are put back to a mark when whoever read them
// has done with them.
type budget struct {
	ctx     context.Context //nolint:containedctx // of one count
	held    int64           // what may be held
	may     int64           // what may be worked
	part    int64           // how long a part of a package may be
	caches  int64
	objects int64
	worked  int64
	checked int64
	spare   [][]byte // blocks that were dropped
	ended   error    // of the work: no more of it is done
}

func newBudget(ctx context.Context) *budget {
	return &budget{ctx: ctx, held: maxHeld, may: maxWork, part: maxPart}
}

func (b *budget) fits() error {
	if b.caches+b.objects > b.held {
		return ErrTooLarge
	}
	return nil
}

// keep counts bytes of an object that was read.
func (b *budget) keep(n int64) error {
	b.objects += n
	return b.fits()
}

// hold counts bytes of a cache; free gives them back.
func (b *budget) hold(n int64) error {
	if n > b.held {
		return ErrTooLarge
	}
	b.caches += n
	if err := b.fits(); err != nil {
		b.caches -= n
		return err
	}
	return nil
}

func (b *budget) free(n int64) { b.caches -= n }

// work counts bytes that were inflated or parsed, or steps of a search.
func (b *budget) work(n int64) error {
	b.worked += n
	switch {
	case b.ended != nil:
	case b.worked > b.may:
		b.ended = ErrTooLarge
	case b.worked-b.checked >= checkEvery:
		b.checked = b.worked
		b.ended = b.ctx.Err()
	}
	return b.ended
}

// working is a reader each byte of which is work.
type working struct {
	r io.Reader
	b *budget
}

// Read implements io.Reader.
func (w working) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if werr := w.b.work(int64(n)); werr != nil {
		return 0, werr
	}
	return n, err
}

// blockSize is in what pieces the data of a stream is kept. Most object streams
// have one or two.
const blockSize = 16 << 10

// kept is the data of a stream in blocks: it grows without being copied, and its
// blocks are used again when it is dropped.
type kept struct {
	blocks [][]byte
	size   int64
}

// ReadAt implements io.ReaderAt.
func (k *kept) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && off < k.size {
		block := k.blocks[off/blockSize]
		m := copy(p[n:], block[off%blockSize:min(blockSize, k.size-off/blockSize*blockSize)])
		n, off = n+m, off+int64(m)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// readAll reads to the end of r and holds what it read: drop it when done. An error
// is of the budget, or ErrDamaged; with the latter comes what was read before.
func (b *budget) readAll(r io.Reader) (*kept, error) {
	k := &kept{}
	for {
		if k.size == int64(len(k.blocks))*blockSize {
			if err := b.grow(k); err != nil {
				b.drop(k)
				return nil, err
			}
		}
		n, err := r.Read(k.blocks[len(k.blocks)-1][k.size%blockSize:])
		k.size += int64(n)
		switch {
		case err == nil:
		case isBudget(err):
			b.drop(k)
			return nil, err
		case errors.Is(err, io.EOF):
			return k, nil
		default:
			return k, ErrDamaged
		}
	}
}

func (b *budget) grow(k *kept) error {
	if err := b.hold(blockSize); err != nil {
		return err
	}
	if n := len(b.spare); n > 0 {
		k.blocks, b.spare = append(k.blocks, b.spare[n-1]), b.spare[:n-1]
		return nil
	}
	k.blocks = append(k.blocks, make([]byte, blockSize))
	return nil
}

func (b *budget) drop(k *kept) {
	b.free(int64(len(k.blocks)) * blockSize)
	b.spare = append(b.spare, k.blocks...)
	k.blocks, k.size = nil, 0
}
