// Package pages counts the pages of a document without reading all of it, through an
// io.ReaderAt: of a PDF by package pdf, of an OXPS or XPS file by package xps. A count that is
// not certain is an error: a wrong number is worse than none, since it is charged.
//
// Whatever a document claims, a count keeps to its document.Budget, and a Counter runs at most
// maxCounts at once. A panic at a document costs its count only.
package pages

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"pullprint/trigger/pages/document"
	"pullprint/trigger/pages/pdf"
	"pullprint/trigger/pages/xps"
)

// Why the pages of a document can't be counted. All wrap ErrUncountable; any other error is one
// of the reader.
var (
	ErrUncountable = document.ErrUncountable
	// ErrEncrypted is for a document that can't be read without a password.
	ErrEncrypted = document.ErrEncrypted
	// ErrDamaged is for a document that violates the rules of its format.
	ErrDamaged = document.ErrDamaged
	// ErrTooLarge is for a document that takes more memory or work than a count may use.
	ErrTooLarge = document.ErrTooLarge
	// ErrType is for a document of another type.
	ErrType = fmt.Errorf("%w: it is neither a PDF nor an XPS document", ErrUncountable)
	// ErrEmpty is for a document of 0 bytes.
	ErrEmpty = fmt.Errorf("%w: it is empty", ErrUncountable)
)

// maxCounts is how many documents are counted at once, so that all counts together hold at most
// maxCounts times the document.Limits. A count mostly waits for the host of its document.
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
	return c.within(ctx, document.NewBudget(ctx), r, size, contentType)
}

// within counts within a budget.
func (c *Counter) within(
	ctx context.Context, b *document.Budget, r io.ReaderAt, size int64, contentType string,
) (int, error) {
	if err := c.acquire(ctx); err != nil {
		return 0, err
	}
	defer func() { <-c.slots }()
	doc := document.NewReader(ctx, r)
	n, err := count(doc, b, size, strings.ToLower(contentType))
	switch {
	case doc.Err() != nil:
		return 0, doc.Err() // errors that followed from it don't matter
	case err != nil && ctx.Err() != nil:
		return 0, ctx.Err()
	case err == nil && (n <= 0 || n > document.Most):
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

func count(r *document.Reader, b *document.Budget, size int64, contentType string) (n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			n, err = 0, &PanicError{fmt.Sprintf("%T", p), debug.Stack()}
		}
	}()
	switch {
	case size <= 0:
		return 0, ErrEmpty
	case strings.HasPrefix(contentType, "application/pdf"):
		return pdf.Count(r, b, size)
	case strings.HasPrefix(contentType, "application/oxps"),
		strings.HasPrefix(contentType, "application/vnd.ms-xpsdocument"):
		return xps.Count(r, b, size)
	}
	head := make([]byte, min(pdf.HeaderWithin, size))
	got, _ := r.ReadAt(head, 0)
	switch head = head[:got]; {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		n, err := xps.Count(r, b, size)
		if errors.Is(err, xps.ErrNoPackage) {
			err = ErrType // a zip file of another kind
		}
		return n, err
	case bytes.Contains(head, []byte("%PDF-")):
		return pdf.Count(r, b, size)
	}
	return 0, ErrType
}
