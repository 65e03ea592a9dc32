package sweep

import (
	"fmt"
	"slices"
	"time"

	"pullprint/connector/index"
	"pullprint/connector/job"
)

// The limits of Universal Print for one printer: jobs within a window, jobs at once, and
// jobs at once of one person
// (https://learn.microsoft.com/universal-print/reference/limits).
const (
	limitWindow     = 10 * time.Minute
	limitJobs       = 100
	limitAtOnce     = 50
	limitAtOnceUser = 4
)

// splitAt is how much of the limits a queue may use before it should be split.
const splitAt = 0.7

// Load is how much of the limits of Universal Print a queue uses.
type Load struct {
	// Jobs is how many came within 10 minutes, Since when those began.
	Jobs  int
	Since time.Time
	// AtOnce are those under way, AtOnceUser those of the person with the most.
	AtOnce, AtOnceUser int
}

// Used is the used share of the tightest limit; 1 is all of it.
func (l Load) Used() float64 {
	return max(float64(l.Jobs)/limitJobs, float64(l.AtOnce)/limitAtOnce, float64(l.AtOnceUser)/limitAtOnceUser)
}

// Split reports whether the queue should be split, and why. Many jobs at
// once of one person are no reason: a second queue would not help.
func (l Load) Split() (why string, is bool) {
	l.AtOnceUser = 0
	if l.Used() < splitAt {
		return "", false
	}
	if float64(l.Jobs)/limitJobs >= float64(l.AtOnce)/limitAtOnce {
		return fmt.Sprintf("%d of %d jobs in 10 minutes at %s", l.Jobs, limitJobs, l.Since.Local().Format("15:04 on 2 Jan")),
			true
	}
	return fmt.Sprintf("%d of %d jobs at once", l.AtOnce, limitAtOnce), true
}

// Arrival is a job that came to a queue; Open is one under way, that is neither held
// nor ended.
type Arrival struct {
	At    time.Time
	Owner string
	Open  bool
}

// count is a Load that is being counted.
type count struct {
	Load
	users map[string]int
}

// open counts a job that is under way.
func (c *count) open(owner string) {
	if c.users == nil {
		c.users = map[string]int{}
	}
	c.AtOnce++
	c.users[owner]++
	c.AtOnceUser = max(c.AtOnceUser, c.users[owner])
}

// Busiest is the load of a queue in the busiest 10 minutes of some arrivals, with what
// is under way now.
func Busiest(arrivals []Arrival) Load {
	var c count
	times := make([]time.Time, len(arrivals))
	for i, a := range arrivals {
		times[i] = a.At
		if a.Open {
			c.open(a.Owner)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	first := 0
	for i, at := range times {
		for at.Sub(times[first]) >= limitWindow {
			first++
		}
		if n := i - first + 1; n > c.Jobs {
			c.Jobs, c.Since = n, times[first]
		}
	}
	return c.Load
}

// headroom is how much of the tightest limit is left for each queue, from 1 when nothing is
// used to 0. Held jobs are paused in Universal Print. It is not documented whether they
// count as jobs at once; they are not counted here.
func headroom(x *index.Index, now time.Time) map[string]float64 {
	counts := map[string]*count{}
	x.Each(func(queue, owner string, state job.State, seen time.Time) {
		c := counts[queue]
		if c == nil {
			c = &count{}
			counts[queue] = c
		}
		if now.Sub(seen) < limitWindow {
			c.Jobs++
		}
		if state.Intent() {
			c.open(owner)
		}
	})
	left := map[string]float64{}
	for queue, c := range counts {
		left[queue] = max(0, 1-c.Used())
	}
	return left
}

// tellHeadroom sets the gauge of every queue.
func (s *Sweeper) tellHeadroom(now time.Time) {
	left := headroom(s.index, now)
	for _, q := range s.list {
		ratio, busy := left[q.Name]
		if !busy {
			ratio = 1
		}
		s.metrics.headroom.WithLabelValues(q.Name).Set(ratio)
	}
}
