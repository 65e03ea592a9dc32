package connector

import (
	"errors"
	"strings"
	"testing"
)

// A panic is an error that tells where it was and nothing of what it said.
func TestSurvive(t *testing.T) {
	want := errors.New("as it is")
	if err := survive(func() error { return want }); !errors.Is(err, want) {
		t.Error(err)
	}
	err := survive(func() error { panic("PLANTED") })
	if p, ok := errors.AsType[*panicked](err); !ok || strings.Contains(p.Error(), "PLANTED") || !strings.Contains(p.Error(), "TestSurvive") {
		t.Errorf("%v", err)
	}
	if err := survive(func() error { var none map[string]int; none["x"] = 1; return nil }); err == nil {
		t.Error("a mistake of ours is no error")
	}
}
