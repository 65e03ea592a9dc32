package pin

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"
)

// What one run of argon2id costs: the least that OWASP's Password Storage Cheat Sheet recommends
// (19 MiB, 2 passes, 1 lane), which is about 30 ms of one core. RFC 9106 (4) has 64 MiB for its
// second choice, which sixteen people at once would not leave to a container of 512 MiB. What
// keeps six digits from being tried through is the pepper and the lock, not this cost.
var usualCost = cost{memory: 19 * 1024, passes: 2}

// cost is the memory in KiB and the passes over it of one run.
type cost struct{ memory, passes uint32 }

const (
	lanes     = 1
	sumLength = 32
	saltBytes = 16
)

const (
	// maxRuns is how many run at once, of all devices: 76 MiB at most. Others wait.
	maxRuns = 4
	// waitAtMost is how long one waits for its turn, some 250 of others: then the person is asked
	// to try again, and the try stays counted.
	waitAtMost = 3 * time.Second
)

// ErrBusy says that too many PINs are looked at at once.
var ErrBusy = errors.New("too many PINs are being checked; try again in a few seconds")

// Pepper is a secret without which a stored hash is of no use, named by its ID. It is made of a key
// of the badges.
type Pepper struct {
	ID     string
	Secret []byte
}

// digest is what goes into argon2id: the PIN and whose it is, under the pepper.
func (p Pepper) digest(owner, pin string) []byte {
	mac := hmac.New(sha256.New, p.Secret)
	mac.Write([]byte("pullprint pin\x00" + owner + "\x00" + pin))
	return mac.Sum(nil)
}

// name is a keyed hash of something that must not stand in a key of the store.
func (p Pepper) name(of, text string) string {
	mac := hmac.New(sha256.New, p.Secret)
	mac.Write([]byte("pullprint pin " + of + "\x00" + text))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// hash is a PIN as it is stored. Its text is version, pepper, cost, salt and sum, with colons
// between: a later version may take another cost and still read those of this one.
type hash struct {
	pepper    string
	cost      cost
	salt, sum []byte
}

const hashVersion = "v1"

func (h hash) text() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("%s:%s:%d,%d:%s:%s", hashVersion, h.pepper, h.cost.memory, h.cost.passes, b64(h.salt), b64(h.sum))
}

// The most that a stored hash may ask for: a damaged or foreign record must not take the memory or
// the time of everybody. Argon2 takes no less than 8 KiB and one pass.
const (
	maxMemoryKiB = 64 * 1024
	maxPasses    = 10
)

var errHash = errors.New("what is stored of the PIN can't be read; have it set again")

func parseHash(text string) (h hash, err error) {
	part := strings.Split(text, ":")
	if len(part) != 5 || part[0] != hashVersion {
		return hash{}, errHash
	}
	h.pepper = part[1]
	if n, err := fmt.Sscanf(part[2], "%d,%d", &h.cost.memory, &h.cost.passes); err != nil || n != 2 {
		return hash{}, errHash
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(part[3])
	sum, err2 := base64.RawStdEncoding.DecodeString(part[4])
	h.salt, h.sum = salt, sum
	if errors.Join(err1, err2) != nil || len(salt) != saltBytes || len(sum) != sumLength ||
		h.cost.memory < 8 || h.cost.memory > maxMemoryKiB || h.cost.passes < 1 || h.cost.passes > maxPasses {
		return hash{}, errHash
	}
	return h, nil
}

// hashed is the hash of a PIN under a pepper with a new salt.
func (p *PINs) hashed(ctx context.Context, pepper Pepper, owner, pin string) (hash, error) {
	h := hash{pepper: pepper.ID, cost: p.cost, salt: make([]byte, saltBytes)}
	if _, err := io.ReadFull(p.dice, h.salt); err != nil {
		return hash{}, fmt.Errorf("make a salt: %w", err)
	}
	var err error
	h.sum, err = p.run(ctx, h, pepper.digest(owner, pin))
	return h, err
}

// right reports whether a PIN is the one that is stored. It runs argon2id once in any case: h is
// empty when nothing is stored, or not under a pepper that is there.
func (p *PINs) right(ctx context.Context, h hash, owner, pin string) (bool, error) {
	pepper, known := p.pepper(h.pepper)
	if !known || h.sum == nil {
		pepper, known = p.peppers[0], false
		h = hash{cost: p.cost, salt: make([]byte, saltBytes), sum: make([]byte, sumLength)}
	}
	sum, err := p.run(ctx, h, pepper.digest(owner, pin))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(sum, h.sum) == 1 && known, nil
}

func (p *PINs) pepper(id string) (Pepper, bool) {
	for _, one := range p.peppers {
		if one.ID == id {
			return one, true
		}
	}
	return Pepper{}, false
}

// run is the only place where argon2id runs: maxRuns at once.
func (p *PINs) run(ctx context.Context, h hash, digest []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, waitAtMost)
	defer cancel()
	select {
	case p.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, ErrBusy
	}
	defer func() { <-p.turns }()
	p.runs.Add(1)
	return argon2.IDKey(digest, h.salt, h.cost.passes, h.cost.memory, lanes, sumLength), nil
}
