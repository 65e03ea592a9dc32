package pages_test

import (
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/trigger/pages"
)

// panicking is a reader that does what a mistake of ours at a document would do.
type panicking struct{}

func (panicking) ReadAt([]byte, int64) (int, error) { panic("Quarterly figures.pdf") }

// A panic costs its document, is none of the reasons that a document has, and has the stack
// beside its text.
func TestPanic(t *testing.T) {
	_, err := pages.NewCounter().Count(t.Context(), panicking{}, 1000, "application/pdf")
	p, ok := errors.AsType[*pages.PanicError](err)
	if !ok || !errors.Is(err, pages.ErrUncountable) || errors.Is(err, pages.ErrDamaged) {
		t.Fatalf("%v", err)
	}
	if !strings.Contains(string(p.Stack), "panicking") {
		t.Errorf("where it happened is not told: %s", p.Stack)
	}
	if text := err.Error(); strings.Contains(text, "Quarterly") || strings.Contains(text, "\n") {
		t.Errorf("the text is for people: %q", text)
	}
}

// slow is a reader of nothing that takes a second.
type slow struct{}

func (slow) ReadAt([]byte, int64) (int, error) { time.Sleep(time.Second); return 0, io.EOF }

// In virtual time too, a count waits for its turn, and takes no longer than it takes.
func TestCounterWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pages.NewCounter()
		began := time.Now()
		var all sync.WaitGroup
		for range 7 {
			all.Go(func() {
				if _, err := c.Count(t.Context(), slow{}, 1, "text/plain"); !errors.Is(err, pages.ErrType) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("7 counts of a second, 3 at once, take %s", took)
		}
	})
}
