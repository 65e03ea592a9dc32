package main

import (
	"strings"
	"testing"

	"pullprint/policy/badge"
)

// A badge of a word, as an earlier version enrolled it, is not shown as valid.
func TestBadgesOfWords(t *testing.T) {
	var out strings.Builder
	err := printBadges(&out, []badge.Badge{
		{ID: "a1", Owner: "jdoe"},
		{ID: "b2", Owner: "11111111-2222-4333-8444-555555555555"},
	}, nil)
	lines := strings.Split(out.String(), "\n")
	if err != nil || len(lines) < 3 || !strings.Contains(lines[1], "opens nothing") ||
		!strings.HasSuffix(lines[2], "valid") {
		t.Errorf("%v\n%s", err, &out)
	}
}
