package ledger_test

import (
	"crypto/rand"
	"testing"
	"time"

	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/policy/quota/quotatest"
)

// What a person set on an account of others, and the history could not take yet, is told
// without them after they were erased.
func TestEraseWhoSet(t *testing.T) {
	kv, h := &quotatest.Memory{}, &quotatest.History{Fail: true}
	l := ledger.New(kv, h, rand.Text)
	lab, now := quotatest.Weekly("center.lab", 100).Account, time.Now()
	if err := l.Adjust(t.Context(), lab, 5*quota.Unit, quota.Note{By: "ada", Why: "a gift", At: now}); err != nil {
		t.Fatal(err)
	}
	if n, err := l.Erase(t.Context(), "ADA", false, now); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	h.Fail = false
	if err := ledger.New(kv, h, rand.Text).Open(t.Context(), func(quota.Account, quota.Reservation) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if told, erased := h.Entries(`"ada"`), h.Entries(`"by":"erased"`); told != 0 || erased != 1 {
		t.Errorf("%d entries tell of them, %d say that they were erased", told, erased)
	}
}
