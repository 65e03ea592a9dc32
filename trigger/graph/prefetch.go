package graph

import (
	"slices"

	"golang.org/x/sync/errgroup"
)

// Limits of Prefetch: blocks and concurrent requests, and how much is read at each offset. The
// object that describes a page is rarely longer than placeSize.
const (
	maxPrefetch = 256
	prefetchers = 16
	placeSize   = 1 << 10
)

// Prefetch reads the blocks at the given offsets concurrently, so that reading them later does
// not wait for one after the other. Blocks that fail are read when they are needed.
func (r *DocumentReader) Prefetch(offsets []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	want := r.missing(offsets)
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
		for n++; n < len(want) && want[n] <= last+1; n++ { // reading one block in between is cheaper than a request
			last = want[n] + 1
		}
		all.Go(func() error {
			defer func() { _ = recover() }() // the block is then read when it is needed
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

// missing returns the blocks at the given offsets that are not kept, in order.
func (r *DocumentReader) missing(offsets []int64) []int64 {
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
	return slices.Compact(want)
}
