package inflight

import (
	"testing"

	"pullprint/policy/quota/quotatest"
)

func TestStoredForms(t *testing.T) {
	t.Parallel()
	quotatest.Stored(t, map[string]func() any{"note": func() any { return new(note) }})
}
