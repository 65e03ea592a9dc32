package badge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
	// ErrConflict says that too many concurrent changes were made to the badge.
	ErrConflict = errors.New("the badge is being changed by others; try again")
	// ErrDamaged says that what is stored of a badge can't be read.
	ErrDamaged = errors.New("what is stored of the badge can't be read; enrol the badge again, or restore the store " +
		"from a backup")
	// ErrKeyChanged says that badges are stored under a key that is not in the
	// key file any more.
	ErrKeyChanged = errors.New("the badge key file does not have the key of stored badges")
)

// maxConflicts is how often a change is tried anew when another was faster.
const maxConflicts = 8

// KV is what a Registry needs of a durable bucket; that of the bus is one.
type KV interface {
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	CompareAndSet(
		ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration,
	) (newRevision uint64, swapped bool, err error)
	Delete(ctx context.Context, key string, revision uint64) (bool, error)
	Each(ctx context.Context, filter string, fn func(key string, value []byte, revision uint64) error) error
}

// Badge is an enrolled badge. Its number is not in it.
type Badge struct {
	// ID names the badge to people: the first 16 digits of its first hash. It
	// stays the same when the key changes.
	ID string `json:"id"`
	// Owner is the Entra object id.
	Owner             string    `json:"owner"`
	UserPrincipalName string    `json:"user_principal_name,omitempty"`
	Enrolled          time.Time `json:"enrolled"`
	// By is who enrolled it: the name of an API token, "code", or "self" of who signed in.
	By string `json:"by,omitempty"`
	// Expires is the end of a temporary badge; zero is never.
	Expires time.Time `json:"expires,omitzero"`
	// Revoked is when it was revoked, RevokedBy by whom; zero is not.
	Revoked   time.Time `json:"revoked,omitzero"`
	RevokedBy string    `json:"revoked_by,omitempty"`
	// Warning is what is odd about the number of a badge that was enrolled just now. It
	// is not stored.
	Warning string `json:"warning,omitempty"`
}

// Registry knows who owns which badge. It is safe for concurrent use; every change is
// stored before it returns.
type Registry struct {
	kv    KV
	keys  Keys
	chain Chain
	// owners finds those that a CSV file names by user name; nil when nothing can.
	owners OwnerByName
	// directory is asked before badges are enrolled.
	directory Directory
}

// NewRegistry returns a Registry that stores badges in kv, hashed under keys.
func NewRegistry(kv KV, keys Keys, chain Chain) *Registry {
	return &Registry{kv: kv, keys: keys, chain: chain}
}

// Canonical returns the number in the form that all readers share. It must not be stored.
func (reg *Registry) Canonical(number string) (string, error) { return reg.chain.Apply(number) }

// storeKey is where the badge with a canonical number is stored under a key.
func storeKey(k key, canonical string) string {
	return badgePrefix + k.id + "." + k.hash("badge", canonical)
}

// badges is what n of them were.
func badges(n int) string {
	if n == 1 {
		return "1 badge was"
	}
	return fmt.Sprintf("%d badges were", n)
}

const badgePrefix = "b."

// IsKey reports whether a badge is stored under a key.
func IsKey(key string) bool { return strings.HasPrefix(key, badgePrefix) }

// idLength is how many digits of its first hash name a badge to people.
const idLength = 16

func idOf(key string) string { return key[strings.LastIndexByte(key, '.')+1:][:idLength] }

// Check reports with ErrKeyChanged that badges are stored which no key of the
// file can find any more.
func (reg *Registry) Check(ctx context.Context) error {
	have := reg.keys.IDs()
	known := map[string]bool{}   // ids of badges that can be found
	lost := map[string][]Badge{} // by the key
	err := reg.each(ctx, func(s stored) error {
		if id := s.keyID(); slices.Contains(have, id) {
			known[s.ID] = true
		} else {
			lost[id] = append(lost[id], s.Badge)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var told []string
	for _, id := range slices.Sorted(maps.Keys(lost)) {
		// What a move left behind is not lost, unless it alone knows of an end.
		n := len(slices.DeleteFunc(lost[id], func(l Badge) bool { return known[l.ID] && l.Revoked.IsZero() }))
		if n > 0 {
			told = append(told, fmt.Sprintf("%s enrolled under key %s", badges(n), id))
		}
	}
	if len(told) > 0 {
		return fmt.Errorf("%w: %s, the file has %s; put the old key back as a further line and restart; to give those "+
			"badges up, run `pullprint badge revoke --key ID`",
			ErrKeyChanged, strings.Join(told, ", "), strings.Join(have, ", "))
	}
	return nil
}

// consolidate stores a badge under its current key and deletes all other copies. It
// reports false after a concurrent change: the caller reads again.
//
// If the process dies between, there are two copies. find takes the one under the newer key,
// and an end that was stored in the older one in the meantime counts.
func (reg *Registry) consolidate(ctx context.Context, to string, badge Badge, copies []stored) (bool, error) {
	var there stored
	if len(copies) > 0 && copies[0].at == to {
		there, copies = copies[0], copies[1:]
	}
	if there.damaged || !there.equal(badge) {
		if ok, err := reg.put(ctx, to, badge, there.rev); err != nil || !ok {
			return false, err
		}
	}
	for _, c := range copies {
		if ok, err := reg.kv.Delete(ctx, c.at, c.rev); err != nil {
			return false, fmt.Errorf("remove badge of an old key: %w", err)
		} else if !ok {
			return false, nil
		}
	}
	return true, nil
}

func (reg *Registry) put(ctx context.Context, at string, badge Badge, rev uint64) (bool, error) {
	badge.Warning = ""
	value, err := json.Marshal(badge)
	if err != nil {
		return false, fmt.Errorf("encode badge: %w", err)
	}
	_, ok, err := reg.kv.CompareAndSet(ctx, at, value, rev, 0)
	if err != nil {
		return false, fmt.Errorf("store badge: %w", err)
	}
	return ok, nil
}

// stored is a badge and where it was found.
type stored struct {
	Badge
	at      string
	rev     uint64
	damaged bool // it can't be read: nothing but a name is in Badge
}

// read decodes a badge. The error is an ErrDamaged, and quotes nothing of the value.
func read(at string, value []byte, rev uint64) (stored, error) {
	s := stored{at: at, rev: rev}
	if !placed(at) || json.Unmarshal(value, &s.Badge) != nil || s.Owner == "" {
		return stored{at: at, rev: rev, damaged: true, Badge: Badge{ID: shortName(at)}},
			fmt.Errorf("badge %s: %w", shortName(at), ErrDamaged)
	}
	if s.ID == "" {
		s.ID = idOf(at)
	}
	s.Owner = canonicalOwner(s.Owner) // an earlier version stored what was typed
	return s, nil
}

// placed reports whether a key is one that storeKey makes, up to the length of its hash.
func placed(at string) bool {
	id, hash, ok := strings.Cut(strings.TrimPrefix(at, badgePrefix), ".")
	return ok && id != "" && len(hash) >= idLength
}

// shortName names a key without telling all of its hash.
func shortName(at string) string {
	hash := at[strings.LastIndexByte(at, '.')+1:]
	return hash[:min(len(hash), idLength)]
}

// CheckRecord reports with an error what is stored under a key and can't be read.
func CheckRecord(key string, value []byte) error {
	switch {
	case strings.HasPrefix(key, badgePrefix):
		_, err := read(key, value, 0)
		return err
	case strings.HasPrefix(key, codePrefix):
		var c code
		if json.Unmarshal(value, &c) != nil || c.Owner == "" {
			return fmt.Errorf("one-time code %s can't be read; issue another", shortName(key))
		}
	}
	return nil
}

// OwnerOf is whom a stored badge is of; ok is false of what is none, and of one that was
// revoked.
func OwnerOf(key string, value []byte) (owner string, ok bool) {
	if !strings.HasPrefix(key, badgePrefix) {
		return "", false
	}
	s, err := read(key, value, 0)
	return s.Owner, err == nil && s.Revoked.IsZero()
}

func (s stored) keyID() string {
	id, _, _ := strings.Cut(strings.TrimPrefix(s.at, badgePrefix), ".")
	return id
}

// findNumber is find, also for a badge that an earlier version enrolled with what nobody
// sees in its number.
func (reg *Registry) findNumber(
	ctx context.Context, number, canonical string,
) (badge Badge, copies []stored, err error) {
	badge, copies, err = reg.find(ctx, canonical)
	if before, ok := reg.chain.applyAsBefore(number); ok && before != canonical && errors.Is(err, ErrUnknown) {
		return reg.find(ctx, before)
	}
	return badge, copies, err
}

// find looks under every key, the current one first: always all of them, so that
// it takes the same time whether a badge is there or not. With ErrDamaged, one of the
// copies can't be read: it may have told of an end.
func (reg *Registry) find(ctx context.Context, canonical string) (badge Badge, copies []stored, err error) {
	var damage error
	for _, k := range reg.keys.list {
		at := storeKey(k, canonical)
		value, rev, err := reg.kv.Get(ctx, at)
		if err != nil {
			return Badge{}, nil, fmt.Errorf("read badge: %w", err)
		}
		if rev == 0 {
			continue
		}
		s, err := read(at, value, rev)
		if err != nil {
			damage = err
		}
		copies = append(copies, s)
	}
	switch {
	case damage != nil:
		return Badge{}, copies, damage
	case len(copies) == 0:
		return Badge{}, nil, ErrUnknown
	}
	badge = copies[0].Badge
	for _, c := range copies[1:] {
		if badge.Revoked.IsZero() && c.Enrolled.Equal(badge.Enrolled) && c.Owner == badge.Owner {
			badge.Revoked, badge.RevokedBy = c.Revoked, c.RevokedBy
		}
	}
	return badge, copies, nil
}

func (b Badge) equal(o Badge) bool {
	return b.ID == o.ID && b.Owner == o.Owner && b.UserPrincipalName == o.UserPrincipalName && b.By == o.By &&
		b.RevokedBy == o.RevokedBy &&
		b.Enrolled.Equal(o.Enrolled) && b.Expires.Equal(o.Expires) && b.Revoked.Equal(o.Revoked)
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
func (reg *Registry) Resolve(ctx context.Context, number string, now time.Time) (Badge, error) {
	canonical, err := reg.chain.Apply(number)
	if err != nil {
		return Badge{}, ErrUnknown
	}
	badge, copies, err := reg.findNumber(ctx, number, canonical)
	if err != nil {
		return Badge{}, err
	}
	if to := storeKey(reg.keys.list[0], canonical); len(copies) > 1 || copies[0].at != to {
		badge = reg.rehashed(ctx, number, canonical, badge, copies)
	}
	if err := badge.valid(now); err != nil {
		return Badge{}, err
	}
	return badge, nil
}

// Hash names a number, which is canonical, by a keyed hash: it is the key at which the badge
// is stored once Resolve has found it.
func (reg *Registry) Hash(canonical string) string { return storeKey(reg.keys.list[0], canonical) }

// ByHash is Resolve for a badge that is named by its Hash.
func (reg *Registry) ByHash(ctx context.Context, hash string, now time.Time) (Badge, error) {
	value, rev, err := reg.kv.Get(ctx, hash)
	switch {
	case err != nil:
		return Badge{}, fmt.Errorf("read badge: %w", err)
	case rev == 0 || !placed(hash):
		return Badge{}, ErrUnknown
	}
	s, err := read(hash, value, rev)
	if err != nil {
		return Badge{}, err
	}
	if err := s.valid(now); err != nil {
		return Badge{}, err
	}
	return s.Badge, nil
}

// rehashed stores a badge under the current key only, and returns it. If that fails, the
// next tap tries again; the badge is valid as it was read.
func (reg *Registry) rehashed(ctx context.Context, number, canonical string, badge Badge, copies []stored) Badge {
	to := storeKey(reg.keys.list[0], canonical)
	for range maxConflicts {
		if ok, err := reg.consolidate(ctx, to, badge, copies); ok || err != nil {
			break
		}
		again, now, err := reg.findNumber(ctx, number, canonical)
		if err != nil {
			break
		}
		badge, copies = again, now
	}
	return badge
}
