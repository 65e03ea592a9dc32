package index

import (
	"time"

	"pullprint/connector/job"
	"pullprint/trigger/graph"
)

// Followed is a job that was let go on and whose end at its printer is not known yet.
type Followed struct {
	Ref graph.Ref
	Key string
	// At is where it is to be looked for, and Moved says that it went on from there: see
	// job.Record.PrintsAt.
	At    graph.Ref
	Moved bool
	// Since is when it was let go on.
	Since time.Time
}

// followed is the Followed of a record; zero when it is not followed.
func followed(key string, rec *job.Record) Followed {
	if !rec.Followed() {
		return Followed{}
	}
	at, moved := rec.PrintsAt()
	return Followed{Ref: rec.Ref, Key: key, At: at, Moved: moved, Since: rec.Paper.At}
}

// Followed lists the jobs whose end at their printer is not known yet, in no order. Its cost
// depends on these only.
func (x *Index) Followed() []Followed {
	x.mu.RLock()
	defer x.mu.RUnlock()
	list := make([]Followed, 0, len(x.follows))
	for _, f := range x.follows {
		list = append(list, f)
	}
	return list
}
