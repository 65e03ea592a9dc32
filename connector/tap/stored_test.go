package tap

import (
	"testing"

	"pullprint/policy/quota/quotatest"
)

func TestStoredForms(t *testing.T) {
	t.Parallel()
	quotatest.Stored(t, map[string]func() any{
		"strikes": func() any { return new(strikes) }, "heard": func() any { return new(Heard) },
	})
}
