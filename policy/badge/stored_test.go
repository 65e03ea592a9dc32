package badge

import (
	"testing"

	"pullprint/policy/quota/quotatest"
)

// storedForms are the types that are stored as JSON.
var storedForms = map[string]func() any{
	"code": func() any { return new(code) },
}

func TestStoredForms(t *testing.T) {
	t.Parallel()
	quotatest.Stored(t, storedForms)
}
