package badge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// More user names than an import may look up are refused before the first is.
func TestImportOfTooManyNames(t *testing.T) {
	asked := 0
	kv := newMemory()
	b := newRegistry(t, kv, keyLine('a'))
	b.FindOwners(func(context.Context, string) (string, bool, error) { asked++; return "", false, nil })
	var text strings.Builder
	text.WriteString("badge,owner\n")
	for i := range maxNames + 1 {
		fmt.Fprintf(&text, "%d,person%d@contoso.com\n", 100_000+i, i)
	}
	_, err := b.Import(t.Context(), strings.NewReader(text.String()), Enrolment{By: "x", Now: now})
	if err == nil || !strings.Contains(err.Error(), "more than 5000 user names") || asked != 0 || len(kv.data) != 0 {
		t.Errorf("%v; %d were asked for, %d stored", err, asked, len(kv.data))
	}
}

// interfering is a bucket in which another writes before some writes of ours.
type interfering struct {
	*memory
	others int
}

func (m *interfering) Delete(ctx context.Context, key string, rev uint64) (bool, error) {
	if m.others > 0 {
		m.others--
		e := m.data[key]
		if _, ok, err := m.CompareAndSet(ctx, key, e.value, e.rev, time.Hour); err != nil || !ok {
			return false, errors.Join(err, errors.New("the other was not first"))
		}
	}
	return m.memory.Delete(ctx, key, rev)
}

// A copy under an old key that another changes while a badge is moved to the new key is looked at again:
// an end that was stored there counts.
func TestMoveMeetsAnother(t *testing.T) {
	kv := &interfering{memory: newMemory()}
	if _, err := newRegistry(t, kv, keyLine('a')).Enrol(t.Context(), number, enrolment(ada)); err != nil {
		t.Fatal(err)
	}
	b := newRegistry(t, kv, keyLine('b'), keyLine('a'))
	kv.others = 1
	e := enrolment(ada)
	if _, err := b.Enrol(t.Context(), number, e); err != nil {
		t.Fatal(err)
	}
	if kv.others != 0 || len(kv.data) != 1 {
		t.Errorf("%d copies are there", len(kv.data))
	}
}
