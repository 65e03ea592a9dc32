package graph

import (
	"slices"

	"golang.org/x/sync/errgroup"
)

// How much Prefetch reads: so many blocks at once, in so many requests together. Of
// each place it is told, so much is read: the object of a page is rarely longer.
const (
	maxPrefetch = 256
	prefetchers = 16
	placeSize   = 1 << 10
)

// Prefetch reads the blocks at some offsets, several at once, so that reading there
// does not wait for one after the other. What it can't read is read later.
func (r *DocumentReader) Prefetch(offsets []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var want []int64
	for _, off := range offsets {
		if off < 0 || off >= r.size || len(want) >= maxPrefetch {
			continue
		}
		for i := off / blockSize; i <= min(off+placeSize, r.size-1)/blockSize; i++ {
			if r.blocks[i] == nil {
				want = append(want, i)
			}
		}
	}
	slices.Sort(want)
	want = slices.Compact(want)
	if len(want) < 2 || r.over(int64(len(want))*blockSize) {
		return
	}
	type part struct {
		first int64
		data  []byte
	}
	parts := make(chan part, len(want))
	var all errgroup.Group
	all.SetLimit(prefetchers)
	for n := 0; n < len(want); {
		first := want[n]
		last := first + 1
		for n++; n < len(want) && want[n] <= last+1; n++ { // a block between is cheaper than a request
			last = want[n] + 1
		}
		all.Go(func() error {
			defer func() { _ = recover() }() // as if it had not been read
			if left, _ := r.client.pauses.left(readDocument); left > 0 {
				return nil // the host asked for a pause
			}
			if a, err := r.ask(first*blockSize, min(last*blockSize, r.size)); err == nil && a.size == r.size {
				parts <- part{first, a.data}
			}
			return nil
		})
	}
	_ = all.Wait()
	close(parts)
	for p := range parts {
		r.read += int64(len(p.data))
		r.keep(p.first, p.data)
	}
}
