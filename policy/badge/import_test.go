package badge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// failing takes so many writes and then no more.
type failing struct {
	*memory
	left atomic.Int64
}

func (f *failing) CompareAndSet(ctx context.Context, key string, value []byte, rev uint64, ttl time.Duration) (uint64, bool, error) {
	if f.left.Add(-1) < 0 {
		return 0, false, errDead
	}
	return f.memory.CompareAndSet(ctx, key, value, rev, ttl)
}

// A store that fails in the middle of an import: the error tells how many badges
// are stored, and doing it again stores the rest.
func TestImportFails(t *testing.T) {
	var text strings.Builder
	text.WriteString("badge,owner\n")
	const rows = 300
	for i := range rows {
		fmt.Fprintf(&text, "%d,%s\n", 1000+i, ada)
	}
	kv := &failing{memory: newMemory()}
	kv.left.Store(100)
	registry := newRegistry(t, kv, keyLine('a'))
	n, err := registry.Import(t.Context(), strings.NewReader(text.String()), enrolment(""))
	if !errors.Is(err, errDead) || n != 100 || len(kv.data) != 100 || !strings.Contains(err.Error(), "after 100 badges were stored: line ") {
		t.Errorf("%d, %v, %d stored", n, err, len(kv.data))
	}
	kv.left.Store(rows)
	if n, err := registry.Import(t.Context(), strings.NewReader(text.String()), enrolment("")); err != nil || n != rows ||
		len(kv.data) != rows {
		t.Errorf("again: %d, %v, %d stored", n, err, len(kv.data))
	}
	if left := kv.left.Load(); left != 100 {
		t.Errorf("what was there already was written again: %d writes", rows-left)
	}
	kv.left.Store(0)
	if n, err := registry.Import(t.Context(), strings.NewReader(text.String()), enrolment("")); err != nil || n != rows {
		t.Errorf("nothing to do: %d, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := registry.Import(ctx, strings.NewReader(text.String()), enrolment("")); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// Of very many mistakes a hundred are told, and that there are more.
func TestManyMistakes(t *testing.T) {
	for name, text := range map[string]string{
		"rows":    "badge,owner,expires\n" + strings.Repeat(number+",nobody at all,soon\n", 500),
		"columns": strings.Repeat(number+",", 500) + "\n",
	} {
		kv := newMemory()
		_, err := newRegistry(t, kv, keyLine('a')).Import(t.Context(), strings.NewReader(text), enrolment(""))
		var wrong ImportError
		if !errors.As(err, &wrong) || len(wrong) != maxMistakes+1 || !strings.Contains(wrong[maxMistakes].Message, "more mistakes") {
			t.Errorf("%s: %d mistakes, %v", name, len(wrong), err)
		}
		if strings.Contains(err.Error(), number) || len(kv.data) != 0 {
			t.Errorf("%s: %d stored, %v", name, len(kv.data), err)
		}
	}
}
