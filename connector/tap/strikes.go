package tap

import (
	"context"
	"slices"
	"time"

	"pullprint/connector/store"

	"go.uber.org/zap"
)

// maxTried is how many of the unknown badges and codes that a reader was shown
// are remembered, and triedFor how long they are kept after the last guess: enough for
// all cards of a building on the day that badges are introduced, over a working day.
// With 15 bytes each, and those of the latest guesses, they fit into a value of 8 KiB.
const (
	maxTried = 256
	triedFor = 12 * time.Hour
)

// strikes are the guesses at a reader: unknown badges, and codes that are wrong.
// What was tried here before is no guess, as its answer is known: one card that
// lies on the reader is one strike, and people whose cards are not enrolled yet
// use up theirs once. Parts of one card that a station was typed are one or two: see
// sameCard. So at most unknownLimit numbers of a length can be tried in a window, whoever
// tries.
type strikes struct {
	Unknown []time.Time `json:"unknown"` // the latest
	Locked  time.Time   `json:"locked,omitzero"`
	// Tried are the tags of what was tried, the oldest first.
	Tried []string `json:"tried,omitempty"`
}

// count adds a guess, and reports whether it locks the reader. It stays locked
// until the oldest of the guesses is out of the window: then there is room for
// one, and those whose badges are known waited no longer than needed.
func (s *strikes) count(tag string, limit guessLimit, now time.Time) (locks bool) {
	if slices.Contains(s.Tried, tag) {
		return false
	}
	s.Tried = append(s.Tried, tag)
	s.Tried = s.Tried[max(0, len(s.Tried)-maxTried):]
	s.Unknown = append(s.Unknown, now)
	if len(s.Unknown) < limit.count {
		return false
	}
	s.Unknown = s.Unknown[len(s.Unknown)-limit.count:]
	end := s.Unknown[0].Add(limit.within)
	if !now.Before(end) {
		return false
	}
	s.Locked = end
	return true
}

// countGuess counts an unknown badge or a wrong code, and locks the reader at unknownLimit.
// Replicas count together; a guess that can't be stored is counted in this process.
func (t *Taps) countGuess(ctx context.Context, device, guess string, now time.Time) {
	tag := t.badges.GuessTag(guess)
	t.mu.Lock()
	locks := t.readers[device].count(tag, t.limit, now)
	t.mu.Unlock()
	if t.shared != nil {
		if all, err := t.countTogether(context.WithoutCancel(ctx), device, tag, now); err != nil {
			t.log.Warn("unknown badge counted here alone", zap.String("device", device), zap.Error(err))
		} else {
			locks = all
		}
	}
	if locks {
		t.log.Warn("device locked after unknown badges", zap.String("device", device), zap.Int("limit", t.limit.count))
	}
}

// countUnknown counts an unknown badge, and logs a number that no card has.
func (t *Taps) countUnknown(ctx context.Context, device, number string, now time.Time) {
	canonical := t.canonical(number)
	t.tellOdd(device, canonical, now)
	t.countGuess(ctx, device, canonical, now)
}

// strikesPrefix is that of the keys of what replicas know together of a reader. What can't be read
// is counted anew: a reader must not be closed for good by it.
const strikesPrefix = "strikes."

// countTogether adds a guess to those of all replicas.
func (t *Taps) countTogether(ctx context.Context, device, tag string, now time.Time) (locks bool, err error) {
	err = store.Change(ctx, t.shared, strikesPrefix+device, triedFor, func(s *strikes) bool {
		if slices.Contains(s.Tried, tag) {
			locks = false
			return false
		}
		locks = s.count(tag, t.limit, now)
		return true
	})
	return locks, err
}

// takeBack takes back the guess that was counted at a time, and reports whether it was.
func (s *strikes) takeBack(tag string, at time.Time) bool {
	i := slices.IndexFunc(s.Unknown, at.Equal)
	if i < 0 {
		return false
	}
	s.Unknown = slices.Delete(s.Unknown, i, i+1)
	s.Tried = slices.DeleteFunc(s.Tried, func(t string) bool { return t == tag })
	return true
}

// fragment is an unknown number that was typed at a station, and may be a part of a badge: a
// page that is loaded anew while a reader types loses the keys before. It stands for all parts
// of one badge that begin, or that end, alike: see sameCard.
type fragment struct {
	at   time.Time
	tag  string
	name string // of the longest
	// heads and tails name its beginnings and ends that are shorter. Once another part was
	// met, only those remain that it is one of.
	heads, tails []string
}

// parts names the beginnings and the ends of a number that are shorter than it.
func (t *Taps) parts(device, number string) (heads, tails []string) {
	for i := 1; i < len(number) && len(number) <= maxTyped; i++ {
		heads, tails = append(heads, t.sum(device, number[:i])), append(tails, t.sum(device, number[i:]))
	}
	return heads, tails
}

// noteFragment remembers an unknown number for sameCard and forgive. One more than lock a
// reader are of no use: it is locked then.
func (t *Taps) noteFragment(device, number, canonical string, now time.Time) {
	f := fragment{at: now, tag: t.badges.GuessTag(canonical), name: t.sum(device, number)}
	f.heads, f.tails = t.parts(device, number)
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.readers[device]
	r.fragments = append(r.fragments, f)
	r.fragments = slices.Clone(r.fragments[max(0, len(r.fragments)-unknownLimit):])
}

// sameCard reports whether an unknown number is part of the same badge as one that was counted
// within the window, as far as that can be: both are its ends, or both its beginnings. It is
// not counted then. A badge has one end and one beginning of each length, so that of numbers
// of one length, as badges are, no more can be tried than are counted.
func (t *Taps) sameCard(device, number string, now time.Time) bool {
	name := t.sum(device, number)
	heads, tails := t.parts(device, number)
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.readers[device].fragments
	for i := range list {
		f := &list[i]
		if now.Sub(f.at) > unknownWindow {
			continue
		}
		switch {
		case slices.Contains(f.tails, name):
			f.heads = nil
		case slices.Contains(f.heads, name):
			f.tails = nil
		case f.tails != nil && slices.Contains(tails, f.name):
			f.name, f.heads, f.tails = name, nil, tails
		case f.heads != nil && slices.Contains(heads, f.name):
			f.name, f.heads, f.tails = name, heads, nil
		default:
			continue
		}
		return true
	}
	return false
}

// forgive takes back the guesses that were the beginning or the end of a badge which is
// known: whoever has shown the whole of it did not guess its parts.
func (t *Taps) forgive(ctx context.Context, device, number string, now time.Time) {
	if len(number) > maxTyped {
		return
	}
	heads, tails := t.parts(device, number)
	var mine []fragment
	t.mu.Lock()
	r := t.readers[device]
	r.fragments = slices.DeleteFunc(r.fragments, func(p fragment) bool {
		part := slices.Contains(heads, p.name) || slices.Contains(tails, p.name)
		if part {
			mine = append(mine, p)
			r.takeBack(p.tag, p.at)
		}
		return part || now.Sub(p.at) > unknownWindow
	})
	t.mu.Unlock()
	if len(mine) == 0 || t.shared == nil {
		return
	}
	err := store.Change(context.WithoutCancel(ctx), t.shared, strikesPrefix+device, triedFor, func(s *strikes) (changed bool) {
		for _, p := range mine {
			changed = s.takeBack(p.tag, p.at) || changed
		}
		return changed
	})
	if err != nil {
		t.log.Warn("parts of a badge stay counted as unknown ones", zap.String("device", device), zap.Error(err))
	}
}
