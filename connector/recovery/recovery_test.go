package recovery

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// A panic becomes an error with the stack and without the value of the panic.
func TestCatch(t *testing.T) {
	want := errors.New("as it is")
	if err := Catch(func() error { return want }); !errors.Is(err, want) {
		t.Error(err)
	}
	err := Catch(func() error { panic("PLANTED") })
	if p, ok := errors.AsType[*Panic](err); !ok || strings.Contains(p.Error(), "PLANTED") || !strings.Contains(p.Error(), "TestCatch") {
		t.Errorf("%v", err)
	}
	if err := Catch(func() error { none := []int{}; none[len(none)] = 1; return nil }); err == nil {
		t.Error("an index out of range is no error")
	}
}

// A panic in one call ends no other, and is told.
func TestEach(t *testing.T) {
	done := make([]bool, 5)
	err := Each(len(done), 2, func(i int) {
		if i == 1 {
			panic("PLANTED")
		}
		done[i] = true
	})
	if _, ok := errors.AsType[*Panic](err); !ok || !slices.Equal(done, []bool{true, false, true, true, true}) {
		t.Errorf("%v, %v", done, err)
	}
}
