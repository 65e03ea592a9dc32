// Package pages counts the pages of a document without reading all of it: in an OXPS or XPS
// file it follows the references from the root to the pages, in a PDF it walks the page tree
// to every leaf. It reads through an io.ReaderAt.
//
// The PDF reader is our own, because general ones read the whole file: it follows the
// cross-reference, in tables or streams and through updates, to the page tree. It believes no
// number that a document states about itself: a leaf counts if it was read and is a page. If
// the cross-reference is wrong, it searches the file for objects, as other readers do. A count
// that is not certain then is an error: a wrong number is worse than none, since it is charged.
//
// Whatever a document claims, a count holds at most maxHeld bytes and does at most maxWork
// work, and a Counter runs at most maxCounts at once.
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

// ErrUncountable is wrapped by the errors about the document itself; any other error is one of
// the reader.
var ErrUncountable = errors.New("the pages can't be counted")

// Why the pages of a document can't be counted.
var (
	// ErrEncrypted is for a PDF whose page tree can't be read without a password.
	ErrEncrypted = fmt.Errorf("%w: the document is encrypted", ErrUncountable)
	// ErrDamaged is for a document that violates the rules of its format.
	ErrDamaged = fmt.Errorf("%w: the document is damaged", ErrUncountable)
	// ErrType is for a document of another type.
	ErrType = fmt.Errorf("%w: it is neither a PDF nor an XPS document", ErrUncountable)
	// ErrEmpty is for a document of 0 bytes.
	ErrEmpty = fmt.Errorf("%w: it is empty", ErrUncountable)
	// ErrTooLarge is for a document that takes more memory or work than a count may use.
	ErrTooLarge = fmt.Errorf("%w: it takes more memory or work than is allowed for a document", ErrUncountable)
)

// Most is the greatest number of pages that is accepted: more than any printer prints.
const Most = 10_000_000

// maxCounts is how many documents are counted at once, so that all counts together hold at most
// maxCounts*maxHeld bytes. A count mostly waits for the host of its document.
const maxCounts = 3

// Counter counts documents, at most maxCounts at once. A process needs one.
type Counter struct{ slots chan struct{} }

// NewCounter returns a Counter.
func NewCounter() *Counter { return &Counter{make(chan struct{}, maxCounts)} }

// shared is for callers without a Counter.
var shared = NewCounter()

// Count is Counter.Count of a Counter that the whole process shares. A test in virtual time
// needs a Counter of its own: waiting for this one would stop the clock.
func Count(ctx context.Context, r io.ReaderAt, size int64, contentType string) (int, error) {
	return shared.Count(ctx, r, size, contentType)
}

// Count counts the pages of a document of a size by its content type, or if that is another, by
// its first bytes. It reads r from one goroutine. When too many counts are running it waits for
// one to end, at most until ctx ends.
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
		return 0, f.err // errors that followed from it don't matter
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

// PanicError is for a document whose counting panicked: a bug that affects this document only,
// and should be reported. Its text has neither the stack, since people read it, nor the value
// of the panic, which may quote the document.
type PanicError struct {
	kind string
	// Stack is the stack of the panic.
	Stack []byte
}

// Error implements error.
func (e *PanicError) Error() string {
	return fmt.Sprintf("%v: counting them fails by a mistake in pullprint (%s)", ErrUncountable, e.kind)
}

// Unwrap returns ErrUncountable.
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
			err = ErrType // a zip file of another kind
		}
		return n, err
	case bytes.Contains(head, []byte("%PDF-")):
		return countPDF(r, b, size)
	}
	return 0, ErrType
}

// failing remembers the first error of a reader other than io.EOF, and stops reading when ctx
// ends.
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

// prefetcher is a reader that can read many places together faster than one after the other.
type prefetcher interface{ Prefetch(offsets []int64) }

// Prefetch implements prefetcher.
func (f *failing) Prefetch(offsets []int64) {
	if p, ok := f.r.(prefetcher); ok && f.err == nil && f.ctx.Err() == nil {
		p.Prefetch(offsets)
	}
}
