package badge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// ErrCode says that a one-time code is wrong, used or expired.
var ErrCode = errors.New("the code is wrong, used already, or has expired; ask for a new one")

// How a code looks: letters and digits that can't be taken for one another, in
// two groups. 28 to the power of 8 are 3.8e11: at five guesses a minute and
// reader, and a day's life, nobody guesses one.
const (
	codeAlphabet = "BCDFGHJKLMNPQRSTVWXZ23456789"
	codeLength   = 8
)

// MaxCodeLife is the longest time a code can be valid for.
const MaxCodeLife = 7 * 24 * time.Hour

const codePrefix = "c."

// Purpose is what a one-time code is good for.
type Purpose string

// The purposes of codes.
const (
	// ForBadge enrols a badge.
	ForBadge Purpose = ""
	// ForVisit stands in for a forgotten badge, for one visit to a device.
	ForVisit Purpose = "visit"
	// ForPIN sets a PIN.
	ForPIN Purpose = "pin"
)

type code struct {
	For               Purpose   `json:"for,omitempty"`
	Owner             string    `json:"owner"`
	UserPrincipalName string    `json:"user_principal_name,omitempty"`
	By                string    `json:"by"`
	Expires           time.Time `json:"expires"`
}

// PurposeOf is the purpose with a name: badge, which is that of no name too, visit or pin.
func PurposeOf(name string) (p Purpose, ok bool) {
	switch p = Purpose(name); p {
	case "badge":
		return ForBadge, true
	case ForBadge, ForVisit, ForPIN:
		return p, true
	}
	return "", false
}

// IssueCode makes a code with which its holder does what e.Code is for, once. Only its hash is
// stored; validFor is at most MaxCodeLife, and random is where randomness comes from.
func (reg *Registry) IssueCode(
	ctx context.Context, e Enrolment, validFor time.Duration, random io.Reader,
) (text string, err error) {
	if err := e.check(); err != nil {
		return "", err
	}
	if validFor < time.Minute || validFor > MaxCodeLife {
		return "", fmt.Errorf("%w: a code is valid for a minute at least and %d days at most", ErrEnrolment,
			MaxCodeLife/(24*time.Hour))
	}
	value, err := json.Marshal(code{e.Code, canonicalOwner(e.Owner), e.UserPrincipalName, e.By, e.Now.Add(validFor)})
	if err != nil {
		return "", fmt.Errorf("encode code: %w", err)
	}
	for range maxConflicts {
		text, err := newCode(random)
		if err != nil {
			return "", err
		}
		if _, ok, err := reg.kv.CompareAndSet(ctx, codePlace(reg.keys.list[0], text), value, 0, validFor); err != nil || ok {
			return text, err
		}
	}
	return "", ErrConflict
}

// newCode draws letters; a byte that would favour the first letters is thrown
// again.
func newCode(random io.Reader) (string, error) {
	var s strings.Builder
	for b := make([]byte, 1); s.Len() < codeLength+1; {
		if s.Len() == codeLength/2 {
			s.WriteByte('-')
		}
		if _, err := io.ReadFull(random, b); err != nil {
			return "", fmt.Errorf("make a code: %w", err)
		}
		if n := len(codeAlphabet); int(b[0]) < 256/n*n {
			s.WriteByte(codeAlphabet[int(b[0])%n])
		}
	}
	return s.String(), nil
}

func codePlace(k key, text string) string {
	text = strings.Map(only(codeAlphabet), strings.ToUpper(text))
	return codePrefix + k.hash("code", text)
}

// findCode looks under every key: a code outlives a change of keys.
func (reg *Registry) findCode(
	ctx context.Context, text string, purpose Purpose, now time.Time,
) (c code, at string, rev uint64, err error) {
	for _, k := range reg.keys.list {
		at := codePlace(k, text)
		value, rev, err := reg.kv.Get(ctx, at)
		switch {
		case err != nil:
			return code{}, "", 0, fmt.Errorf("read code: %w", err)
		case rev != 0 && json.Unmarshal(value, &c) == nil && c.Owner != "" && now.Before(c.Expires):
			if c.For != purpose {
				return code{}, "", 0, &PurposeError{c.For}
			}
			c.Owner = canonicalOwner(c.Owner)
			return c, at, rev, nil
		}
	}
	return code{}, "", 0, ErrCode
}

// PurposeError is an ErrCode of a code that is good, and for something else.
type PurposeError struct{ For Purpose }

// Error implements error.
func (e *PurposeError) Error() string { return "the code is for something else" }

// Unwrap makes it an ErrCode.
func (e *PurposeError) Unwrap() error { return ErrCode }

// UseCode uses a code up that is for a visit or a PIN, for what do does for its owner. The code is used
// up before, so that of many at once one does it, and is good again when do fails; if the process dies
// between, a new code is needed. The error is ErrCode, which is a *PurposeError of a code for something
// else, that of do, or why it can't be told.
func (reg *Registry) UseCode(
	ctx context.Context, text string, purpose Purpose, now time.Time, do func(owner string) error,
) error {
	c, at, rev, err := reg.findCode(ctx, text, purpose, now)
	if err != nil {
		return err
	}
	switch ok, err := reg.kv.Delete(ctx, at, rev); {
	case err != nil:
		return fmt.Errorf("use code: %w", err)
	case !ok:
		return ErrCode
	}
	if err := do(c.Owner); err != nil {
		return errors.Join(err, reg.giveBack(ctx, at, c, now))
	}
	return nil
}

// Redeem enrols a badge by a code. The code is used up before the badge is
// stored: of many at once, one enrols, and those with the same badge are told what
// it enrolled; if the process dies between, a new code is needed. A badge that somebody else
// enrolled meanwhile does not cost the code.
// The error is ErrCode, ErrTaken, ErrNumber, or why it can't be told.
func (reg *Registry) Redeem(ctx context.Context, text, number string, now time.Time) (Badge, error) {
	canonical, err := reg.chain.Apply(number)
	if err != nil {
		return Badge{}, err
	}
	if err := enrollable(canonical); err != nil {
		return Badge{}, err
	}
	c, at, rev, err := reg.findCode(ctx, text, ForBadge, now)
	if err != nil {
		return Badge{}, err
	}
	// Somebody else's badge does not cost the code.
	old, _, err := reg.findNumber(ctx, number, canonical)
	switch {
	case err == nil && old.Owner != c.Owner && old.valid(now) == nil:
		return Badge{}, ErrTaken
	case err != nil && !errors.Is(err, ErrUnknown): // a damaged one may be somebody else's
		return Badge{}, err
	}
	if err := reg.checkAssigned(ctx, canonical, c.Owner); err != nil {
		return Badge{}, err
	}
	ok, err := reg.kv.Delete(ctx, at, rev)
	if err != nil {
		return Badge{}, fmt.Errorf("use code: %w", err)
	}
	if !ok {
		return reg.redeemed(ctx, number, canonical, c, now)
	}
	e := Enrolment{Owner: c.Owner, UserPrincipalName: c.UserPrincipalName, By: "code", Now: now}
	if err := e.check(); err != nil {
		return Badge{}, err
	}
	badge, err := reg.enrol(ctx, number, canonical, e)
	if errors.Is(err, ErrTaken) {
		err = errors.Join(err, reg.giveBack(ctx, at, c, now))
	}
	return badge, err
}

// redeemed is the badge that another has enrolled with the same code in this moment, by the
// same number: whoever pressed a button twice has enrolled it. Else the error is ErrCode.
func (reg *Registry) redeemed(ctx context.Context, number, canonical string, c code, now time.Time) (Badge, error) {
	for range maxConflicts { // the other may be about to store it
		badge, _, err := reg.findNumber(ctx, number, canonical)
		switch {
		case err == nil && badge.Owner == c.Owner && badge.valid(now) == nil:
			return badge, nil
		case err != nil && !errors.Is(err, ErrUnknown):
			return Badge{}, err
		}
	}
	return Badge{}, ErrCode
}

// giveBack stores a code again that did nothing.
func (reg *Registry) giveBack(ctx context.Context, at string, c code, now time.Time) error {
	value, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode code: %w", err)
	}
	if _, _, err := reg.kv.CompareAndSet(ctx, at, value, 0, c.Expires.Sub(now)); err != nil {
		return fmt.Errorf("store code again: %w", err)
	}
	return nil
}

// IsCode reports whether a text has the form of a code, however it is typed.
func IsCode(text string) bool {
	text = strings.NewReplacer("-", "", " ", "").Replace(strings.ToUpper(text))
	return len(text) == codeLength && strings.Trim(text, codeAlphabet) == ""
}
