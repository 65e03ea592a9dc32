package badge

import (
	"context"
	"strings"
	"testing"
)

// A row whose handling panics ends the import, and not the process.
func TestSidePanics(t *testing.T) {
	done, err := parallel(t.Context(), parallelLimit, make([]row, 3), func(context.Context, row) error { panic("outside") })
	if done != 0 || err == nil || !strings.Contains(err.Error(), "panic") || strings.Contains(err.Error(), "outside") {
		t.Error(done, err)
	}
}
