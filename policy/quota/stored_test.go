package quota_test

import (
	"testing"

	"pullprint/policy/quota"
	"pullprint/policy/quota/quotatest"
)

// storedForms are the types that are stored as JSON.
var storedForms = map[string]func() any{
	"account": func() any { return new(quota.State) },
}

func TestStoredForms(t *testing.T) {
	t.Parallel()
	quotatest.Stored(t, storedForms)
}
