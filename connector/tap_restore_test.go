package connector_test

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/policy/badge"
)

// One-time codes of a backup are void, as they may have been used since; badges are restored.
func TestNoCodeAfterRestore(t *testing.T) {
	ctx, b := t.Context(), bustest.Open(t)
	registry := badgeBook(t, b, badgeKey(1))
	if _, err := registry.Enrol(ctx, "1001", badgeOf(studentID)); err != nil {
		t.Fatal(err)
	}
	codes := map[badge.Purpose]string{badge.ForBadge: "", badge.ForVisit: "", badge.ForPIN: ""}
	for purpose := range codes {
		e := badgeOf(studentID)
		e.Code = purpose
		text, err := registry.IssueCode(ctx, e, time.Hour, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		codes[purpose] = text
	}
	offered, err := registry.Offer(ctx, "2002", "hq-2-west", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Claimed(ctx, offered, time.Now()); err != nil {
		t.Fatal(err)
	}
	b = bustest.Restore(t, b, bustest.Backup(t, b))
	registry = badgeBook(t, b, badgeKey(1))
	if _, err := registry.Redeem(ctx, codes[badge.ForBadge], "3003", time.Now()); !errors.Is(err, badge.ErrCode) {
		t.Error("a badge:", err)
	}
	for _, purpose := range []badge.Purpose{badge.ForVisit, badge.ForPIN} {
		done := func(string) error { return nil }
		if err := registry.UseCode(ctx, codes[purpose], purpose, time.Now(), done); !errors.Is(err, badge.ErrCode) {
			t.Error(purpose, err)
		}
	}
	if _, err := registry.Claimed(ctx, offered, time.Now()); !errors.Is(err, badge.ErrCode) {
		t.Error("a badge of one's own:", err)
	}
	if _, err := registry.Resolve(ctx, "1001", time.Now()); err != nil {
		t.Error(err)
	}
}
