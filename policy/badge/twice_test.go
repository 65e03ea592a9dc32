package badge

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"
)

// A code is redeemed at two replicas at the same moment: with the same badge, both say that it
// is enrolled; with two badges, one is. Two people with a code each for one badge: one has it,
// and the other has their code still.
func TestRedeemAtTwoReplicas(t *testing.T) {
	ctx := context.Background()
	const second = "04A21BC35D81"
	setup := func(owners ...string) (*memory, []string) {
		t.Helper()
		kv := newMemory()
		var codes []string
		for _, o := range owners {
			text, err := newRegistry(t, kv, keyLine('a')).IssueCode(ctx, enrolment(o), time.Hour, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			codes = append(codes, text)
		}
		return kv, codes
	}
	// redeem has one replica redeem, and another before the n-th call of its store.
	redeem := func(kv *memory, n int, text, number string, other func(reg *Registry)) (Badge, error) {
		h := &hooked{memory: kv}
		h.before = func(call int) error {
			if call == n {
				other(newRegistry(t, kv, keyLine('a')))
			}
			return nil
		}
		reg := newRegistry(t, kv, keyLine('a'))
		reg.kv = h
		return reg.Redeem(ctx, text, number, now)
	}
	const deletes = 2 // after it has read code and badge
	kv, codes := setup(ada)
	got, err := redeem(kv, deletes, codes[0], number, func(reg *Registry) {
		if _, err := reg.Redeem(ctx, codes[0], number, now); err != nil {
			t.Error(err)
		}
	})
	if err != nil || got.Owner != ada {
		t.Errorf("the same badge twice: %+v, %v", got, err)
	}
	kv, codes = setup(ada)
	_, err = redeem(kv, deletes, codes[0], second, func(reg *Registry) {
		if _, err := reg.Redeem(ctx, codes[0], number, now); err != nil {
			t.Error(err)
		}
	})
	if !errors.Is(err, ErrCode) {
		t.Errorf("two badges with one code: %v", err)
	}
	kv, codes = setup(ada, grace)
	_, err = redeem(kv, deletes, codes[0], number, func(reg *Registry) {
		if _, err := reg.Redeem(ctx, codes[1], number, now); err != nil {
			t.Error(err)
		}
	})
	if !errors.Is(err, ErrTaken) {
		t.Errorf("one badge for two: %v", err)
	}
	reg := newRegistry(t, kv, keyLine('a'))
	if got, err := reg.Redeem(ctx, codes[0], second, now); err != nil || got.Owner != ada {
		t.Errorf("the code of whoever lost: %+v, %v", got, err)
	}
}
