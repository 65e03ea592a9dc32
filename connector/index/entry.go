package index

import (
	"encoding/hex"
	"math"
	"time"
	"unique"

	"pullprint/connector/job"
	"pullprint/trigger/graph"
)

// word is a string with few different values among many jobs, such as an owner, a queue or
// a reason. It is interned and takes the memory of a pointer.
type word = unique.Handle[string]

// jobID is the key of a job in the index, with both ids in canonical form.
type jobID struct {
	printer word
	job     string
}

func jobIDOf(ref graph.Ref) jobID {
	return jobID{unique.Make(graph.Canonical(ref.Printer)), graph.Canonical(ref.Job)}
}

// ref is the job with that key.
func (p jobID) ref() graph.Ref { return graph.Ref{Printer: p.printer.Value(), Job: p.job} }

// indexed is an Entry in compact form: a third of its size, as there may be 300,000 records.
type indexed struct {
	owner, queue, state, reason, policy, mode word
	since, seen, holdUntil, warned, created   instant
	task                                      guid
}

// odd has the values that indexed has no room for: a task id that is not a GUID, a key that
// can't be derived from owner and job, or a job id in non-canonical form.
type odd struct {
	task, key string
	ref       graph.Ref
}

func pack(e *Entry) (indexed, odd) {
	in := indexed{
		unique.Make(e.Owner), unique.Make(e.Queue), unique.Make(string(e.State)), unique.Make(e.Reason),
		unique.Make(e.Policy), unique.Make(e.Mode),
		instantOf(e.Since), instantOf(e.Seen), instantOf(e.HoldUntil), instantOf(e.Warned), instantOf(e.Created),
		guid{},
	}
	var o odd
	var ok bool
	if in.task, ok = parseGUID(e.Task); !ok {
		o.task = e.Task
	}
	if e.Ref != jobIDOf(e.Ref).ref() {
		o.ref = e.Ref
	}
	if e.Key != "" && e.Key != job.Key(e.Owner, e.Ref) {
		o.key = e.Key
	}
	return in, o
}

// view is the Entry without Key and Task, whose strings would have to be allocated.
func (in *indexed) view(p jobID) Entry {
	return Entry{
		Ref: p.ref(), Queue: in.queue.Value(), State: job.State(in.state.Value()),
		Since: in.since.time(), Seen: in.seen.time(), HoldUntil: in.holdUntil.time(), Warned: in.warned.time(),
		Created: in.created.time(),
		Owner:   in.owner.Value(), Reason: in.reason.Value(), Policy: in.policy.Value(), Mode: in.mode.Value(),
	}
}

// whole is the complete Entry.
func (in *indexed) whole(p jobID, o odd) Entry {
	e := in.view(p)
	if o.ref != (graph.Ref{}) {
		e.Ref = o.ref
	}
	if e.Task = o.task; e.Task == "" && in.task != (guid{}) {
		e.Task = in.task.String()
	}
	if e.Key = o.key; e.Key == "" {
		e.Key = job.Key(e.Owner, e.Ref)
	}
	return e
}

// instant is a time in nanoseconds since 1970, in UTC; 0 is none.
type instant int64

// The range of instant. A time beyond it, which no record has, is set to the nearest end.
var (
	firstInstant = time.Unix(0, math.MinInt64)
	lastInstant  = time.Unix(0, math.MaxInt64)
)

func instantOf(t time.Time) instant {
	switch {
	case t.IsZero():
		return 0
	case t.Before(firstInstant):
		return math.MinInt64
	case t.After(lastInstant):
		return math.MaxInt64
	}
	return instant(t.UnixNano())
}

func (i instant) time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(i)).UTC()
}

// guid is a GUID in its canonical form, in 16 bytes; the zero one is no text.
type guid [16]byte

// dashes are the positions of the dashes in a GUID.
var dashes = [4]int{8, 13, 18, 23}

// parseGUID parses only what String returns.
func parseGUID(s string) (g guid, ok bool) {
	if s == "" {
		return g, true
	}
	if len(s) != 36 {
		return g, false
	}
	var text [32]byte
	n := 0
	for i := range len(s) {
		if s[i] != '-' && n < len(text) {
			text[n] = s[i]
			n++
		}
	}
	if _, err := hex.Decode(g[:], text[:n]); err != nil || n != len(text) || g == (guid{}) || g.String() != s {
		return guid{}, false
	}
	return g, true
}

func (g guid) String() string {
	var digits [32]byte
	hex.Encode(digits[:], g[:])
	out := make([]byte, 0, 36)
	for i, c := range digits {
		for d, at := range dashes {
			if i == at-d {
				out = append(out, '-')
			}
		}
		out = append(out, c)
	}
	return string(out)
}
