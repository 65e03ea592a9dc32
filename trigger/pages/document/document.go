// Package document is what the readers of all formats share: the bytes of the document that is
// counted, why its pages can't be counted, and the Budget of one count. Whatever a document
// claims, a count holds at most maxHeld bytes, does at most maxWork work, and ends with the
// context.
package document

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// ErrUncountable is wrapped by the errors about the document itself; any other error is one of
// the reader.
var ErrUncountable = errors.New("the pages can't be counted")

// Why the pages of a document can't be counted.
var (
	// ErrEncrypted is for a document that can't be read without a password.
	ErrEncrypted = fmt.Errorf("%w: the document is encrypted", ErrUncountable)
	// ErrDamaged is for a document that violates the rules of its format.
	ErrDamaged = fmt.Errorf("%w: the document is damaged", ErrUncountable)
	// ErrDiffer is for a document that different readers take for different ones, each by its
	// own rules. A search would find only one of them.
	ErrDiffer = fmt.Errorf("%w: readers differ in what it says", ErrDamaged)
	// ErrTooLarge is for a document that takes more memory or work than a count may use.
	ErrTooLarge = fmt.Errorf("%w: it takes more memory or work than is allowed for a document", ErrUncountable)
)

// Most is the greatest number of pages that is accepted: more than any printer prints.
const Most = 10_000_000

// IsFinal reports whether an error ends the count whatever the document is like.
func IsFinal(err error) bool {
	return errors.Is(err, ErrTooLarge) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// Reader reads the document. It stops when its context ends or a read fails, so that what
// follows from a failed read is not taken for damage.
type Reader struct {
	ctx context.Context //nolint:containedctx // of one count
	r   io.ReaderAt
	err error
}

// NewReader returns a Reader of r for one count.
func NewReader(ctx context.Context, r io.ReaderAt) *Reader { return &Reader{ctx: ctx, r: r} }

// Err returns the first error of a read other than io.EOF.
func (r *Reader) Err() error { return r.err }

// ReadAt implements io.ReaderAt.
func (r *Reader) ReadAt(p []byte, off int64) (int, error) {
	if r.err == nil {
		r.err = r.ctx.Err()
	}
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.r.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// Prefetch tells a reader that can read many places together faster than one after the other
// what is read next.
func (r *Reader) Prefetch(offsets []int64) {
	p, ok := r.r.(interface{ Prefetch(offsets []int64) })
	if ok && r.err == nil && r.ctx.Err() == nil {
		p.Prefetch(offsets)
	}
}
