package document

import (
	"context"
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
	// maxPart is the length of a part of a package that is read. A document of 10,000 pages has
	// its references to them in less than 1 MiB.
	maxPart = 8 << 20
	// checkEvery is how much work is done between checks of the context.
	checkEvery = 1 << 20
)

// Limits are how many bytes a count may hold and work on, and how long a part of a package may
// be.
type Limits struct{ Held, Work, Part int64 }

// Budget is what one count may use. It counts what is held in two sums: caches free what they
// hold; objects are reset to an earlier mark once whoever read them is done with them.
type Budget struct {
	Limits Limits

	ctx     context.Context //nolint:containedctx // of one count
	caches  int64
	objects int64
	worked  int64
	checked int64
	spare   [][]byte // blocks to use again
	ended   error    // why no more work is allowed
}

// NewBudget returns the Budget of one count, which ends with ctx.
func NewBudget(ctx context.Context) *Budget {
	return &Budget{ctx: ctx, Limits: Limits{Held: maxHeld, Work: maxWork, Part: maxPart}}
}

func (b *Budget) fits() error {
	if b.caches+b.objects > b.Limits.Held {
		return ErrTooLarge
	}
	return nil
}

// Keep counts bytes of an object that was read.
func (b *Budget) Keep(n int64) error {
	b.objects += n
	return b.fits()
}

// Mark returns how many bytes the objects that were read take.
func (b *Budget) Mark() int64 { return b.objects }

// Reset forgets the objects that were read after a mark.
func (b *Budget) Reset(mark int64) { b.objects = mark }

// Hold counts bytes of a cache; Free subtracts them.
func (b *Budget) Hold(n int64) error {
	if n > b.Limits.Held {
		return ErrTooLarge
	}
	b.caches += n
	if err := b.fits(); err != nil {
		b.caches -= n
		return err
	}
	return nil
}

// Free subtracts bytes that a cache held.
func (b *Budget) Free(n int64) { b.caches -= n }

// Clear forgets all that is held, for a reader that begins anew.
func (b *Budget) Clear() { b.caches, b.objects = 0, 0 }

// Work counts bytes that were inflated or parsed, or steps of a search.
func (b *Budget) Work(n int64) error {
	b.worked += n
	switch {
	case b.ended != nil:
	case b.worked > b.Limits.Work:
		b.ended = ErrTooLarge
	case b.worked-b.checked >= checkEvery:
		b.checked = b.worked
		b.ended = b.ctx.Err()
	}
	return b.ended
}

// Metered returns a reader of r that counts each byte as work.
func (b *Budget) Metered(r io.Reader) io.Reader { return metered{r, b} }

type metered struct {
	r io.Reader
	b *Budget
}

// Read implements io.Reader.
func (m metered) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if werr := m.b.Work(int64(n)); werr != nil {
		return 0, werr
	}
	return n, err
}
