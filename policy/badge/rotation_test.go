package badge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// hooked calls before ahead of every call of the bucket, counted from 0. An error
// of before ends the call: nothing happened, and nothing happens any more.
type hooked struct {
	*memory
	before func(n int) error
	calls  int
}

func (h *hooked) hook() error {
	h.calls++
	return h.before(h.calls - 1)
}

func (h *hooked) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if err := h.hook(); err != nil {
		return nil, 0, err
	}
	return h.memory.Get(ctx, key)
}

func (h *hooked) CompareAndSet(ctx context.Context, key string, value []byte, rev uint64, ttl time.Duration) (uint64, bool, error) {
	if err := h.hook(); err != nil {
		return 0, false, err
	}
	return h.memory.CompareAndSet(ctx, key, value, rev, ttl)
}

func (h *hooked) Delete(ctx context.Context, key string, rev uint64) (bool, error) {
	if err := h.hook(); err != nil {
		return false, err
	}
	return h.memory.Delete(ctx, key, rev)
}

var errDead = errors.New("killed")

// A badge is revoked at some moment of a tap that moves it to a new key, and the
// process of the tap dies at the same or a later one. Whoever was told that the
// badge is revoked is right, also when the old key is gone.
func TestRevokedWhileItMoves(t *testing.T) {
	ctx, a, b := t.Context(), keyLine('a'), keyLine('b')
	const steps = 8 // more than a move has
	for name, which := range map[string]func(Badge) Which{
		"number": func(Badge) Which { return Which{Number: number} },
		"id":     func(e Badge) Which { return Which{ID: e.ID} },
		"owner":  func(Badge) Which { return Which{Owner: ada} },
	} {
		for at := range steps {
			for dies := at; dies <= steps; dies++ {
				kv := newMemory()
				first, err := newRegistry(t, kv, a).Enrol(ctx, number, enrolment(ada))
				if err != nil {
					t.Fatal(err)
				}
				registry := newRegistry(t, kv, b, a)
				revoke := func() {
					done, err := registry.Revoke(ctx, which(first), "admin", now)
					if err != nil || len(done) != 1 || done[0].ID != first.ID {
						t.Fatalf("%s at %d: %v, %v", name, at, done, err)
					}
				}
				h := &hooked{memory: kv}
				revoked := false
				h.before = func(n int) error {
					if n == at {
						revoke()
						revoked = true
					}
					if n >= dies {
						return errDead
					}
					return nil
				}
				_, _ = newRegistry(t, h, b, a).Resolve(ctx, number, now)
				if !revoked { // the tap was over
					revoke()
				}
				where := fmt.Sprintf("revoked by %s at call %d, killed at %d", name, at, dies)
				for range 2 { // the first tap mends, the second finds it mended
					if got, err := registry.Resolve(ctx, number, now); !errors.Is(err, ErrRevoked) {
						t.Errorf("%s: %+v, %v", where, got, err)
					}
				}
				if len(kv.data) != 1 {
					t.Errorf("%s: %d copies are left", where, len(kv.data))
				}
				last := newRegistry(t, kv, b)
				if _, err := last.Resolve(ctx, number, now); !errors.Is(err, ErrRevoked) {
					t.Errorf("%s, old key gone: %v", where, err)
				}
				if err := last.Check(ctx); err != nil {
					t.Errorf("%s: %v", where, err)
				}
			}
		}
	}
}

// An enrolment that dies at any step, or is answered too late to know, can be
// done again, and leaves one badge.
func TestEnrolmentDies(t *testing.T) {
	ctx, a, b := t.Context(), keyLine('a'), keyLine('b')
	for dies := range 6 {
		kv := newMemory()
		if _, err := newRegistry(t, kv, a).Enrol(ctx, number, enrolment(ada)); err != nil {
			t.Fatal(err)
		}
		h := &hooked{memory: kv, before: func(n int) error {
			if n >= dies {
				return errDead
			}
			return nil
		}}
		e := enrolment(grace)
		e.Replace = true
		_, err := newRegistry(t, h, b, a).Enrol(ctx, number, e)
		if err != nil && !errors.Is(err, errDead) {
			t.Fatal(err)
		}
		registry := newRegistry(t, kv, b, a)
		got, rerr := registry.Resolve(ctx, number, now)
		if rerr != nil || (err == nil && got.Owner != grace) {
			t.Errorf("killed at %d: %+v, %v", dies, got, rerr)
		}
		if got, err := registry.Enrol(ctx, number, e); err != nil || got.Owner != grace || len(kv.data) != 1 {
			t.Errorf("killed at %d, again: %+v, %v, %d copies", dies, got, err, len(kv.data))
		}
	}
}

// A badge keeps the name people know it by; all lost keys are told of, but not
// the copies that a move left behind.
func TestNamesAndLostKeys(t *testing.T) {
	ctx, kv := t.Context(), newMemory()
	a, b, c := keyLine('a'), keyLine('b'), keyLine('c')
	first, err := newRegistry(t, kv, a).Enrol(ctx, number, enrolment(ada))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newRegistry(t, kv, b).Enrol(ctx, "7700", enrolment(ada)); err != nil {
		t.Fatal(err)
	}
	all := newRegistry(t, kv, c, b, a)
	h := &hooked{memory: kv, before: func(n int) error {
		if n == 4 { // three reads and the write
			return errDead
		}
		return nil
	}}
	if got, err := newRegistry(t, h, c, b, a).Resolve(ctx, number, now); err != nil || got.ID != first.ID || len(kv.data) != 3 {
		t.Fatalf("%+v, %v, %d copies", got, err, len(kv.data))
	}
	if err := newRegistry(t, kv, c, b).Check(ctx); err != nil {
		t.Errorf("a copy counts as lost: %v", err)
	}
	ids := mustKeys(t, a, b).IDs()
	err = newRegistry(t, kv, keyLine('d')).Check(ctx)
	if !errors.Is(err, ErrKeyChanged) || !strings.Contains(err.Error(), "1 badge was enrolled under key "+ids[0]) ||
		!strings.Contains(err.Error(), "1 badge was enrolled under key "+ids[1]) {
		t.Errorf("%v", err)
	}
	for range 2 {
		if got, err := all.Resolve(ctx, number, now); err != nil || got.ID != first.ID || len(kv.data) != 2 {
			t.Fatalf("%+v, %v, %d copies", got, err, len(kv.data))
		}
	}
	again := enrolment(ada)
	again.Expires = now.Add(time.Hour)
	if got, err := all.Enrol(ctx, number, again); err != nil || got.ID != first.ID || !got.Enrolled.Equal(first.Enrolled) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := all.Revoke(ctx, Which{KeyID: mustKeys(t, c).IDs()[0]}, "admin", now); !errors.Is(err, ErrEnrolment) {
		t.Errorf("the badges of the current key can be removed at once: %v", err)
	}
	if done, err := all.Revoke(ctx, Which{ID: first.ID}, "admin", now); err != nil || len(done) != 1 {
		t.Errorf("by its first name: %v, %v", done, err)
	}
}

// A code outlives a change of keys.
func TestCodeOfAnOldKey(t *testing.T) {
	ctx, kv := t.Context(), newMemory()
	text, err := newRegistry(t, kv, keyLine('a')).IssueCode(ctx, enrolment(ada), time.Hour,
		strings.NewReader(strings.Repeat("\x01\x02\x03", 8)))
	if err != nil {
		t.Fatal(err)
	}
	registry := newRegistry(t, kv, keyLine('b'), keyLine('a'))
	if got, err := registry.Redeem(ctx, text, number, now); err != nil || got.Owner != ada {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := registry.Redeem(ctx, text, number, now); !errors.Is(err, ErrCode) {
		t.Errorf("a second time: %v", err)
	}
}

// A replica that still has the old key file alone revokes a copy that a move left
// behind: the revocation counts, and is not taken for a leftover.
func TestRevokedByAnOldReplica(t *testing.T) {
	ctx, kv, a, b := t.Context(), newMemory(), keyLine('a'), keyLine('b')
	old := newRegistry(t, kv, a)
	if _, err := old.Enrol(ctx, number, enrolment(ada)); err != nil {
		t.Fatal(err)
	}
	h := &hooked{memory: kv, before: func(n int) error {
		if n == 3 { // two reads and the write
			return errDead
		}
		return nil
	}}
	if _, err := newRegistry(t, h, b, a).Resolve(ctx, number, now); err != nil || len(kv.data) != 2 {
		t.Fatalf("%v, %d copies", err, len(kv.data))
	}
	if _, err := old.Revoke(ctx, Which{Number: number}, "admin", now); err != nil {
		t.Fatal(err)
	}
	if err := newRegistry(t, kv, b).Check(ctx); !errors.Is(err, ErrKeyChanged) {
		t.Errorf("the revocation would be lost: %v", err)
	}
	if _, err := newRegistry(t, kv, b, a).Resolve(ctx, number, now); !errors.Is(err, ErrRevoked) {
		t.Errorf("%v", err)
	}
	if err := newRegistry(t, kv, b).Check(ctx); err != nil {
		t.Errorf("after the tap: %v", err)
	}
}
