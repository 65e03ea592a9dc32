package console

import (
	"context"
	"encoding/json"
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

	mu   sync.Mutex          // guards list
	list []decision.Decision // oldest first
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
	r.list = nil
	r.mu.Unlock()
	return r.decisions.Decisions(ctx, time.Now().Add(-recentSpan), true, func(_ time.Time, body []byte) error {
		var d decision.Decision
		if err := json.Unmarshal(body, &d); err != nil {
			r.log.Debug("decision left out of the console", zap.Error(err))
			return nil
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.list = append(r.list, d)
		r.list = r.list[max(0, len(r.list)-recentMost):]
		return nil
	})
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
