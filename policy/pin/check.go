package pin

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// How many wrong tries lock, within which time, and for how long. Six digits are a million: at
// 480 tries a day a person's is guessed by chance after 1,000 days. maxInARow ends that unless
// the person types their PIN meanwhile, which takes the wrong ones back.
const (
	maxWrong = 5
	window   = 15 * time.Minute
	// maxInARow is how many wrong ones in a row lock until somebody unlocks: NIST SP 800-63B (5.2.2)
	// allows 100 at most.
	maxInARow = 50
)

// codeWindow is the time in which maxWrong wrong codes of unknown cards lock whoever types them on
// their own page.
const codeWindow = time.Hour

// LockedError says that too many PINs were wrong, for a person or at a device: which of them is
// not told.
type LockedError struct {
	// Until is when it opens by itself; zero when it does not.
	Until time.Time
}

// Error implements error.
func (e *LockedError) Error() string {
	return "too many wrong PINs: wait 15 minutes; if that does not help, ask the help desk to unlock the PIN, or set it anew"
}

// Try is a PIN that somebody typed.
type Try struct {
	// Owner is the Entra object id; empty of whoever is not known.
	Owner string
	// Claimed is who somebody says to be where Owner is empty: a name, or the keyed hash of a card.
	Claimed string
	// Device is where it was typed.
	Device string
	PIN    string
}

// tries are the wrong PINs of a person or at a device.
type tries struct {
	// Owner is set of a person, so that an erasure finds it.
	Owner string `json:"owner,omitempty"`
	// Wrong are those within the window, the oldest first.
	Wrong []wrong `json:"wrong"`
	// InARow are those of a person since the last right one.
	InARow int       `json:"in_a_row,omitempty"`
	Locked time.Time `json:"locked,omitzero"`
}

// wrong is one try; Who names the person by a keyed hash.
type wrong struct {
	At  time.Time `json:"at"`
	Who string    `json:"who,omitempty"`
}

// locked is a *LockedError while no further try may be made.
func (t *tries) locked(now time.Time) error {
	switch {
	case t.InARow >= maxInARow:
		return &LockedError{}
	case now.Before(t.Locked):
		return &LockedError{t.Locked}
	}
	return nil
}

// count adds a try, which is taken for a wrong one until it is taken back.
func (t *tries) count(who string, within time.Duration, now time.Time) {
	t.Wrong = slices.DeleteFunc(t.Wrong, func(w wrong) bool { return now.Sub(w.At) >= within })
	t.Wrong = append(t.Wrong, wrong{now.UTC(), who})
	t.InARow++
	if len(t.Wrong) >= maxWrong {
		t.Locked = now.Add(within).UTC()
		t.Wrong = t.Wrong[len(t.Wrong)-maxWrong:]
	}
}

// takeBack takes tries back that were no guesses, and the lock that they made.
func (t *tries) takeBack(which func(wrong) bool) {
	t.Wrong = slices.DeleteFunc(t.Wrong, which)
	if len(t.Wrong) < maxWrong {
		t.Locked = time.Time{}
	}
}

// names are who tries are counted for: the end of a key for the person, and what stands at a
// device, which tells nobody who it was.
func (p *PINs) names(t Try) (person, who string) {
	if t.Owner != "" {
		return t.Owner, p.peppers[0].name("person", t.Owner)
	}
	who = p.peppers[0].name("claimed", strings.ToLower(strings.TrimSpace(t.Claimed)))
	return who, who
}

func (p *PINs) triesOf(ctx context.Context, key string) (t tries, rev uint64, err error) {
	value, rev, err := p.kv.Get(ctx, key)
	if err != nil {
		return tries{}, 0, fmt.Errorf("read wrong PINs: %w", err)
	}
	if rev != 0 && json.Unmarshal(value, &t) != nil {
		t = tries{} // counted anew: nobody must be locked out for good by it
	}
	return t, rev, nil
}

// change stores what fn makes of the tries under a key, unless fn returns an error.
func (p *PINs) change(ctx context.Context, key string, life time.Duration, fn func(t *tries) error) error {
	for range maxConflicts {
		t, rev, err := p.triesOf(ctx, key)
		if err != nil {
			return err
		}
		if err := fn(&t); err != nil {
			return err
		}
		value, err := json.Marshal(t)
		if err != nil {
			return fmt.Errorf("encode wrong PINs: %w", err)
		}
		if _, ok, err := p.kv.CompareAndSet(ctx, key, value, rev, life); err != nil {
			return fmt.Errorf("count a PIN: %w", err)
		} else if ok {
			return nil
		}
	}
	return ErrConflict
}

// Check reports whether a PIN is the person's, and names it as Version does. The error is ErrWrong,
// a *LockedError, ErrBusy, or why it can't be told. A right one takes the wrong ones of the same
// person back, also at the device: whoever mistyped did not guess.
func (p *PINs) Check(ctx context.Context, t Try, now time.Time) (version string, err error) {
	if !nameable(t.Owner) {
		t.Owner, t.Claimed = "", cmp.Or(t.Claimed, t.Owner)
	}
	rec, _, err := p.read(ctx, cmp.Or(t.Owner, nobody))
	if err != nil {
		return "", err
	}
	if err := p.count(ctx, t, rec.Hash != "", now); err != nil {
		return "", err
	}
	h, err := parseHash(rec.Hash)
	if err != nil {
		h = hash{} // none, or damaged: nothing is right
	}
	right, err := p.right(ctx, h, t.Owner, t.PIN)
	switch {
	case err != nil:
		return "", err
	case !right:
		return "", ErrWrong
	}
	return rec.version(), p.takeBack(ctx, t, rec, h)
}

// takeBack takes back what was counted of a person whose PIN was right.
func (p *PINs) takeBack(ctx context.Context, t Try, rec record, h hash) error {
	person, who := p.names(t)
	if _, err := p.remove(ctx, personTry+person); err != nil {
		return err
	}
	err := p.change(ctx, deviceTry+t.Device, window, func(s *tries) error {
		s.takeBack(func(w wrong) bool { return w.Who == who })
		return nil
	})
	if err != nil {
		return err
	}
	return p.renew(ctx, rec, h, t.PIN)
}

// count counts a try before it is compared. What is counted of somebody without a PIN is forgotten
// after the window, so that made-up names don't fill the store.
func (p *PINs) count(ctx context.Context, t Try, hasPIN bool, now time.Time) error {
	device, _, err := p.triesOf(ctx, deviceTry+t.Device)
	if err != nil {
		return err
	}
	if err := device.locked(now); err != nil { // the tries at a locked device lock nobody
		return err
	}
	life := window
	if hasPIN {
		life = 0
	}
	person, who := p.names(t)
	one := func(owner string) func(s *tries) error {
		return func(s *tries) error {
			if err := s.locked(now); err != nil {
				return err
			}
			s.Owner = owner
			s.count(who, window, now)
			if owner == "" {
				s.InARow = 0
			}
			return nil
		}
	}
	if err := p.change(ctx, personTry+person, life, one(t.Owner)); err != nil {
		return err
	}
	return p.change(ctx, deviceTry+t.Device, window, one(""))
}

// Uncount takes back the try that was counted at a time: what was typed was no PIN but a card,
// which somebody is known by.
func (p *PINs) Uncount(ctx context.Context, t Try, at time.Time) error {
	person, who := p.names(t)
	this := func(s *tries) error {
		n := len(s.Wrong)
		s.takeBack(func(w wrong) bool { return w.At.Equal(at) && w.Who == who })
		s.InARow = max(0, s.InARow-(n-len(s.Wrong)))
		return nil
	}
	life := window
	if t.Owner != "" {
		life = 0
	}
	if err := p.change(ctx, personTry+person, life, this); err != nil {
		return err
	}
	return p.change(ctx, deviceTry+t.Device, window, this)
}

// CountCode counts a code that a person types on their own page, before it is looked up: a
// *LockedError after five within an hour. RightCode takes a right one back.
func (p *PINs) CountCode(ctx context.Context, owner string, now time.Time) error {
	return p.change(ctx, codeTry+owner, codeWindow, func(s *tries) error {
		if err := s.locked(now); err != nil {
			return err
		}
		s.Owner = owner
		s.count("", codeWindow, now)
		s.InARow = 0
		return nil
	})
}

// RightCode takes back the code that was counted at a time: it was right. The wrong ones stay: whoever
// has a card that is unknown has a right code too, and could guess without end by typing it in between.
func (p *PINs) RightCode(ctx context.Context, owner string, at time.Time) error {
	return p.change(ctx, codeTry+owner, codeWindow, func(s *tries) error {
		s.takeBack(func(w wrong) bool { return w.At.Equal(at) })
		return nil
	})
}

// renew stores a PIN under the current pepper and cost once it was right. If another was faster,
// the next one does it.
func (p *PINs) renew(ctx context.Context, rec record, h hash, pin string) error {
	if h.pepper == p.peppers[0].ID && h.cost == p.cost {
		return nil
	}
	fresh, err := p.hashed(ctx, p.peppers[0], rec.Owner, pin)
	if err != nil {
		return nil //nolint:nilerr // it is right, and stays under the old key
	}
	now, rev, err := p.read(ctx, rec.Owner)
	if err != nil || now.Hash != rec.Hash {
		return err
	}
	rec.Hash = fresh.text()
	_, err = p.put(ctx, rec, rev)
	return err
}
