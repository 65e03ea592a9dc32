// Package pin keeps the PINs that people type at devices, beside their badge or instead of it. A PIN
// is stored as a slow hash under a secret that is not in the store, and is never logged or put into
// an error. It is pure but for the store that it declares: clock and randomness are passed in.
//
// Check promises that
//   - a try is counted in the store before it is compared, so that a crash between gives no free try;
//   - five wrong ones within 15 minutes lock the person, and the device, for as long;
//   - a person who is not known, one without a PIN and one with another PIN have the same answer,
//     for the same work.
package pin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"
)

var (
	// ErrWrong is the answer to a PIN that is not the person's, whether they are known or not.
	ErrWrong = errors.New("the PIN is wrong, or there is no such person here")
	// ErrWeak says that a PIN can't be taken. It is wrapped by what says why.
	ErrWeak = errors.New("this PIN can't be taken")
	// ErrConflict says that too many concurrent changes were made.
	ErrConflict = errors.New("the PIN is being changed by others; try again")
)

// MinLength and MaxLength are how many digits a PIN has. Twelve are more than anybody types at a
// printer, and fewer than most cards have: what is longer is a card.
const (
	MinLength = 6
	MaxLength = 12
)

// maxConflicts is how often a change is tried anew when another was faster: more than can be typed
// for one person at once.
const maxConflicts = 32

// KV is what PINs need of a durable bucket; that of the bus is one.
type KV interface {
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	CompareAndSet(
		ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration,
	) (newRevision uint64, swapped bool, err error)
	Delete(ctx context.Context, key string, revision uint64) (bool, error)
}

// PINs are those of all people. They are safe for concurrent use; every change is stored before it
// returns.
type PINs struct {
	kv      KV
	peppers []Pepper
	dice    io.Reader
	cost    cost
	turns   chan struct{}
	runs    atomic.Int64 // of argon2id, for tests
}

// New are the PINs in a store. The first pepper is for new ones, the others still know those of
// before; dice is where randomness comes from.
func New(kv KV, peppers []Pepper, dice io.Reader) *PINs {
	return &PINs{kv: kv, peppers: peppers, dice: dice, cost: usualCost, turns: make(chan struct{}, maxRuns)}
}

// Possible reports whether a text has the form of a PIN.
func Possible(text string) bool {
	return len(text) >= MinLength && len(text) <= MaxLength && strings.Trim(text, "0123456789") == ""
}

// TooShort reports whether a text has digits only, and fewer than a PIN.
func TooShort(text string) bool {
	return text != "" && len(text) < MinLength && strings.Trim(text, "0123456789") == ""
}

// Mistyped reports whether a text may be a PIN, or a part of one, typed with the keys of digits on a keyboard where
// those need Shift, as French and Czech ones.
func Mistyped(text string) bool {
	n := utf8.RuneCountInString(text)
	return n > 0 && n <= MaxLength && !strings.ContainsFunc(text, func(r rune) bool {
		return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r))
	})
}

// fewestDigits is how many different digits a PIN has at least. With fewer are those that people
// choose first besides those in a row, as 121212, 112233 and 123123: 7 of 100 of six digits.
const fewestDigits = 4

// CheckNew reports with an ErrWeak that a PIN can't be taken.
func CheckNew(pin string) error {
	switch {
	case !Possible(pin):
		return fmt.Errorf("%w: it has %d to %d digits, and nothing else", ErrWeak, MinLength, MaxLength)
	case distinct(pin) < fewestDigits, steps(pin[:len(pin)/2]) && steps(pin[len(pin)/2:]):
		return fmt.Errorf("%w: it is easy to guess; take one of %d different digits or more without a pattern",
			ErrWeak, fewestDigits)
	}
	return nil
}

// distinct is how many different digits a PIN has.
func distinct(pin string) int {
	seen := map[rune]bool{}
	for _, digit := range pin {
		seen[digit] = true
	}
	return len(seen)
}

// steps reports whether each digit is the one before and as much more as between the first two, as
// in 123, 963 and the columns and diagonals of a keypad.
func steps(digits string) bool {
	by := digits[1] - digits[0] + 10
	for i := 1; i < len(digits); i++ {
		if (digits[i-1]-'0'+by)%10 != digits[i]-'0' {
			return false
		}
	}
	return true
}

// The keys of the store, and nobody in the place of a person who is not known.
const (
	pinPrefix = "p."
	personTry = "t.person."
	deviceTry = "t.device."
	codeTry   = "t.code."
	nobody    = "nobody"
)

// nameable reports whether an owner can stand in a key: an Entra object id. An earlier version took
// words for owners.
func nameable(owner string) bool { return strings.Trim(owner, "0123456789abcdef-") == "" }

// ByCode says in place of an object id that a PIN was set with a one-time code.
const ByCode = "code"

// record is what is stored of a person's PIN.
type record struct {
	Owner   string    `json:"owner"`
	Hash    string    `json:"hash"`
	Changed time.Time `json:"changed"`
	// By is who set it: the person's object id, or ByCode.
	By string `json:"by,omitempty"`
}

// State is what may be told of a person's PIN.
type State struct {
	Set     bool      `json:"set"`
	Changed time.Time `json:"changed,omitzero"`
	By      string    `json:"by,omitempty"`
	// LockedUntil is when a locked PIN can be used again; LockedForGood is one that was wrong so often in
	// a row that it has to be unlocked, or set anew.
	LockedUntil   time.Time `json:"locked_until,omitzero"`
	LockedForGood bool      `json:"locked_for_good,omitempty"`
}

func (p *PINs) read(ctx context.Context, owner string) (rec record, rev uint64, err error) {
	value, rev, err := p.kv.Get(ctx, pinPrefix+owner)
	if err != nil {
		return record{}, 0, fmt.Errorf("read PIN: %w", err)
	}
	if rev != 0 && (json.Unmarshal(value, &rec) != nil || rec.Owner != owner) {
		rec = record{} // it is none until it is set anew
	}
	return rec, rev, nil
}

// Set stores a person's PIN and unlocks it. The error is an ErrWeak, ErrBusy, ErrConflict, or why
// it could not be stored.
func (p *PINs) Set(ctx context.Context, owner, pin, by string, now time.Time) error {
	if err := CheckNew(pin); err != nil {
		return err
	}
	if owner == "" || !nameable(owner) {
		return fmt.Errorf("%w: its owner is no Entra object id", ErrWeak)
	}
	h, err := p.hashed(ctx, p.peppers[0], owner, pin)
	if err != nil {
		return err
	}
	rec := record{owner, h.text(), now.UTC().Round(0), by}
	for range maxConflicts {
		_, rev, err := p.read(ctx, owner)
		if err != nil {
			return err
		}
		if ok, err := p.put(ctx, rec, rev); err != nil {
			return err
		} else if ok {
			_, err := p.Unlock(ctx, owner)
			return err
		}
	}
	return ErrConflict
}

func (p *PINs) put(ctx context.Context, rec record, rev uint64) (bool, error) {
	value, err := json.Marshal(rec)
	if err != nil {
		return false, fmt.Errorf("encode PIN: %w", err)
	}
	_, ok, err := p.kv.CompareAndSet(ctx, pinPrefix+rec.Owner, value, rev, 0)
	if err != nil {
		return false, fmt.Errorf("store PIN: %w", err)
	}
	return ok, nil
}

// Reset removes a person's PIN, and reports whether there was one. Visits that were begun with it
// end: see Version.
func (p *PINs) Reset(ctx context.Context, owner string) (bool, error) {
	was, err := p.remove(ctx, pinPrefix+owner)
	if err != nil {
		return was, err
	}
	_, err = p.Unlock(ctx, owner)
	return was, err
}

// Unlock forgets the wrong PINs of a person, and reports whether there were any.
func (p *PINs) Unlock(ctx context.Context, owner string) (bool, error) {
	return p.remove(ctx, personTry+owner)
}

// remove deletes a key, whoever changes it meanwhile.
func (p *PINs) remove(ctx context.Context, key string) (bool, error) {
	for range maxConflicts {
		_, rev, err := p.kv.Get(ctx, key)
		if err != nil {
			return false, fmt.Errorf("read PIN: %w", err)
		}
		if rev == 0 {
			return false, nil
		}
		if ok, err := p.kv.Delete(ctx, key, rev); err != nil {
			return false, fmt.Errorf("remove PIN: %w", err)
		} else if ok {
			return true, nil
		}
	}
	return false, ErrConflict
}

// StateOf is what may be told of a person's PIN.
func (p *PINs) StateOf(ctx context.Context, owner string, now time.Time) (State, error) {
	rec, _, err := p.read(ctx, owner)
	if err != nil {
		return State{}, err
	}
	t, _, err := p.triesOf(ctx, personTry+owner)
	if err != nil {
		return State{}, err
	}
	s := State{Set: rec.Hash != "", Changed: rec.Changed, By: rec.By, LockedForGood: t.InARow >= maxInARow}
	if now.Before(t.Locked) {
		s.LockedUntil = t.Locked
	}
	return s, nil
}

// Version names a person's PIN as it is set now; it is empty when there is none. Whoever was let in by
// it is let in until it is another.
func (p *PINs) Version(ctx context.Context, owner string) (string, error) {
	rec, _, err := p.read(ctx, owner)
	if err != nil {
		return "", err
	}
	return rec.version(), nil
}

func (r record) version() string {
	if r.Hash == "" {
		return ""
	}
	return r.Changed.Format(time.RFC3339Nano)
}

// CheckRecord reports with an error what is stored under a key and can't be read.
func CheckRecord(key string, value []byte) error {
	if !strings.HasPrefix(key, pinPrefix) {
		return nil
	}
	var rec record
	if json.Unmarshal(value, &rec) != nil || pinPrefix+rec.Owner != key {
		return errHash
	}
	_, err := parseHash(rec.Hash)
	return err
}

// Stored is what a record tells of a PIN, without what it could be guessed from.
type Stored struct {
	Owner   string    `json:"owner"`
	Changed time.Time `json:"pin_set"`
	// By is who set it: the person's object id, or ByCode.
	By string `json:"by,omitempty"`
}

// Read is what is stored of a PIN under a key; ok is false of what is no PIN.
func Read(key string, value []byte) (s Stored, ok bool) {
	var rec record
	if !strings.HasPrefix(key, pinPrefix) || json.Unmarshal(value, &rec) != nil || pinPrefix+rec.Owner != key {
		return Stored{}, false
	}
	return Stored{rec.Owner, rec.Changed, rec.By}, true
}

// WithoutHash is what is stored under a key as its person may read it: that there is a PIN, and since
// when. What is no PIN stays as it is.
func WithoutHash(key string, value []byte) []byte {
	if !strings.HasPrefix(key, pinPrefix) {
		return value
	}
	s, _ := Read(key, value)
	out, err := json.Marshal(s)
	if err != nil {
		return nil
	}
	return out
}

// Keys are those under which something of a person is stored.
func Keys(owner string) []string {
	return []string{pinPrefix + owner, personTry + owner, codeTry + owner}
}
