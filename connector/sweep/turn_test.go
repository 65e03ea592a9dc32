package sweep

import (
	"fmt"
	"slices"
	"testing"
)

// However the list changes between two times, what stays in it is chosen once in each round.
func TestInTurn(t *testing.T) {
	list := make([]string, 1200)
	for i := range list {
		list[i] = fmt.Sprintf("%04d", i)
	}
	key := func(s string) string { return s }
	seen, last := map[string]int{}, ""
	for range 3 {
		chosen := inTurn(&last, slices.Clone(list), 500, key)
		for i, k := range slices.Collect(chosen) {
			seen[k]++
			if i%2 == 0 { // it ends, and another one comes at the beginning
				list = slices.DeleteFunc(list, func(s string) bool { return s == k })
				list = append(list, "!"+k)
			}
		}
	}
	for _, k := range list {
		if seen[k] == 0 && k[0] != '!' {
			t.Errorf("%s was left out", k)
		}
	}
	if got := inTurn(&last, []string{"b", "a"}, 500, key); !slices.Equal(slices.Sorted(got), []string{"a", "b"}) {
		t.Error("of two not both")
	}
	if got := inTurn(&last, nil, 500, key); len(slices.Collect(got)) != 0 {
		t.Error("of none some")
	}
}
