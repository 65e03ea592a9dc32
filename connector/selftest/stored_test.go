package selftest

import (
	"testing"

	"pullprint/policy/quota/quotatest"
)

func TestStoredForms(t *testing.T) {
	t.Parallel()
	quotatest.Stored(t, map[string]func() any{"self-test": func() any { return new(run) }})
}
