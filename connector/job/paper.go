package job

import (
	"slices"
	"time"

	"pullprint/connector/job/paper"
	"pullprint/trigger/graph"
)

// Paper is what became of a job at its printer.
type Paper struct {
	State paper.State `json:"state"`
	// At is when the end was seen; of a pending job, when it was let go on.
	At time.Time `json:"at"`
	// Detail is the printer's word for it.
	Detail string `json:"detail,omitempty"`
}

// LetGo reports whether the job was let go on: it may print.
func (r *Record) LetGo() bool {
	return r.State == Released || r.State == Completed || (r.State == Gone && r.Release != nil && r.Release.Late)
}

// LetGoAt is when Graph was last called to let the job go on.
func (r *Record) LetGoAt() time.Time {
	for _, s := range slices.Backward(r.Trail) {
		if s.State.Intent() {
			return s.At
		}
	}
	return r.Decision.At
}

// Followed reports whether the end of the job at its printer is not known yet and is looked for.
// It is not where an earlier version let the job go on.
func (r *Record) Followed() bool {
	return r.LetGo() && r.Paper != nil && r.Paper.State == paper.Pending
}

// PrintsAt is where a job that was let go on is to be looked for. moved is true when it was
// redirected from there: if Graph does not show where to, its state there says nothing about the
// paper.
func (r *Record) PrintsAt() (at graph.Ref, moved bool) {
	moved = r.State != Completed
	if moved && r.Release != nil && r.Release.Job != "" {
		return graph.Ref{Printer: r.Release.Printer, Job: r.Release.Job}, false
	}
	return r.Ref, moved
}

// PrintedBy names where a job that was let go on prints: the device, or the queue that it was sent
// to.
func (r *Record) PrintedBy() string {
	if r.State != Completed && r.Release != nil {
		return r.Release.Device
	}
	return r.Queue
}

// EndOnPaper notes what became of a job that is followed. Nothing is stored.
func (r *Record) EndOnPaper(p Paper, by string) {
	r.Paper = &p
	note := "paper: " + string(p.State)
	if p.Detail != "" {
		note += ", " + p.Detail
	}
	r.note(Step{State: r.State, At: p.At, By: by, Note: note})
}
