// Package pages counts the pages of a document without reading all of it: of an
// OXPS or XPS file by the references from its root to its pages, of a PDF by
// walking its page tree to every leaf. It reads through an io.ReaderAt.
//
// The reader of PDF is our own, for exactly this: it follows the cross-reference,
// as tables or streams, through updates, to the page tree. No number that a
// document says about itself is believed: a leaf counts when it was read and is a
// page. A document whose cross-reference is wrong is searched for its objects, as
// other readers do; what is not certain then is not counted.
//
// Whatever a document claims, a count holds at most maxHeld bytes, does at most
// maxWork work, and of a Counter no more than maxCounts run at once.
package pages

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
)

// ErrUncountable is wrapped by the errors that say that a document has no number
// of pages that could be found out; any other error is the reader's.
var ErrUncountable = errors.New("the pages can't be counted")

// Why not.
var (
	// ErrEncrypted is of a PDF whose page tree can't be read without a password.
	ErrEncrypted = fmt.Errorf("%w: the document is encrypted", ErrUncountable)
	// ErrDamaged is of a document that breaks the rules of its format.
	ErrDamaged = fmt.Errorf("%w: the document is damaged", ErrUncountable)
	// ErrType is of a document of another type.
	ErrType = fmt.Errorf("%w: it is neither a PDF nor an XPS document", ErrUncountable)
	// ErrEmpty is of a document without a byte.
	ErrEmpty = fmt.Errorf("%w: it is empty", ErrUncountable)
	// ErrTooLarge is of a document that takes more memory or work than a count may.
	ErrTooLarge = fmt.Errorf("%w: it takes more memory or work than is allowed for a document", ErrUncountable)
)

// Most is the greatest number of pages that is believed.
const Most = 10_000_000

// maxCounts is how many documents are counted at once, so that all counts
// together hold at most maxCounts*maxHeld bytes. Counting is mostly waiting for a
// host of documents, of which a daemon has one.
const maxCounts = 3

// Counter counts documents, at most maxCounts at once. A process has one for all that it
// counts.
type Counter struct{ slots chan struct{} }

// NewCounter returns a Counter.
func NewCounter() *Counter { return &Counter{make(chan struct{}, maxCounts)} }

// shared is for who has no Counter.
var shared = NewCounter()

// Count is Counter.Count of a Counter that the whole process shares. In virtual time a
// Counter that was made there is needed: who waits for this one stops the clock.
func Count(ctx context.Context, r io.ReaderAt, size int64, contentType string) (int, error) {
	return shared.Count(ctx, r, size, contentType)
}

// Count counts the pages of a document of a size, by its content type or, when
// that is another, by how it begins. It reads r from one goroutine. When too many
// counts run already it waits for its turn, at most until ctx ends.
func (c *Counter) Count(ctx context.Context, r io.ReaderAt, size int64, contentType string) (int, error) {
	return c.within(newBudget(ctx), r, size, contentType)
}

// within counts within a budget.
func (c *Counter) within(b *budget, r io.ReaderAt, size int64, contentType string) (int, error) {
	ctx := b.ctx
	if err := c.acquire(ctx); err != nil {
		return 0, err
	}
	defer func() { <-c.slots }()
	f := &failing{ctx: ctx, r: r}
	n, err := count(f, b, size, strings.ToLower(contentType))
	switch {
	case f.err != nil:
		return 0, f.err // whatever became of it further on
	case err != nil && ctx.Err() != nil:
		return 0, ctx.Err()
	case err == nil && (n <= 0 || n > Most):
		err = ErrDamaged
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}

// acquire waits until a count may begin.
func (c *Counter) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// PanicError is of a document at which the counting panicked: a mistake of ours, which
// costs that document and is to be told to us. Its text has neither the stack, as people
// read it, nor the value of the panic, which may quote the document.
type PanicError struct {
	kind string
	// Stack is where it happened.
	Stack []byte
}

// Error implements error.
func (e *PanicError) Error() string {
	return fmt.Sprintf("%v: counting them fails by a mistake in pullprint (%s)", ErrUncountable, e.kind)
}

// Unwrap is ErrUncountable.
func (e *PanicError) Unwrap() error { return ErrUncountable }

func count(r io.ReaderAt, b *budget, size int64, contentType string) (n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			n, err = 0, &PanicError{fmt.Sprintf("%T", p), debug.Stack()}
		}
	}()
	switch {
	case size <= 0:
		return 0, ErrEmpty
	case strings.HasPrefix(contentType, "application/pdf"):
		return countPDF(r, b, size)
	case strings.HasPrefix(contentType, "application/oxps"),
		strings.HasPrefix(contentType, "application/vnd.ms-xpsdocument"):
		return countXPS(r, b, size)
	}
	head := make([]byte, min(headWindow, size))
	got, _ := r.ReadAt(head, 0)
	switch head = head[:got]; {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		n, err := countXPS(r, b, size)
		if errors.Is(err, errNoPackage) {
			err = ErrType // nothing but its content says what it is
		}
		return n, err
	case bytes.Contains(head, []byte("%PDF-")):
		return countPDF(r, b, size)
	}
	return 0, ErrType
}

// failing remembers the first error of a reader that is no end of file, and
// stops at the end of a context.
type failing struct {
	ctx context.Context
	r   io.ReaderAt
	err error
}

// ReadAt implements io.ReaderAt.
func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	if f.err == nil {
		f.err = f.ctx.Err()
	}
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.r.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// prefetcher is a reader for which reading many places together is cheaper than
// one after the other.
type prefetcher interface{ Prefetch(offsets []int64) }

// Prefetch implements prefetcher.
func (f *failing) Prefetch(offsets []int64) {
	if p, ok := f.r.(prefetcher); ok && f.err == nil && f.ctx.Err() == nil {
		p.Prefetch(offsets)
	}
}
