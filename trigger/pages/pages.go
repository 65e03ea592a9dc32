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
// maxWork work, and no more than maxCounts run at once.
package pages

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
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

// slotWait is how often a count that waits for its turn looks for it.
const slotWait = 5 * time.Millisecond

var slots = make(chan struct{}, maxCounts)

// Count counts the pages of a document of a size, by its content type or, when
// that is another, by how it begins. It reads r from one goroutine. When too many
// counts run already it waits for its turn, at most until ctx ends.
func Count(ctx context.Context, r io.ReaderAt, size int64, contentType string) (int, error) {
	return countWithin(newBudget(ctx), r, size, contentType)
}

// countWithin counts within a budget.
func countWithin(b *budget, r io.ReaderAt, size int64, contentType string) (int, error) {
	ctx := b.ctx
	if err := takeSlot(ctx); err != nil {
		return 0, err
	}
	defer func() { <-slots }()
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

// takeSlot waits until a count may begin. It asks again and again instead of
// waiting on the channel: the channel is one for the whole process, and a test in
// virtual time that waits on it would stop its clock.
func takeSlot(ctx context.Context) error {
	turn := time.NewTicker(slotWait)
	defer turn.Stop()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		select {
		case slots <- struct{}{}:
			return nil
		default:
		}
		select {
		case <-turn.C:
		case <-ctx.Done():
		}
	}
}

func count(r io.ReaderAt, b *budget, size int64, contentType string) (n int, err error) {
	// A mistake of ours on a document that nobody has thought of costs that document.
	defer func() {
		if recover() != nil {
			n, err = 0, ErrDamaged
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
