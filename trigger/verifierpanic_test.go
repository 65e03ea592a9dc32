package trigger

import (
	"testing"

	"go.uber.org/zap"
)

// A value that panics costs itself, and what comes after it is taken.
func TestVerifierApplyPanics(t *testing.T) {
	b := NewVerifier(VerifierOptions{TenantID: "t", Logger: zap.NewNop()})
	b.revisions = nil // makes the next write panic
	b.apply(keyLifecycle, []byte(`{}`), 1)
	b.revisions = map[string]uint64{}
	b.apply(keyLifecycle, []byte(`{}`), 2)
	if b.revisions[keyLifecycle] != 2 {
		t.Error("not taken")
	}
}
