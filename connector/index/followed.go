package index

import (
	"cmp"
	"slices"
	"time"

	"pullprint/connector/job"
	"pullprint/connector/job/paper"
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

// failed is a job that its printer gave up.
type failed struct {
	device, detail string
	at             time.Time
}

// failedOf is how a record failed at its printer; zero when it did not.
func failedOf(rec *job.Record) failed {
	if rec.Paper == nil || rec.Paper.State != paper.Failed {
		return failed{}
	}
	return failed{device: rec.PrintedBy(), detail: rec.Paper.Detail, at: rec.Paper.At}
}

// Failures are the jobs that failed at one printer.
type Failures struct {
	// Device is as the label of pullprint_printed_total.
	Device string
	Jobs   int
	// Last is when the newest was seen to fail, Detail the printer's word for it.
	Last   time.Time
	Detail string
}

// Failures counts the jobs that failed since a time by printer, and gives the n printers with the
// most of them, those first.
func (x *Index) Failures(since time.Time, n int) []Failures {
	x.mu.RLock()
	byDevice := map[string]Failures{}
	for _, f := range x.failures {
		if f.at.Before(since) {
			continue
		}
		of := byDevice[f.device]
		of.Device, of.Jobs = f.device, of.Jobs+1
		if f.at.After(of.Last) {
			of.Last, of.Detail = f.at, f.detail
		}
		byDevice[f.device] = of
	}
	x.mu.RUnlock()
	list := make([]Failures, 0, len(byDevice))
	for _, of := range byDevice {
		list = append(list, of)
	}
	slices.SortFunc(list, func(a, b Failures) int {
		return cmp.Or(cmp.Compare(b.Jobs, a.Jobs), cmp.Compare(a.Device, b.Device))
	})
	return list[:min(n, len(list))]
}
