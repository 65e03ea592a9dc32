package sweep

import (
	"cmp"
	"slices"
)

// inTurn chooses n of a list that changes from time to time: those after last in the order
// of their keys, and from the start again. It sorts list, and sets last for the next time.
func inTurn[E any](last *string, list []E, n int, key func(E) string) []E {
	slices.SortFunc(list, func(a, b E) int { return cmp.Compare(key(a), key(b)) })
	after, _ := slices.BinarySearchFunc(list, *last+"\x00", func(e E, k string) int { return cmp.Compare(key(e), k) })
	n = min(n, len(list))
	chosen := slices.Concat(list[after:], list[:after])[:n]
	if n > 0 {
		*last = key(chosen[n-1])
	}
	return chosen
}
