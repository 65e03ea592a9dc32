package connector

import (
	"errors"
	"strings"
	"testing"
)

// A panic becomes an error with the stack and without the value of the panic.
func TestCatchPanic(t *testing.T) {
	want := errors.New("as it is")
	if err := catchPanic(func() error { return want }); !errors.Is(err, want) {
		t.Error(err)
	}
	err := catchPanic(func() error { panic("PLANTED") })
	if p, ok := errors.AsType[*panicked](err); !ok || strings.Contains(p.Error(), "PLANTED") || !strings.Contains(p.Error(), "TestCatchPanic") {
		t.Errorf("%v", err)
	}
	if err := catchPanic(func() error { none := []int{}; none[len(none)] = 1; return nil }); err == nil {
		t.Error("a mistake of ours is no error")
	}
}
