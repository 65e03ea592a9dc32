package badge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Why a badge can't be used. Each but ErrTaken and ErrConflict is an ErrNotValid.
var (
	// ErrNotValid is wrapped by the errors of Resolve about the badge.
	ErrNotValid = errors.New("the badge is not valid")
	// ErrUnknown says that a badge is not enrolled.
	ErrUnknown = fmt.Errorf("%w: it is not known", ErrNotValid)
	// ErrExpired says that a temporary badge has come to its end.
	ErrExpired = fmt.Errorf("%w: it has expired", ErrNotValid)
	// ErrRevoked says that a badge was revoked.
	ErrRevoked = fmt.Errorf("%w: it was revoked", ErrNotValid)
	// ErrTaken says that the badge is somebody else's.
	ErrTaken = errors.New("the badge belongs to somebody else; revoke it first, or enrol it as a replacement")
	// ErrEnrolment says that an enrolment lacks something.
	ErrEnrolment = errors.New("the enrolment can't be used")
	// ErrConflict says that others change the same badge all the time.
	ErrConflict = errors.New("the badge is being changed by others; try again")
	// ErrKeyChanged says that badges are stored under a key that is not in the
	// key file any more.
	ErrKeyChanged = errors.New("the badge key file does not have the key of stored badges")
)

// maxConflicts is how often a change is tried anew when another was faster.
const maxConflicts = 8

// KV is what a Book needs of a durable bucket; *bus.KV is one.
type KV interface {
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	CompareAndSet(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (newRevision uint64, swapped bool, err error)
	Delete(ctx context.Context, key string, revision uint64) (bool, error)
	Each(ctx context.Context, filter string, fn func(key string, value []byte, revision uint64) error) error
}

// Badge is an enrolled badge. Its number is not in it.
type Badge struct {
	// ID names the badge to people: the first 16 digits of its hash.
	ID string `json:"id"`
	// Owner is the Entra object id.
	Owner             string    `json:"owner"`
	UserPrincipalName string    `json:"user_principal_name,omitempty"`
	Enrolled          time.Time `json:"enrolled"`
	// By is who enrolled it: the name of an API token, or "code".
	By string `json:"by,omitempty"`
	// Expires is the end of a temporary badge; zero is never.
	Expires time.Time `json:"expires,omitzero"`
	// Revoked is when it was revoked, RevokedBy by whom; zero is not.
	Revoked   time.Time `json:"revoked,omitzero"`
	RevokedBy string    `json:"revoked_by,omitempty"`
}

// Enrolment says whose badge it shall be.
type Enrolment struct {
	Owner             string
	UserPrincipalName string
	Expires           time.Time
	By                string
	// Replace takes the badge away from whoever has it now.
	Replace bool
	Now     time.Time
}

func (e Enrolment) check() error {
	switch {
	case !validID(e.Owner):
		return fmt.Errorf("%w: the owner is an Entra object id, as 11111111-2222-4333-8444-555555555555", ErrEnrolment)
	case !e.Expires.IsZero() && !e.Expires.After(e.Now):
		return fmt.Errorf("%w: it would have expired already", ErrEnrolment)
	case len(e.UserPrincipalName) > 256 || strings.ContainsFunc(e.UserPrincipalName, func(r rune) bool { return r < ' ' }):
		return fmt.Errorf("%w: the user principal name is too long or has line breaks", ErrEnrolment)
	}
	return nil
}

func validID(s string) bool {
	return len(s) > 0 && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// Book knows whose badge it is. It is safe for concurrent use; every change is
// durable before it returns.
type Book struct {
	kv    KV
	keys  Keys
	chain Chain
}

// NewBook keeps badges in kv, hashed under keys.
func NewBook(kv KV, keys Keys, chain Chain) *Book { return &Book{kv, keys, chain} }

// Canonical is the number as every reader would have it. It is not to be
// stored.
func (b *Book) Canonical(number string) (string, error) { return b.chain.Apply(number) }

// place is where the badge with a canonical number is stored under a key.
func place(k key, canonical string) string {
	return badgePrefix + k.id + "." + k.hash("badge", canonical)
}

const badgePrefix = "b."

func idOf(place string) string { return place[strings.LastIndexByte(place, '.')+1:][:16] }

// Check reports with ErrKeyChanged that badges are stored which no key of the
// file can find any more.
func (b *Book) Check(ctx context.Context) error {
	lost := map[string]int{}
	err := b.kv.Each(ctx, badgePrefix+">", func(place string, _ []byte, _ uint64) error {
		id, _, _ := strings.Cut(strings.TrimPrefix(place, badgePrefix), ".")
		if !slices.Contains(b.keys.IDs(), id) {
			lost[id]++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read badges: %w", err)
	}
	for id, n := range lost {
		return fmt.Errorf("%w: %d were enrolled under key %s, the file has %s; put the old key back as a further line, or remove those badges with `badge revoke --key %s` and enrol them again",
			ErrKeyChanged, n, id, strings.Join(b.keys.IDs(), ", "), id)
	}
	return nil
}

// Enrol makes a badge its owner's. Doing it again changes nothing but its end;
// taking it from somebody else needs e.Replace, or is ErrTaken.
func (b *Book) Enrol(ctx context.Context, number string, e Enrolment) (Badge, error) {
	if err := e.check(); err != nil {
		return Badge{}, err
	}
	canonical, err := b.chain.Apply(number)
	if err != nil {
		return Badge{}, err
	}
	for range maxConflicts {
		old, at, rev, err := b.find(ctx, canonical)
		if err != nil && !errors.Is(err, ErrUnknown) {
			return Badge{}, err
		}
		if rev != 0 && old.Owner != e.Owner && old.valid(e.Now) == nil && !e.Replace {
			return Badge{}, ErrTaken
		}
		to := place(b.keys.list[0], canonical)
		fresh := Badge{ID: idOf(to), Owner: e.Owner, UserPrincipalName: e.UserPrincipalName, Enrolled: e.Now, By: e.By, Expires: e.Expires}
		if old.Owner == e.Owner && old.valid(e.Now) == nil && at == to {
			fresh.Enrolled, fresh.By = old.Enrolled, old.By
		}
		ok, err := b.move(ctx, at, rev, to, fresh)
		if err != nil || ok {
			return fresh, err
		}
	}
	return Badge{}, ErrConflict
}

// move stores a badge at its place and takes it from where it was, if that is
// elsewhere. Dying between, the badge is found under the newer key first.
func (b *Book) move(ctx context.Context, from string, rev uint64, to string, badge Badge) (bool, error) {
	at := rev
	if from != to {
		at = 0
	}
	ok, err := b.put(ctx, to, badge, at)
	if err != nil || !ok || from == to || rev == 0 {
		return ok, err
	}
	if _, err := b.kv.Delete(ctx, from, rev); err != nil {
		return false, fmt.Errorf("remove badge of an old key: %w", err)
	}
	return true, nil
}

func (b *Book) put(ctx context.Context, place string, badge Badge, rev uint64) (bool, error) {
	value, err := json.Marshal(badge)
	if err != nil {
		return false, fmt.Errorf("encode badge: %w", err)
	}
	_, ok, err := b.kv.CompareAndSet(ctx, place, value, rev, 0)
	if err != nil {
		return false, fmt.Errorf("store badge: %w", err)
	}
	return ok, nil
}

// find looks under every key, the current one first.
func (b *Book) find(ctx context.Context, canonical string) (badge Badge, at string, rev uint64, err error) {
	for _, k := range b.keys.list {
		at = place(k, canonical)
		value, rev, err := b.kv.Get(ctx, at)
		if err != nil {
			return Badge{}, "", 0, fmt.Errorf("read badge: %w", err)
		}
		if rev == 0 {
			continue
		}
		if err := json.Unmarshal(value, &badge); err != nil {
			return Badge{}, "", 0, fmt.Errorf("read badge %s: %w", idOf(at), err)
		}
		return badge, at, rev, nil
	}
	return Badge{}, "", 0, ErrUnknown
}

func (b Badge) valid(now time.Time) error {
	switch {
	case !b.Revoked.IsZero():
		return ErrRevoked
	case !b.Expires.IsZero() && !now.Before(b.Expires):
		return ErrExpired
	}
	return nil
}

// Resolve says whose badge it is. The errors about the badge wrap ErrNotValid;
// a number that can't be one is ErrUnknown. A badge under an old key is stored
// again under the current one.
func (b *Book) Resolve(ctx context.Context, number string, now time.Time) (Badge, error) {
	canonical, err := b.chain.Apply(number)
	if err != nil {
		return Badge{}, ErrUnknown
	}
	badge, at, rev, err := b.find(ctx, canonical)
	if err != nil {
		return Badge{}, err
	}
	if err := badge.valid(now); err != nil {
		return Badge{}, err
	}
	if to := place(b.keys.list[0], canonical); to != at {
		fresh := badge
		fresh.ID = idOf(to)
		if ok, err := b.move(ctx, at, rev, to, fresh); err == nil && ok { // else the next tap does it
			badge = fresh
		}
	}
	return badge, nil
}

// List calls fn with the badges of an owner, or with all when owner is empty,
// in no order, revoked and expired ones too.
func (b *Book) List(ctx context.Context, owner string, fn func(Badge) error) error {
	return b.each(ctx, func(_ string, badge Badge, _ uint64) error {
		if owner != "" && badge.Owner != owner {
			return nil
		}
		return fn(badge)
	})
}

func (b *Book) each(ctx context.Context, fn func(at string, badge Badge, rev uint64) error) error {
	return b.kv.Each(ctx, badgePrefix+">", func(at string, value []byte, rev uint64) error {
		var badge Badge
		if err := json.Unmarshal(value, &badge); err != nil {
			return fmt.Errorf("read badge %s: %w", idOf(at), err)
		}
		badge.ID = idOf(at)
		return fn(at, badge, rev)
	})
}

// Which says which badges are meant: the first field that is set counts.
type Which struct {
	// Number is what a reader tells.
	Number string
	// ID is Badge.ID.
	ID string
	// Owner means all of that person.
	Owner string
	// KeyID means all under a key that is lost: they are removed.
	KeyID string
}

// Revoke ends badges and lists those that were not revoked before. Which of
// them were stored before an error can be listed; doing it again does no harm.
func (b *Book) Revoke(ctx context.Context, w Which, by string, now time.Time) ([]Badge, error) {
	var places []string
	switch {
	case w.Number != "":
		canonical, err := b.chain.Apply(w.Number)
		if err != nil {
			return nil, err
		}
		_, at, _, err := b.find(ctx, canonical)
		if err != nil {
			return nil, err
		}
		places = append(places, at)
	default:
		err := b.each(ctx, func(at string, badge Badge, _ uint64) error {
			if (w.ID != "" && badge.ID == w.ID) || (w.ID == "" && w.Owner != "" && badge.Owner == w.Owner) ||
				(w.ID == "" && w.Owner == "" && w.KeyID != "" && strings.HasPrefix(at, badgePrefix+w.KeyID+".")) {
				places = append(places, at)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if len(places) == 0 {
		return nil, ErrUnknown
	}
	var done []Badge
	for _, at := range places {
		badge, changed, err := b.revoke(ctx, at, w.KeyID != "" && w.ID == "" && w.Owner == "" && w.Number == "", by, now)
		if err != nil {
			return done, err
		}
		if changed {
			done = append(done, badge)
		}
	}
	return done, nil
}

func (b *Book) revoke(ctx context.Context, at string, remove bool, by string, now time.Time) (badge Badge, changed bool, err error) {
	for range maxConflicts {
		value, rev, err := b.kv.Get(ctx, at)
		if err != nil || rev == 0 {
			return badge, false, err
		}
		if err := json.Unmarshal(value, &badge); err != nil {
			return badge, false, fmt.Errorf("read badge %s: %w", idOf(at), err)
		}
		badge.ID = idOf(at)
		if remove {
			if ok, err := b.kv.Delete(ctx, at, rev); err != nil || ok {
				return badge, ok, err
			}
			continue
		}
		if !badge.Revoked.IsZero() {
			return badge, false, nil
		}
		badge.Revoked, badge.RevokedBy = now, by
		if ok, err := b.put(ctx, at, badge, rev); err != nil || ok {
			return badge, ok, err
		}
	}
	return badge, false, ErrConflict
}
