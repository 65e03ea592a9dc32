package sweep

import (
	"cmp"
	"iter"
	"slices"
)

// inTurn chooses n of a list that changes from time to time: those after last in the order
// of their keys, and from the start again. It sorts list, and sets last to the one that was worked on
// last: whoever breaks off, as at the end of a sweep's time, goes on there the next time. Always to
// begin with the same ones would leave those behind slow ones undone for ever.
func inTurn[E any](last *string, list []E, n int, key func(E) string) iter.Seq[E] {
	slices.SortFunc(list, func(a, b E) int { return cmp.Compare(key(a), key(b)) })
	after, _ := slices.BinarySearchFunc(list, *last+"\x00", func(e E, k string) int { return cmp.Compare(key(e), k) })
	n = min(n, len(list))
	chosen := slices.Concat(list[after:], list[:after])[:n]
	return func(yield func(E) bool) {
		for _, e := range chosen {
			if !yield(e) {
				return
			}
			*last = key(e)
		}
	}
}
