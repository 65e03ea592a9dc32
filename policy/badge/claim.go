package badge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ClaimLife is how long the code of an unknown card is valid: time to sign in on a phone beside
// the reader.
const ClaimLife = 10 * time.Minute

// The code of an unknown card is read from a screen and typed on a phone: Crockford's base 32 has
// none of the letters that are taken for digits, and takes those for the digits. 40 bits: with a
// thousand cards waiting, and five tries an hour and person, a guess takes 20 million hours.
const claimAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

const claimPrefix = "u."

// Claim is an unknown card that was shown at a device, whose owner has a code for it.
type Claim struct {
	Device string `json:"device"`
	// Shown is when it was first shown, Expires when the code ends.
	Shown   time.Time `json:"shown"`
	Expires time.Time `json:"expires"`
	// At is where the badge is stored once it is enrolled: the number itself is not kept.
	At string `json:"at"`
}

// ID names the badge to people, as Badge.ID will.
func (c Claim) ID() string { return shortName(c.At) }

// Offer is the code by which the owner of an unknown card enrols it, signed in: see Claim. It is
// made of the card, the device and the time with the current key, so that showing a card again
// stores nothing more and has the same code; its hash alone is stored. The error is ErrTaken
// when the card is somebody's, ErrNotValid of one that was ended, ErrNumber, or why it can't be told.
func (reg *Registry) Offer(ctx context.Context, number, device string, now time.Time) (text string, err error) {
	canonical, err := reg.chain.Apply(number)
	if err != nil {
		return "", err
	}
	if err := enrollable(canonical); err != nil {
		return "", err
	}
	switch old, _, err := reg.findNumber(ctx, number, canonical); {
	case err == nil && old.valid(now) == nil:
		return "", ErrTaken
	case err == nil: // a lost card that was found is given back by who ended it
		return "", old.valid(now)
	case !errors.Is(err, ErrUnknown):
		return "", err
	}
	if err := reg.checkAssigned(ctx, canonical, ""); err != nil {
		return "", err
	}
	k := reg.keys.list[0]
	text = claimText(k, canonical, device, now)
	at, c := claimPlace(k, text), Claim{device, now.UTC(), now.Add(ClaimLife).UTC(), storeKey(k, canonical)}
	for range maxConflicts {
		old, rev, err := reg.claimAt(ctx, at)
		if err != nil {
			return "", err
		}
		if rev != 0 {
			c.Shown = old.Shown
		}
		value, err := json.Marshal(c)
		if err != nil {
			return "", fmt.Errorf("encode claim: %w", err)
		}
		if _, ok, err := reg.kv.CompareAndSet(ctx, at, value, rev, ClaimLife); err != nil {
			return "", fmt.Errorf("store claim: %w", err)
		} else if ok {
			return text, nil
		}
	}
	return "", ErrConflict
}

// claimText is the code of a card within a period of ClaimLife.
func claimText(k key, canonical, device string, now time.Time) string {
	sum := k.hash("claim", canonical+"\x00"+device+"\x00"+now.UTC().Truncate(ClaimLife).Format(time.RFC3339))
	var s strings.Builder
	for i := range codeLength {
		if i == codeLength/2 {
			s.WriteByte('-')
		}
		// Two hexadecimal digits are a byte, whose lower five bits are a letter.
		s.WriteByte(claimAlphabet[(unhex(sum[2*i])<<4|unhex(sum[2*i+1]))&31])
	}
	return s.String()
}

func unhex(digit byte) int { return strings.IndexByte("0123456789abcdef", digit) }

// claimTyped is a code as somebody types it.
func claimTyped(text string) string {
	text = strings.NewReplacer("O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(text))
	return strings.Map(only(claimAlphabet), text)
}

func claimPlace(k key, text string) string { return claimPrefix + k.hash("claimed", claimTyped(text)) }

// claimAt reads what is stored of a code; one that is damaged is none.
func (reg *Registry) claimAt(ctx context.Context, at string) (c Claim, rev uint64, err error) {
	value, rev, err := reg.kv.Get(ctx, at)
	if err != nil {
		return Claim{}, 0, fmt.Errorf("read claim: %w", err)
	}
	if rev != 0 && json.Unmarshal(value, &c) != nil {
		c = Claim{}
	}
	return c, rev, nil
}

// findClaim looks under every key: a code outlives a change of keys.
func (reg *Registry) findClaim(ctx context.Context, text string, now time.Time) (Claim, string, uint64, error) {
	if len(claimTyped(text)) != codeLength {
		return Claim{}, "", 0, ErrCode
	}
	for _, k := range reg.keys.list {
		at := claimPlace(k, text)
		c, rev, err := reg.claimAt(ctx, at)
		if err != nil {
			return Claim{}, "", 0, err
		}
		if rev != 0 && placed(c.At) && now.Before(c.Expires) {
			return c, at, rev, nil
		}
	}
	return Claim{}, "", 0, ErrCode
}

// Claimed tells which card a code is of, so that its owner is asked whether it is theirs. The
// error is ErrCode or why it can't be told.
func (reg *Registry) Claimed(ctx context.Context, text string, now time.Time) (Claim, error) {
	c, _, _, err := reg.findClaim(ctx, text, now)
	return c, err
}

// Claim enrols the card that a code of Offer is of. Who enrols it has signed in: e.Owner is
// proven. The code is used up before the badge is stored, as that of Redeem. The error is
// ErrCode, ErrTaken, ErrRevoked of a card that was ended meanwhile, or why it can't be told.
func (reg *Registry) Claim(ctx context.Context, text string, e Enrolment) (Badge, error) {
	if err := e.check(); err != nil {
		return Badge{}, err
	}
	e.Owner, e.KeepRevoked = canonicalOwner(e.Owner), true
	c, at, rev, err := reg.findClaim(ctx, text, e.Now)
	if err != nil {
		return Badge{}, err
	}
	ok, err := reg.kv.Delete(ctx, at, rev)
	switch {
	case err != nil:
		return Badge{}, fmt.Errorf("use code: %w", err)
	case !ok:
		return Badge{}, ErrCode
	}
	for range maxConflicts {
		value, rev, err := reg.kv.Get(ctx, c.At)
		if err != nil {
			return Badge{}, fmt.Errorf("read badge: %w", err)
		}
		there := rev != 0
		var old stored
		if there {
			if old, err = read(c.At, value, rev); err != nil {
				return Badge{}, err
			}
		}
		if err := e.mayReplace(old.Badge, there); err != nil {
			return Badge{}, err
		}
		fresh := e.badge(idOf(c.At), old.Badge, there)
		if ok, err := reg.put(ctx, c.At, fresh, rev); err != nil || ok {
			return fresh, err
		}
	}
	return Badge{}, ErrConflict
}
