package connector

import (
	"testing"

	"pullprint/policy/quota/quotatest"
)

// storedForms are the types of this package that only it stores, as JSON.
var storedForms = map[string]func() any{
	"export-mark": func() any { return new(exportPosition) },
	"note":        func() any { return new(note) },
	"self-test":   func() any { return new(selfTest) },
	"strikes":     func() any { return new(strikes) },
}

func TestStoredForms(t *testing.T) {
	t.Parallel()
	quotatest.Stored(t, storedForms)
}
