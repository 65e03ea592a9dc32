package graph

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// clockAgrees is how far the two clocks may differ and count as equal: Date has whole seconds,
// and an answer may take some more.
const clockAgrees = 30 * time.Second

// clock tells the time at Graph: the header Date of its newest answer plus the time since,
// which is not affected when this machine's clock is set.
type clock struct {
	mu      sync.Mutex // guards the next three
	date    time.Time  // what Graph said; zero before the first answer
	at      time.Time  // when it said so, with a monotonic reading
	differs bool

	skew prometheus.Gauge
	log  *zap.Logger
}

// observe records the Date of an answer.
func (c *clock) observe(h http.Header, now time.Time) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	ahead := now.Round(0).Sub(date)
	differs := ahead.Abs() > clockAgrees
	c.mu.Lock()
	was := c.differs
	c.date, c.at, c.differs = date, now, differs
	c.mu.Unlock()
	c.skew.Set(ahead.Round(time.Second).Seconds())
	switch {
	case differs && !was:
		c.log.Warn("this machine's clock differs from graph's: synchronize it with NTP",
			zap.Duration("ahead", ahead.Round(time.Second)))
	case was && !differs:
		c.log.Info("this machine's clock agrees with graph's again")
	}
}

// Now returns the time at Graph: this machine's, unless the newest answer of Graph differs from
// it. Before the first answer it is this machine's.
func (c *Client) Now() time.Time { return c.clock.now(time.Now()) }

// Heard reports whether Graph has told its time yet.
func (c *Client) Heard() bool {
	c.clock.mu.Lock()
	defer c.clock.mu.Unlock()
	return !c.clock.date.IsZero()
}

func (c *clock) now(here time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.date.IsZero() {
		return here
	}
	there := c.date.Add(here.Sub(c.at))
	if here.Round(0).Sub(there).Abs() <= clockAgrees {
		return here
	}
	return there
}
