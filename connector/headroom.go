package connector

import (
	"time"
)

// What Universal Print takes of one printer: so many jobs within a window, at
// once, and at once of one person
// (https://learn.microsoft.com/universal-print/reference/limits).
const (
	limitWindow     = 10 * time.Minute
	limitJobs       = 100
	limitAtOnce     = 50
	limitAtOnceUser = 4
)

// headroom is how much of what Universal Print takes of each queue is left, from
// 1 when nothing is used to 0 at the tightest of the limits. Jobs that are held
// are paused in Universal Print; it is not documented that they count as jobs at
// once, and they don't here.
func headroom(x *Index, now time.Time) map[string]float64 {
	type load struct {
		recent, atOnce int
		users          map[string]int
	}
	loads := map[string]*load{}
	x.mu.RLock()
	for _, e := range x.entries {
		l := loads[e.Queue]
		if l == nil {
			l = &load{users: map[string]int{}}
			loads[e.Queue] = l
		}
		if now.Sub(e.Seen) < limitWindow {
			l.recent++
		}
		if e.State.Intent() {
			l.atOnce++
			l.users[e.Owner]++
		}
	}
	x.mu.RUnlock()
	left := map[string]float64{}
	for queue, l := range loads {
		used := max(float64(l.recent)/limitJobs, float64(l.atOnce)/limitAtOnce)
		for _, n := range l.users {
			used = max(used, float64(n)/limitAtOnceUser)
		}
		left[queue] = max(0, 1-used)
	}
	return left
}

// tellHeadroom sets the gauge of every queue.
func (w *Worker) tellHeadroom(now time.Time) {
	left := headroom(w.Index, now)
	for _, q := range w.Queues {
		ratio, busy := left[q.Name]
		if !busy {
			ratio = 1
		}
		w.Metrics.headroom.WithLabelValues(q.Name).Set(ratio)
	}
}
