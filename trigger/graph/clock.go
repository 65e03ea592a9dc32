package graph

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// clockAgrees is by how much this machine's clock and Graph's may differ and be taken
// for the same: Date has whole seconds, and an answer is on its way for some.
const clockAgrees = 30 * time.Second

// clock knows what time it is at Graph, by the header Date of its newest answer and
// the time that passed since, which a clock that is set anew does not change.
type clock struct {
	mu      sync.Mutex
	date    time.Time // what Graph said; zero before the first answer
	at      time.Time // when, with the monotonic reading of this machine
	differs bool

	skew prometheus.Gauge
	log  *zap.Logger
}

// told takes the Date of an answer.
func (c *clock) told(h http.Header, now time.Time) {
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

// Now is the time at Graph: this machine's, unless Graph's newest answer says that it
// differs. Before the first answer it is this machine's.
func (c *Client) Now() time.Time { return c.clock.now(time.Now()) }

// Heard reports whether Graph has told what time it is there.
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
