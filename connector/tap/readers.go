package tap

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/store"
	"pullprint/connector/terminal"
)

// When a reader counts as silent, and what is stored of it.
const (
	// notedEvery is how often it is stored that a reader was heard of: a write for each device, whether
	// or not anybody prints.
	notedEvery = 5 * time.Minute
	// silentAfter is how long a station may not be heard of: its page is loaded again every two minutes,
	// which is noted every notedEvery, so that some loads may fail.
	silentAfter = 15 * time.Minute
	// heardFor is how long a reader is remembered that is heard of no more: by then somebody has seen to
	// it, or has taken it away.
	heardFor = 30 * 24 * time.Hour
	// noteWithin bounds the note: whoever stands at the reader waits for it.
	noteWithin = time.Second
)

const heardPrefix = "reader."

// heardKV is where it is stored when a reader was heard of; *stored.KV is one.
type heardKV interface {
	store.KV
	Each(ctx context.Context, filter string, fn func(key string, value []byte, revision uint64) error) error
}

// Heard is when something was last heard of a reader, to within notedEvery.
type Heard struct {
	At time.Time `json:"at"`
	// Page is when its station last loaded a page. A reader without a station is heard of only when a
	// badge is shown, so nothing follows from its silence.
	Page time.Time `json:"page,omitzero"`
}

// Readers knows when readers were last heard of, at all replicas and over restarts. It is safe for
// concurrent use.
type Readers struct {
	kv      heardKV
	devices map[string]bool
	started time.Time
	log     *zap.Logger

	mu    sync.Mutex       // guards noted
	noted map[string]Heard // what this process stored last, or tried to
}

// NewReaders are those of the devices.
func NewReaders(kv heardKV, devices []string, log *zap.Logger) *Readers {
	r := &Readers{kv: kv, devices: map[string]bool{}, started: time.Now(), log: log.Named("tap"), noted: map[string]Heard{}}
	for _, id := range devices {
		r.devices[id] = true
	}
	return r
}

// PageLoaded notes that the station of a device has loaded a page.
func (r *Readers) PageLoaded(ctx context.Context, device string) { r.note(ctx, device, true) }

// Asked notes that a reader that is no station has shown a badge.
func (r *Readers) Asked(ctx context.Context, device string) { r.note(ctx, device, false) }

// note stores that a reader was heard of, once in notedEvery. What can't be stored is tried again then.
func (r *Readers) note(ctx context.Context, device string, page bool) {
	now := time.Now().UTC().Round(0)
	r.mu.Lock()
	last := r.noted[device]
	if page && now.Sub(last.Page) < notedEvery || !page && now.Sub(last.At) < notedEvery || !r.devices[device] {
		r.mu.Unlock()
		return
	}
	if last.At = now; page {
		last.Page = now
	}
	r.noted[device] = last
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWithin)
	defer cancel()
	if err := r.store(ctx, device, page, now); err != nil {
		r.log.Warn("not noted that a reader was heard of", zap.String("device", device), zap.Error(err))
	}
}

// store moves a record on.
func (r *Readers) store(ctx context.Context, device string, page bool, now time.Time) error {
	return store.Change(ctx, r.kv, heardPrefix+device, heardFor, func(h *Heard) bool {
		switch {
		case page:
			h.Page = now
		case now.Sub(h.Page) > silentAfter: // a reader without a page has taken the place of the station
			h.Page = time.Time{}
		}
		h.At = now
		return true
	})
}

// All are the readers that were heard of within 30 days, by their devices.
func (r *Readers) All(ctx context.Context) (map[string]Heard, error) {
	all := map[string]Heard{}
	err := r.kv.Each(ctx, heardPrefix+"*", func(key string, value []byte, _ uint64) error {
		var h Heard
		if id := strings.TrimPrefix(key, heardPrefix); r.devices[id] && json.Unmarshal(value, &h) == nil {
			all[id] = h
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read when readers were heard of: %w", err)
	}
	return all, nil
}

// Silent reports whether a reader has a station that is not heard of any more. One counts from the start
// of this process at the earliest: before, nobody could be heard.
func (r *Readers) Silent(h Heard, now time.Time) bool {
	since := h.At
	if r.started.After(since) {
		since = r.started
	}
	return !h.Page.IsZero() && now.Sub(since) > silentAfter
}

// Check names the stations that are not heard of any more; nil when there is none.
func (r *Readers) Check(ctx context.Context) error {
	all, err := r.All(ctx)
	if err != nil {
		return err
	}
	now, silent := time.Now(), []string{}
	for id, h := range all {
		if r.Silent(h, now) {
			silent = append(silent, id+" since "+h.At.Format(time.RFC3339))
		}
	}
	if len(silent) == 0 {
		return nil
	}
	slices.Sort(silent)
	named := strings.Join(silent[:min(len(silent), store.MaxNamed)], ", ")
	if more := len(silent) - store.MaxNamed; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Errorf("nothing is heard of %s: %s; look whether the screen is on, shows its page and reaches pullprint",
		terminal.Counted(len(silent), "station"), named)
}
