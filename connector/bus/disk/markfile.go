package disk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"pullprint/connector/store"
	"pullprint/trigger/durable"
)

// ErrLost: the embedded store has lost what it had acknowledged.
var ErrLost = errors.New("the store lost what it had acknowledged")

// markVersion is that of the file; a program refuses one that is newer.
const markVersion = 1

// Mark is the high-water mark, a file beside the embedded store, not in it: how far
// each stream had come. A store that is behind its mark was rolled back, deleted
// or damaged, and is not started on: what it has forgotten could print or be paid
// for again.
//
// Crash safety: a write is acknowledged once it is on disk; only then its
// sequence goes into the mark, at most a second later, by a new file that is
// synced and renamed over the old one. So the mark is never ahead of the disk,
// wherever the process dies or the power goes: a store that was only killed is
// never refused. It may be behind the disk by what was acknowledged in the last
// second: a loss of just that is not noticed. Nor is it noticed when the mark is
// rolled back together with the store, as with a snapshot of the whole machine:
// keep it elsewhere by nats.embedded.mark_file.
type Mark struct {
	Version int                 `json:"version"`
	Written time.Time           `json:"written"`
	Streams map[string]Position `json:"streams"`
}

// Position is how far a stream had come.
type Position struct {
	// Last is a sequence that was acknowledged.
	Last uint64 `json:"last"`
	// Created is when the server made the stream: another time is another stream.
	Created time.Time `json:"created"`
	// Gaps is how many messages were taken out of the middle of a stream that
	// otherwise only grows, by erasing a person: it is stored before they go.
	Gaps int `json:"gaps,omitempty"`
}

// Loss is what a stream has lost.
type Loss struct {
	// Stream names it; Marked is how far it had come, Found how far it is now.
	Stream        string
	Marked, Found uint64
	// Missing is how many messages are missing at the least, in its middle too.
	Missing uint64
	// Replaced: it is another stream of the same name.
	Replaced bool
	// Damage says where its files can't be read; empty when they can.
	Damage string
	// Record names a record that nobody understands; empty when whole files or messages
	// are lost.
	Record string
}

// String says it in a line, for an administrator.
func (l Loss) String() string {
	switch {
	case l.Record != "":
		return l.Stream + ": " + l.Record
	case l.Damage != "":
		return fmt.Sprintf("%s: %s; keys that were stored there are gone, or what they were before", l.Stream, l.Damage)
	case l.Replaced && l.Found >= l.Marked:
		return fmt.Sprintf("%s was made anew: what it had before, up to message %d, is gone", l.Stream, l.Marked)
	case l.Found < l.Marked:
		return fmt.Sprintf("%s ends at %d and had come to %d: %d missing", l.Stream, l.Found, l.Marked, l.Missing)
	}
	return fmt.Sprintf("%s has holes: %d missing", l.Stream, l.Missing)
}

// LossError tells what is missing and how to go on.
func LossError(lost []Loss, file string) error {
	lines := make([]string, len(lost))
	damaged := false
	for i, l := range lost {
		lines[i] = l.String()
		damaged = damaged || l.Damage != ""
	}
	if damaged {
		return fmt.Errorf("%w: %s; nothing was changed: `pullprint restore FILE` from a backup, or go on with what can be "+
			"read by `pullprint accept-loss`, and look at the disk",
			store.ErrDamaged, strings.Join(lines, "; "))
	}
	return fmt.Errorf("%w: %s (by %s); its folder was rolled back, deleted or damaged: put the right one back, or "+
		"`pullprint restore FILE` from a backup, or go on without it by `pullprint accept-loss`",
		ErrLost, strings.Join(lines, "; "), file)
}

// ReadMark reads the file; it is nil when there is none.
func ReadMark(file string) (*Mark, error) {
	src, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no mark is no error
	}
	m := new(Mark)
	if err == nil {
		err = json.Unmarshal(src, m)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("read the mark of the store: %w; it has to be of user id %d, as the store: chown it", err,
			os.Getuid())
	case err != nil:
		return nil, fmt.Errorf("read the mark of the store: %s: %w; if you are sure that nothing of the store is lost, "+
			"remove that file", file, err)
	case m.Version > markVersion:
		return nil, fmt.Errorf("read the mark of the store: %s is of a newer version of pullprint: use that one", file)
	}
	return m, nil
}

// Write replaces the file durably.
func (m *Mark) Write(file string) error {
	m.Version, m.Written = markVersion, time.Now().UTC()
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return fmt.Errorf("encode the mark of the store: %w", err)
	}
	if err := durable.Write(file, append(text, '\n'), ofFolder); err != nil {
		return fmt.Errorf("write the mark of the store: %w", err)
	}
	return nil
}
