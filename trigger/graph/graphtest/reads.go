package graphtest

import (
	"encoding/json"
	"strings"
	"time"
)

// nulls are the paths of the properties of a job that Graph may answer with null; those of documents apply to each.
var nulls = []string{
	"configuration.feedOrientation", "configuration.pageRanges", "configuration.quality", "configuration.dpi",
	"configuration.orientation",
	"configuration.copies", "configuration.duplexMode", "configuration.colorMode", "configuration.inputBin",
	"configuration.outputBin",
	"configuration.mediaSize", "configuration.margin", "configuration.mediaType", "configuration.finishings",
	"configuration.pagesPerSheet",
	"configuration.multipageLayout", "configuration.collate", "configuration.scaling", "configuration.fitPdfToPage",
	"configuration",
	"status.description", "status.details", "status", "createdBy.displayName", "createdBy.userPrincipalName",
	"createdBy.id", "createdBy",
	"createdDateTime", "isFetchable", "documents.displayName", "documents.contentType", "documents.size",
}

// Nulls are the properties that [Knobs.NullOf] may name.
func Nulls() []string { return append([]string(nil), nulls...) }

// ahead is how far the clock of Graph is ahead of the machine's.
func (s *Sim) ahead() time.Duration { return s.knobs.Load().ClockAhead }

// told formats a time of the machine's clock as Graph does, by its own clock.
func (s *Sim) told(t time.Time) string { return t.Add(s.ahead()).UTC().Format(stamp) }

// early reports whether Graph does not show a new job yet.
func (s *Sim) early(k *Knobs, j *job) bool {
	if k.JobUnknownFor <= 0 || !s.dice.chance(k.JobUnknown, "job unknown", j.id.String()) {
		return false
	}
	return time.Since(j.created) < k.JobUnknownFor
}

// remember stores the current state of a job before it changes.
func (j *job) remember() {
	before := *j
	before.before = nil
	if j.task != nil {
		t := *j.task
		before.task = &t
	}
	j.before, j.changed = &before, time.Now()
}

// shown returns a job as reads show it: for a while, that is its state before the last change.
func (s *Sim) shown(k *Knobs, j *job) *job {
	if k.ReadLag > 0 && j.before != nil && time.Since(j.changed) < k.ReadLag {
		return j.before
	}
	return j
}

// shownTask is shown, for a task.
func (s *Sim) shownTask(k *Knobs, t *task) *task {
	if j := s.shown(k, t.job); j.task != nil && j.task.id == t.id {
		return j.task
	}
	return t
}

// nullified replaces some properties of a job by null; it returns its argument if it replaces none.
func (s *Sim) nullified(k *Knobs, c *call, v any) any {
	if k.Null <= 0 {
		return v
	}
	list := k.NullOf
	if len(list) == 0 {
		list = nulls
	}
	var struck []string
	for _, path := range list {
		if s.dice.chance(k.Null, "null "+path, c.Path) {
			struck = append(struck, path)
		}
	}
	if len(struck) == 0 {
		return v
	}
	raw, err := json.Marshal(v)
	var out map[string]any
	if err != nil || json.Unmarshal(raw, &out) != nil {
		return v
	}
	for _, path := range struck {
		nullify(out, strings.Split(path, "."))
	}
	return out
}

func nullify(in any, path []string) {
	switch in := in.(type) {
	case map[string]any:
		if _, there := in[path[0]]; !there {
			return
		}
		if len(path) == 1 {
			in[path[0]] = nil
			return
		}
		nullify(in[path[0]], path[1:])
	case []any:
		for _, item := range in {
			nullify(item, path)
		}
	}
}
