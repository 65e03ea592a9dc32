package ledgerexport

import (
	"testing"

	"pullprint/policy/quota/quotatest"
)

func TestStoredForms(t *testing.T) {
	t.Parallel()
	quotatest.Stored(t, map[string]func() any{"export-mark": func() any { return new(position) }})
}
