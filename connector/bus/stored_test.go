package bus_test

import (
	"testing"

	"pullprint/connector/bus"
	"pullprint/policy/quota/quotatest"
)

func TestStoredForms(t *testing.T) {
	t.Parallel()
	quotatest.Stored(t, bus.Stored)
}
