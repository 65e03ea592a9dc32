package pages

import (
	"context"
	"errors"
	"io"
)

// Limits of one count, whatever the document claims.
const (
	// maxHeld is how many bytes a count holds at once: cross-reference rows, object streams,
	// lists of kids, directories of a zip. With garbage that is not collected yet that is about
	// 32 MiB. A million objects take 8 of them.
	maxHeld = 20 << 20
	// maxWork is how many bytes are inflated and parsed in total, which takes a core about
	// three seconds. A document of 10,000 pages takes less than 20 MiB.
	maxWork = 384 << 20
	// checkEvery is how much work is done between checks of the context.
	checkEvery = 1 << 20
)

// budget is what one count may use. It counts what is held in two sums: caches free what they
// hold; objects are reset to an earlier mark once whoever read them is done with them.
type budget struct {
	ctx     context.Context //nolint:containedctx // of one count
	held    int64           // limit of caches and objects
	may     int64           // limit of work
	part    int64           // limit of the length of a part of a package
	caches  int64
	objects int64
	worked  int64
	checked int64
	spare   [][]byte // blocks to use again
	ended   error    // why no more work is allowed
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

// hold counts bytes of a cache; free subtracts them.
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

// working is a reader that counts each byte as work.
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

// blockSize is the size of the blocks that hold the data of a stream. Most object streams have
// one or two.
const blockSize = 16 << 10

// kept is the data of a stream in blocks: it grows without being copied, and its blocks are
// reused.
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

// readAll reads r to its end and holds the data until drop. The error is one of the budget, or
// ErrDamaged, which comes with the data that was read before.
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
