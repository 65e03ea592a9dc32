package ledger_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/policy/quota/quotatest"
	"pullprint/trigger/fuzztest"
)

// An account, whatever is stored of it, is used or refused: nothing panics, no loop over
// periods goes on for ever, nobody gets more than the account has, and what is stored
// after a write can be read.
func FuzzAccount(f *testing.F) {
	kv := &quotatest.Memory{}
	l := ledger.New(kv, &quotatest.History{}, rand.Text)
	for i, attempt := range []string{"a", "b"} {
		if err := l.Reserve(f.Context(), quotatest.Charge("p/"+attempt, attempt, int64(i+1), quotatest.Weekly("ada", 5))); err != nil {
			f.Fatal(err)
		}
	}
	if _, err := l.Settle(f.Context(), "p/a", []quota.Account{quotatest.Weekly("ada", 5).Account}, quotatest.Noon); err != nil {
		f.Fatal(err)
	}
	good, _, err := kv.Get(f.Context(), "ada")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"seq":1}`))
	f.Add([]byte(`{`))
	watch := fuzztest.New(f, fuzztest.Small)
	f.Fuzz(func(t *testing.T, stored []byte) {
		defer watch.Input(t)()
		kv := &quotatest.Memory{}
		if _, ok, err := kv.CompareAndSet(t.Context(), "ada", stored, 0, 0); err != nil || !ok {
			t.Fatal(ok, err)
		}
		l := ledger.New(kv, &quotatest.History{}, rand.Text)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		claim := quotatest.Weekly("ada", 5)
		before, err := l.Balances(ctx, []quota.Claim{claim}, quotatest.Noon)
		if err != nil {
			return
		}
		err = l.Reserve(ctx, quotatest.Charge("p/new", "n", 2, claim))
		var exhausted *quota.Exhausted
		switch {
		case errors.As(err, &exhausted):
			return
		case err != nil:
			return
		case before[0].Left < 2*quota.Unit:
			t.Errorf("2 pages are reserved of %s", before[0].Left)
		}
		after, err := l.Balances(ctx, []quota.Claim{claim}, quotatest.Noon)
		if err != nil {
			t.Fatalf("after a write it can't be read: %v", err)
		}
		if after[0].Left > before[0].Left {
			t.Errorf("left %s, and %s after 2 pages were reserved", before[0].Left, after[0].Left)
		}
		if _, err := l.Void(ctx, "p/new", "n", []quota.Account{claim.Account}, quotatest.Noon); err != nil {
			t.Error(err)
		}
	})
}
