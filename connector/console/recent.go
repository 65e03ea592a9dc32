package console

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/decision"
	"pullprint/trigger/wait"
)

// recentSpan is how far back the console shows decisions, and recentMost how many are kept:
// twice what a page lists, as an erasure takes some away.
const (
	recentSpan = time.Hour
	recentMost = 200
)

// Recent follows the newest decisions of all instances, for the console.
type Recent struct {
	decisions Decisions
	log       *zap.Logger

	mu    sync.Mutex          // guards list, hits and since
	list  []decision.Decision // oldest first
	hits  map[string]Hit      // by rule
	since time.Time           // from when on hits are counted
}

// maxRules is how many rules hits are counted of: more than a policy that people read has.
const maxRules = 1000

// Hit is how often a rule has decided, and when last.
type Hit struct {
	Count int
	Last  time.Time
}

// Decisions reads the decisions of all instances from the audit; *bus.Bus is one.
type Decisions interface {
	Decisions(ctx context.Context, since time.Time, follow bool, fn func(stored time.Time, body []byte) error) error
}

// NewRecent follows decisions once Run is called.
func NewRecent(decisions Decisions, log *zap.Logger) *Recent {
	return &Recent{decisions: decisions, log: log.Named("admin")}
}

// followAgain is how long Run waits after the stream could not be followed any more, as when
// it was removed: by then the store has been checked and repaired.
const followAgain = 5 * time.Second

// Run follows until ctx ends.
func (r *Recent) Run(ctx context.Context) error {
	for {
		err := r.follow(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.log.Warn("decisions are not followed, tried again", zap.Duration("after", followAgain), zap.Error(err))
		if err := wait.Sleep(ctx, followAgain); err != nil {
			return err
		}
	}
}

// follow replaces the decisions by those of recentSpan, and adds new ones until it fails.
func (r *Recent) follow(ctx context.Context) error {
	r.mu.Lock()
	since := time.Now().Add(-recentSpan)
	r.list, r.hits, r.since = nil, map[string]Hit{}, since
	r.mu.Unlock()
	return r.decisions.Decisions(ctx, since, true, func(_ time.Time, body []byte) error {
		var d decision.Decision
		if err := json.Unmarshal(body, &d); err != nil {
			r.log.Debug("decision left out of the console", zap.Error(err))
			return nil
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.list = append(r.list, d)
		r.list = r.list[max(0, len(r.list)-recentMost):]
		r.count(&d)
		return nil
	})
}

// count counts the rule that has decided; r.mu is held.
func (r *Recent) count(d *decision.Decision) {
	hit, known := r.hits[d.Rule]
	if d.Rule == "" || !known && len(r.hits) == maxRules {
		return
	}
	hit.Count++
	if d.At.After(hit.Last) {
		hit.Last = d.At
	}
	r.hits[d.Rule] = hit
}

// Hits are how often each rule has decided at all instances, by its name, since a time.
func (r *Recent) Hits() (hits map[string]Hit, since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.hits), r.since
}

// Newest are the newest decisions, newest first.
func (r *Recent) Newest() []decision.Decision {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := slices.Clone(r.list)
	slices.Reverse(out)
	return out
}

// Forget takes a person's decisions out of what the console shows.
func (r *Recent) Forget(owner string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = slices.DeleteFunc(r.list, func(d decision.Decision) bool {
		return strings.EqualFold(d.Owner, owner) || strings.EqualFold(d.Actor, owner)
	})
}
