package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// maxTried is how many of the unknown badges and codes that a reader was shown
// are remembered, and triedFor how long at least that is after the last one: a
// building's cards on the day that badges are introduced, over a working day.
// With 8 bytes each they fit into a value of 4 KiB.
const (
	maxTried = 256
	triedFor = 12 * time.Hour
)

// strikes are the guesses at a reader: unknown badges, and codes that are wrong.
// What was tried here before is no guess, as its answer is known: one card that
// lies on the reader is one strike, and people whose cards are not enrolled yet
// use up theirs once. So at most unknownLimit numbers can be tried in a window,
// whoever tries.
type strikes struct {
	Unknown []time.Time `json:"unknown"` // the latest
	Locked  time.Time   `json:"locked,omitzero"`
	// Tried are marks of what was tried, the oldest first.
	Tried []string `json:"tried,omitempty"`
}

// count adds a guess, and reports whether it locks the reader. It stays locked
// until the oldest of the guesses is out of the window: then there is room for
// one, and those whose badges are known waited no longer than needed.
func (s *strikes) count(mark string, now time.Time) (locks bool) {
	if slices.Contains(s.Tried, mark) {
		return false
	}
	s.Tried = append(s.Tried, mark)
	s.Tried = s.Tried[max(0, len(s.Tried)-maxTried):]
	s.Unknown = append(s.Unknown, now)
	if len(s.Unknown) < unknownLimit {
		return false
	}
	s.Unknown = s.Unknown[len(s.Unknown)-unknownLimit:]
	end := s.Unknown[0].Add(unknownWindow)
	if !now.Before(end) {
		return false
	}
	s.Locked = end
	return true
}

const strikesPrefix = "strikes."

// strikesOf reads what replicas know together.
func (t *Taps) strikesOf(ctx context.Context, device string) (strikes, uint64, error) {
	var s strikes
	raw, revision, err := t.shared.Get(ctx, strikesPrefix+device)
	if err != nil {
		return strikes{}, 0, fmt.Errorf("read the unknown badges of a reader: %w", err)
	}
	if revision != 0 && json.Unmarshal(raw, &s) != nil {
		s = strikes{} // they are counted anew: a reader must not be closed for good by it
	}
	return s, revision, nil
}

// countTogether adds a guess to those of all replicas.
func (t *Taps) countTogether(ctx context.Context, device, mark string, now time.Time) (locks bool, err error) {
	for range unknownLimit * 2 {
		s, revision, err := t.strikesOf(ctx, device)
		if err != nil {
			return false, err
		}
		if slices.Contains(s.Tried, mark) {
			return false, nil
		}
		locks := s.count(mark, now)
		raw, err := json.Marshal(s)
		if err != nil {
			return false, fmt.Errorf("encode the unknown badges of a reader: %w", err)
		}
		if _, ok, err := t.shared.CompareAndSet(ctx, strikesPrefix+device, raw, revision, triedFor); err != nil || ok {
			return locks, err
		}
	}
	return false, errors.New("too many concurrent updates")
}
