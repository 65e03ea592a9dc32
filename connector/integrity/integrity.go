// Package integrity decodes what can't be rebuilt (accounts, badges, state) again and again, and
// says what can't be read.
package integrity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pullprint/connector/delegation"
	"pullprint/connector/ledgerexport"
	"pullprint/connector/recovery"
	"pullprint/connector/store"
	"pullprint/connector/terminal"
	"pullprint/policy/badge"
	"pullprint/policy/pin"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/trigger"
	"pullprint/trigger/graph"
	"pullprint/trigger/wait"
)

// How often accounts, badges and state are checked.
const (
	// integrityEvery is the pause after a check that found no damage.
	integrityEvery = 5 * time.Minute
	// integrityAgain is the pause after one that failed or found damage: a repair is noticed soon.
	integrityAgain = time.Minute
)

// The buckets whose contents can't be rebuilt, by their names in the store.
const (
	bucketQuota  = "pullprint_quota"
	bucketBadges = "pullprint_badges"
	bucketState  = "pullprint_state"
)

// Bucket is a bucket that Integrity checks; *stored.KV is one.
type Bucket interface {
	Each(ctx context.Context, filter string, fn func(key string, value []byte, revision uint64) error) error
}

// Checker decodes all records of accounts, badges and state with the decoders of the packages
// that use them, because a record without a disk error may still be undecodable. A damaged
// record affects nothing else, and is reported until it is repaired.
type Checker struct {
	buckets map[string]Bucket
	damaged *prometheus.CounterVec
	log     *zap.Logger

	mu     sync.Mutex // guards what follows
	err    error      // what is damaged
	said   string     // what of it the log told last
	owners error
}

// New returns a Checker; Run does the checks.
func New(accounts, badges, state Bucket, reg prometheus.Registerer, log *zap.Logger) *Checker {
	return &Checker{
		buckets: map[string]Bucket{bucketQuota: accounts, bucketBadges: badges, bucketState: state},
		damaged: store.DamagedRecords(reg), log: log.Named("integrity"),
		err: errors.New("accounts, badges and state are being read through"),
	}
}

// Ready names what is damaged; nil when everything could be read the last time.
func (i *Checker) Ready() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.err
}

// Run checks all buckets, again and again, until ctx ends.
func (i *Checker) Run(ctx context.Context) error {
	for {
		every := integrityEvery
		if i.look(ctx) != nil {
			every = integrityAgain
		}
		if err := wait.Sleep(ctx, every); err != nil {
			return err
		}
	}
}

// look checks all buckets once. If a bucket can't be read, its last result is kept, if it has
// one.
func (i *Checker) look(ctx context.Context) error {
	var found []string
	n, words := 0, map[string]int{}
	for _, bucket := range []string{bucketQuota, bucketBadges, bucketState} {
		err := i.buckets[bucket].Each(ctx, ">", func(key string, value []byte, _ uint64) error {
			err := CheckRecord(bucket, key, value)
			if err == nil {
				if ofNobody(bucket, key, value) {
					words[bucket]++
				}
				return nil
			}
			i.damaged.WithLabelValues(recordKind(bucket)).Inc()
			if n++; n <= store.MaxNamed {
				found = append(found, err.Error())
			}
			return nil
		})
		if err != nil {
			i.log.Warn("accounts, badges and state not read through, tried again in a minute", zap.String("bucket", bucket),
				zap.Error(err))
			return err
		}
	}
	var err error
	if n > 0 {
		err = fmt.Errorf("%s can't be read: %s; all others are in use. %s", terminal.Counted(n, "record"), strings.Join(found, "; "),
			integrityRemedy)
	}
	i.tell(err, n, found)
	i.tellOwners(words)
	return err
}

// Owners says how many badges, accounts and delegations were of words the last time,
// and not of people; nil when none was.
func (i *Checker) Owners() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.owners
}

// tellOwners keeps how many records of each bucket are of words, and logs it when it is
// new. The words may be names: they are not told.
func (i *Checker) tellOwners(words map[string]int) {
	var err error
	if badges, accounts, lent := words[bucketBadges], words[bucketQuota], words[bucketState]; badges+accounts+lent > 0 {
		err = fmt.Errorf("badges: %d, accounts: %d, delegations: %d are of a word that is no Entra object id, as a version "+
			"before took it: it never is anybody. Find them by `pullprint badge list` and `pullprint jobs delegate --list`, end "+
			"them by `badge revoke` and `jobs delegate --remove`, and make them anew by user name", badges, accounts, lent)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if fresh := err != nil && (i.owners == nil || i.owners.Error() != err.Error()); fresh {
		i.log.Warn("records are of no person", zap.Error(err))
	}
	i.owners = err
}

// ofNobody reports whether a record that can be read is of a word, and not of a person by
// their object id.
func ofNobody(bucket, key string, value []byte) bool {
	isWord := func(id string) bool { _, ok := graph.CanonicalGUID(id); return !ok }
	switch {
	case bucket == bucketQuota:
		a, err := quota.ParseAccount(key)
		return err == nil && a.Kind == quota.User && isWord(a.Name)
	case bucket == bucketBadges:
		owner, ok := badge.OwnerOf(key, value)
		return ok && isWord(owner)
	case bucket == bucketState && strings.HasPrefix(key, delegation.Prefix):
		d, ok := delegation.Read(key, value)
		return ok && (isWord(d.Owner) || isWord(d.To))
	}
	return false
}

const integrityRemedy = "Restore the store from a backup, or stop the daemon and give them up by `pullprint " +
	"accept-loss`; a badge can be enrolled again instead"

// tell stores the result, and logs it if it differs from the last one.
func (i *Checker) tell(err error, n int, found []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.err = err
	if text := strings.Join(found, "; "); text != i.said {
		i.said = text
		if err == nil {
			i.log.Info("accounts, badges and state can all be read again")
			return
		}
		i.log.Error("stored records can't be read", zap.Int("records", n), zap.Strings("first", found),
			zap.String("remedy", integrityRemedy))
	}
}

func recordKind(bucket string) string {
	switch bucket {
	case bucketQuota:
		return store.RecordAccount
	case bucketBadges:
		return store.RecordBadge
	}
	return store.RecordState
}

// CheckRecord reports with an error a record of accounts, badges or state that can't be
// read. It names the record by what is no secret, and quotes nothing of its value. What
// a newer version may have stored there beside is not looked at.
func CheckRecord(bucket, key string, value []byte) error {
	err := recovery.Catch(func() error {
		switch bucket {
		case bucketQuota:
			return ledger.Check(key, value)
		case bucketBadges:
			return cmp.Or(badge.CheckRecord(key, value), pin.CheckRecord(key, value))
		case bucketState:
			return checkState(key, value)
		}
		return nil
	})
	var p *recovery.Panic
	if errors.As(err, &p) {
		return fmt.Errorf("%s in %s", recordKind(bucket), bucket)
	}
	return err
}

// checkState looks at what is lost when it can't be read, or would be in the way. The
// rest of the state ends by itself: sessions, visits, notes of what is worked on, the
// guesses at a reader and the last self-test are taken for none.
func checkState(key string, value []byte) error {
	switch {
	case strings.HasPrefix(key, "trigger."):
		return trigger.CheckRecord(key, value)
	case strings.HasPrefix(key, delegation.Prefix):
		if _, ok := delegation.Read(key, value); !ok {
			return fmt.Errorf("%s can't be read: it lets nobody do anything; remove it, and lend the jobs anew", key)
		}
	case key == ledgerexport.Key:
		if err := ledgerexport.CheckPosition(value); err != nil {
			return fmt.Errorf("state %s can't be read: the ledger is not exported", key)
		}
	}
	return nil
}
