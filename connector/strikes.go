package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// strikes are the unknown badges of a reader.
type strikes struct {
	Unknown []time.Time `json:"unknown"` // the latest
	Locked  time.Time   `json:"locked,omitzero"`
}

// count adds one, and reports whether it locks the reader.
func (s *strikes) count(now time.Time) (locks bool) {
	s.Unknown = append(s.Unknown, now)
	if len(s.Unknown) < unknownLimit {
		return false
	}
	s.Unknown = s.Unknown[len(s.Unknown)-unknownLimit:]
	if now.Sub(s.Unknown[0]) >= unknownWindow {
		return false
	}
	s.Locked, s.Unknown = now.Add(lockedFor), nil
	return true
}

const strikesPrefix = "strikes."

// strikesOf reads what replicas know together.
func (t *Taps) strikesOf(ctx context.Context, device string) (strikes, uint64, error) {
	var s strikes
	raw, revision, err := t.shared.Get(ctx, strikesPrefix+device)
	if err == nil && revision != 0 {
		err = json.Unmarshal(raw, &s)
	}
	if err != nil {
		return strikes{}, 0, fmt.Errorf("read the unknown badges of a reader: %w", err)
	}
	return s, revision, nil
}

// countTogether adds an unknown badge to those of all replicas.
func (t *Taps) countTogether(ctx context.Context, device string, now time.Time) (locks bool, err error) {
	for range unknownLimit * 2 {
		s, revision, err := t.strikesOf(ctx, device)
		if err != nil {
			return false, err
		}
		locks := s.count(now)
		raw, err := json.Marshal(s)
		if err != nil {
			return false, fmt.Errorf("encode the unknown badges of a reader: %w", err)
		}
		if _, ok, err := t.shared.CompareAndSet(ctx, strikesPrefix+device, raw, revision, unknownWindow+lockedFor); err != nil || ok {
			return locks, err
		}
	}
	return false, errors.New("others count all the time")
}
