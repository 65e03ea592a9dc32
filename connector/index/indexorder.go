package index

import (
	"cmp"
	"runtime"
	"slices"
	"sort"
	"strings"
)

// orderKey is what jobs are ordered by in a list.
type orderKey struct {
	seen instant
	jobID
}

func (p orderKey) compare(o orderKey) int {
	return cmp.Or(cmp.Compare(p.seen, o.seen), strings.Compare(p.printer.Value(), o.printer.Value()),
		strings.Compare(p.job, o.job))
}

// minStale is how many keys of jobs that are gone are kept in any case: removing
// them means to look at all.
const minStale = 1024

// seenOrder is the jobs of an index by when they were seen, oldest first, so that a page
// of a list begins where the one before ended. Most jobs are added at the end. A job
// that is dropped leaves its key, which counts as stale and is skipped.
type seenOrder struct {
	list   []orderKey
	sorted int // so many of list are in order; those after it were added since
	stale  int
}

func (s *seenOrder) add(p orderKey) {
	if s.sorted == len(s.list) && (s.sorted == 0 || s.list[s.sorted-1].seen < p.seen) {
		s.sorted++
	}
	s.list = append(s.list, p)
}

// arrange puts what was added in its place: the few that come late to an order that is
// sorted move nothing but what is newer.
func (s *seenOrder) arrange() {
	added := slices.Clone(s.list[s.sorted:])
	slices.SortFunc(added, orderKey.compare)
	for i, to := s.sorted-1, len(s.list)-1; len(added) > 0; to-- {
		last := added[len(added)-1]
		if i >= 0 && s.list[i].compare(last) > 0 {
			s.list[to] = s.list[i]
			i--
			continue
		}
		s.list[to] = last
		added = added[:len(added)-1]
	}
	s.sorted = len(s.list)
}

// from is the index of the first key that was seen then or later.
func (s *seenOrder) from(seen instant) int {
	return sort.Search(s.sorted, func(i int) bool { return s.list[i].seen >= seen })
}

// arrange sorts the keys of jobs that were added since.
func (x *Index) arrange() {
	x.mu.RLock()
	sorted := x.order.sorted == len(x.order.list)
	x.mu.RUnlock()
	if sorted {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.order.arrange()
}

// removeStale removes the keys of jobs that are gone when there are many. mu is held.
func (x *Index) removeStale() {
	if x.order.stale <= minStale || x.order.stale <= len(x.order.list)/2 {
		return
	}
	x.order.arrange()
	list := slices.DeleteFunc(x.order.list, func(p orderKey) bool {
		in, ok := x.entries[p.jobID]
		return !ok || in.seen != p.seen
	})
	list = slices.Compact(list) // a job that came back is there twice
	x.order = seenOrder{list: list, sorted: len(list)}
}

// Page lists the first n of the jobs that fit and come after a Position, in its order, and
// says whether there are more. It looks at no job that comes before it, and at none
// that comes after the page but those of the same moment. However many there are, it
// keeps twice n. fits is quick and sees an Entry without Key and Task.
func (x *Index) Page(fits func(*Entry) bool, after Position, n int) (page []Entry, more bool) {
	x.arrange()
	x.mu.RLock()
	defer x.mu.RUnlock()
	end := x.order.sorted
	if after != (Position{}) {
		end = x.order.from(instant(after.Seen) + 1)
	}
	for looked := 0; end > 0 && len(page) <= n; {
		seen := x.order.list[end-1].seen
		begin := x.order.from(seen)
		page = x.moment(page, x.order.list[begin:end], fits, after, n)
		if looked += end - begin; looked >= lockBatch {
			looked = 0
			x.mu.RUnlock()
			runtime.Gosched()
			x.mu.RLock()
			begin = x.order.from(seen) // the order may have moved
		}
		end = begin
	}
	if len(page) > n {
		clear(page[n:])
		return page[:n], true
	}
	return page, false
}

// moment appends to a page the jobs that were seen in one moment, by their keys, as far
// as they can be on the page or show that there are more. mu is held.
func (x *Index) moment(page []Entry, list []orderKey, fits func(*Entry) bool, after Position, n int) []Entry {
	before := len(page)
	cut := func() {
		slices.SortFunc(page[before:], func(a, b Entry) int { return cmp.Compare(a.Key, b.Key) })
		page = page[:before+len(slices.CompactFunc(page[before:], func(a, b Entry) bool { return a.Key == b.Key }))]
		if len(page) > n+1 {
			clear(page[n+1:])
			page = page[:n+1]
		}
	}
	for _, p := range list {
		in, ok := x.entries[p.jobID]
		if !ok || in.seen != p.seen {
			continue // it is gone, or was seen at another time
		}
		if e := in.view(p.jobID); !fits(&e) {
			continue
		}
		e := in.whole(p.jobID, x.odd[p.jobID])
		if after != (Position{}) && PositionOf(&e).Compare(after) <= 0 {
			continue
		}
		if page = append(page, e); len(page) >= 2*n+2 {
			cut()
		}
	}
	if len(page) > before+1 {
		cut()
	}
	return page
}
