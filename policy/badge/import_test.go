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
	if !errors.Is(err, errDead) || n != 100 || len(kv.data) != 100 ||
		!strings.Contains(err.Error(), "after 100 badges were stored: line ") {
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

// A revoked badge stays so when a list has it again, unless it is replaced; rows that are
// wrong keep the others out only when nothing else is said.
func TestImportAgain(t *testing.T) {
	reg := newRegistry(t, newMemory(), keyLine('a'))
	e := enrolment("")
	var left []*RowError
	skipped, revoked := 0, 0
	e.Left = func(rows []*RowError, s, r int) { left, skipped, revoked = rows, s, r }
	const text = "badge,owner,expires\n7700," + ada + ",\n7701," + ada + ",\n"
	if n, err := reg.Import(t.Context(), strings.NewReader(text), e); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := reg.Revoke(t.Context(), Which{Number: "7700"}, "x", now); err != nil {
		t.Fatal(err)
	}
	n, err := reg.Import(t.Context(), strings.NewReader(text), e)
	if n != 1 || err != nil || revoked != 1 || skipped != 0 || len(left) != 1 || left[0].Line != 2 {
		t.Errorf("again: %d %v, %d revoked, %d skipped, %v", n, err, revoked, skipped, left)
	}
	if _, err := reg.Resolve(t.Context(), "7700", now); !errors.Is(err, ErrRevoked) {
		t.Errorf("a lost card is back: %v", err)
	}
	late := text + "7702," + ada + ",2020-01-01\n7703,nobody,\n7704," + ada + ",\n"
	if n, err := reg.Import(t.Context(), strings.NewReader(late), e); n != 0 || err == nil {
		t.Errorf("with wrong rows: %d %v", n, err)
	}
	e.SkipInvalid = true
	n, err = reg.Import(t.Context(), strings.NewReader(late), e)
	if n != 2 || err != nil || revoked != 1 || skipped != 2 || len(left) != 3 {
		t.Errorf("skipping: %d %v, %d revoked, %d skipped, %v", n, err, revoked, skipped, left)
	}
	// Whose a badge is that stands twice, the file does not say.
	left = nil
	const other = "99999999-2222-4333-8444-555555555555"
	const handedOn = "badge,owner\n7710," + ada + "\n7711," + ada + "\n7710," + other + "\n"
	if n, err := reg.Import(t.Context(), strings.NewReader(handedOn), e); n != 1 || err != nil || len(left) != 2 {
		t.Errorf("a badge twice: %d %v, %v", n, err, left)
	}
	if b, err := reg.Resolve(t.Context(), "7710", now); err == nil {
		t.Errorf("a badge that stands twice is %s's", b.Owner)
	}
	e.Replace = true
	if n, err := reg.Import(t.Context(), strings.NewReader(text), e); n != 2 || err != nil {
		t.Errorf("replaced: %d %v", n, err)
	}
	if _, err := reg.Resolve(t.Context(), "7700", now); err != nil {
		t.Errorf("replaced: %v", err)
	}
}
