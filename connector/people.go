package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/held"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

var (
	// ErrNobody says that nothing tells who is meant.
	ErrNobody = errors.New("nobody is known here by that name")
	// ErrUnfinished says that a person's jobs have not come to their end.
	ErrUnfinished = errors.New("the person has jobs that have not come to their end")
)

// PersonKV is what People need of a bucket; *bus.KV is one.
type PersonKV interface {
	StateKV
	Forget(ctx context.Context, filter string) error
}

// PersonRecords are the streams; *bus.Bus is one.
type PersonRecords interface {
	Scan(ctx context.Context, kind bus.Kind, fn func(bus.Record) error) error
	Rewrite(ctx context.Context, kind bus.Kind, r bus.Record, msgID string) error
	Remove(ctx context.Context, kind bus.Kind, sequences []uint64) error
}

// People finds everything about a person, and erases it.
type People struct {
	Records                    PersonRecords
	Jobs, Badges, Quota, State PersonKV
	Ledger                     *quota.Ledger
	// KeepJobs is how long records of jobs that have ended are kept.
	KeepJobs time.Duration
	// Cancel aborts a held job; nil when no daemon runs.
	Cancel func(ctx context.Context, c Cancellation) (held.Record, error)
	// Offline says that nobody watches the buckets: then no trace of a key stays.
	Offline bool
}

// Person is everything that is known about somebody.
type Person struct {
	// User is the Entra object id, Names the user principal names on their badges.
	User  string    `json:"user"`
	Names []string  `json:"names"`
	At    time.Time `json:"at"`
	// Each is a record as it is stored.
	Jobs        []json.RawMessage `json:"jobs"`
	Badges      []json.RawMessage `json:"badges"`
	Accounts    []json.RawMessage `json:"accounts"`
	Delegations []json.RawMessage `json:"delegations"`
	Decisions   []json.RawMessage `json:"decisions"`
	Ledger      []json.RawMessage `json:"ledger"`
	Audit       []json.RawMessage `json:"audit"`
	Dead        []json.RawMessage `json:"dead"`
}

// Erasure says how a person is erased.
type Erasure struct {
	// CancelHeld aborts the jobs that wait; else they are in the way.
	CancelHeld bool `json:"cancel_held"`
	// ForgetBudget also forgets what was spent in the periods that run: it can be
	// spent again then.
	ForgetBudget bool `json:"forget_budget"`
	// Actor is who asked.
	Actor string `json:"-"`
}

// Erased is what was erased, and how many records of others were made to tell no
// more whom they are about.
type Erased struct {
	Canceled  int `json:"canceled"`
	Removed   int `json:"removed"`
	Rewritten int `json:"rewritten"`
	// Owner is who it was.
	Owner string `json:"-"`
}

// who is somebody's id and names.
type who struct {
	id    string
	names []string
}

// find resolves an Entra object id or a user principal name. Names are known from
// badges alone.
func (p *People) find(ctx context.Context, user string) (who, error) {
	var out who
	byID := graph.ValidID(user) && !strings.Contains(user, "@")
	if byID {
		out.id = user
	}
	err := p.Badges.Each(ctx, ">", func(_ string, value []byte, _ uint64) error {
		var b struct {
			Owner string `json:"owner"`
			Name  string `json:"user_principal_name"`
		}
		if json.Unmarshal(value, &b) != nil {
			return nil
		}
		switch {
		case byID && b.Owner != user, !byID && !strings.EqualFold(b.Name, user):
			return nil
		case out.id != "" && out.id != b.Owner:
			return fmt.Errorf("%w: badges of several people have it; give the Entra object id", ErrNobody)
		}
		out.id = b.Owner
		if b.Name != "" && !slices.Contains(out.names, b.Name) {
			out.names = append(out.names, b.Name)
		}
		return nil
	})
	if err == nil && out.id == "" {
		err = fmt.Errorf("%w: no badge has it; give the Entra object id", ErrNobody)
	}
	return out, err
}

// mentions reports whether a text has one of a person's words, whole.
func (w who) mentions(text string) bool { return w.hide(text) != text }

// hide puts quota.Erased in the place of a person's words.
func (w who) hide(text string) string {
	for _, word := range append([]string{w.id}, w.names...) {
		text = replaceWord(text, word)
	}
	return text
}

// replaceWord replaces a word, in any case, where none of its kind of characters
// is beside it.
func replaceWord(text, word string) string {
	if word == "" {
		return text
	}
	lower, small := strings.ToLower(text), strings.ToLower(word)
	if len(lower) != len(text) {
		lower, small = text, word // a letter that changes its length: exactly, then
	}
	var out strings.Builder
	for from := 0; ; {
		i := strings.Index(lower[from:], small)
		if i < 0 {
			out.WriteString(text[from:])
			return out.String()
		}
		i += from
		end := i + len(small)
		out.WriteString(text[from:i])
		if (i > 0 && inWord(lower[i-1])) || (end < len(lower) && inWord(lower[end])) {
			out.WriteString(text[i:end])
		} else {
			out.WriteString(quota.Erased)
		}
		from = end
	}
}

func inWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("_%+-@", c) >= 0
}

// kinds are the streams that can tell of people. Tasks name jobs and printers
// alone.
var kinds = []bus.Kind{bus.Decisions, bus.Audit, bus.Ledger, bus.Dead}

// Export collects everything that is known about a person.
func (p *People) Export(ctx context.Context, user string) (Person, error) {
	w, err := p.find(ctx, user)
	if err != nil {
		return Person{}, err
	}
	out := Person{User: w.id, Names: append([]string{}, w.names...), At: time.Now().UTC()}
	for _, bucket := range []struct {
		kv PersonKV
		to *[]json.RawMessage
	}{{p.Jobs, &out.Jobs}, {p.Badges, &out.Badges}, {p.Quota, &out.Accounts}, {p.State, &out.Delegations}} {
		*bucket.to = []json.RawMessage{}
		err := bucket.kv.Each(ctx, ">", func(key string, value []byte, _ uint64) error {
			if (w.mentions(key) || w.mentions(string(value))) && json.Valid(value) {
				*bucket.to = append(*bucket.to, slices.Clone(value))
			}
			return nil
		})
		if err != nil {
			return out, fmt.Errorf("look for the person: %w", err)
		}
	}
	for i, to := range []*[]json.RawMessage{&out.Decisions, &out.Audit, &out.Ledger, &out.Dead} {
		*to = []json.RawMessage{}
		err := p.Records.Scan(ctx, kinds[i], func(r bus.Record) error {
			if (w.mentions(r.Subject) || w.mentions(string(r.Body))) && json.Valid(r.Body) {
				*to = append(*to, slices.Clone(r.Body))
			}
			return nil
		})
		if err != nil {
			return out, fmt.Errorf("look for the person in %s: %w", kinds[i], err)
		}
	}
	return out, nil
}

// Erase erases a person: what is theirs is removed, and where others' records tell
// of them, quota.Erased stands instead. Jobs that have not come to their end are in
// the way, as are those that are still being paid for.
//
// The crash order: badges go last, as they alone tell whose a name is. Dying
// between, it is done again, and finds what is left.
func (p *People) Erase(ctx context.Context, user string, how Erasure) (Erased, error) {
	var done Erased
	w, err := p.find(ctx, user)
	if err != nil {
		return done, err
	}
	done.Owner = w.id
	if done.Canceled, err = p.finish(ctx, w, how); err != nil {
		return done, err
	}
	if _, err := p.Ledger.Erase(ctx, w.id, how.ForgetBudget, time.Now()); err != nil {
		if errors.Is(err, quota.ErrOpen) {
			return done, fmt.Errorf("%w: %w; try again in a few minutes", ErrUnfinished, err)
		}
		return done, err
	}
	if err := p.eraseKeys(ctx, p.Jobs, w, &done); err != nil {
		return done, err
	}
	for _, kind := range kinds {
		if err := p.eraseRecords(ctx, kind, w, &done); err != nil {
			return done, err
		}
	}
	for _, kv := range []PersonKV{p.State, p.Badges} {
		if err := p.eraseKeys(ctx, kv, w, &done); err != nil {
			return done, err
		}
	}
	if !p.Offline {
		return done, nil
	}
	for kv, filter := range map[PersonKV]string{p.Jobs: w.id + ".>", p.State: delegationPrefix + w.id + ".>"} {
		if err := kv.Forget(ctx, filter); err != nil {
			return done, err
		}
	}
	if err := p.State.Forget(ctx, delegationPrefix+"*."+w.id); err != nil {
		return done, err
	}
	if how.ForgetBudget {
		return done, p.Quota.Forget(ctx, w.id)
	}
	return done, nil
}

// finish refuses a person with jobs that have not come to their end, or aborts
// those that are held.
func (p *People) finish(ctx context.Context, w who, how Erasure) (canceled int, err error) {
	var waiting []held.Record
	err = p.Jobs.Each(ctx, held.OwnerFilter(w.id), func(_ string, value []byte, rev uint64) error {
		var rec held.Record
		if err := json.Unmarshal(value, &rec); err != nil {
			return fmt.Errorf("read job record at revision %d: %w", rev, err)
		}
		if !rec.State.Final() {
			waiting = append(waiting, rec)
		}
		return nil
	})
	if err != nil || len(waiting) == 0 {
		return 0, err
	}
	if !how.CancelHeld || p.Cancel == nil {
		return 0, fmt.Errorf("%w: %d; let them be released, or have those that are held aborted with --cancel-held while the daemon runs", ErrUnfinished, len(waiting))
	}
	for _, rec := range waiting {
		if _, err := p.Cancel(ctx, Cancellation{Key: rec.Key(), Actor: how.Actor}); err != nil {
			return canceled, fmt.Errorf("%w: job %s: %w", ErrUnfinished, rec.Job, err)
		}
		canceled++
	}
	return canceled, nil
}

// eraseKeys removes the keys of a bucket that are a person's, and takes them out of
// those of others.
func (p *People) eraseKeys(ctx context.Context, kv PersonKV, w who, done *Erased) error {
	type found struct {
		key   string
		value string
		rev   uint64
	}
	var list []found
	err := kv.Each(ctx, ">", func(key string, value []byte, rev uint64) error {
		if w.mentions(key) || w.mentions(string(value)) {
			list = append(list, found{key, string(value), rev})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for the person: %w", err)
	}
	for _, f := range list {
		if kv != p.Jobs || w.mentions(f.key) {
			if _, err := kv.Delete(ctx, f.key, f.rev); err != nil {
				return fmt.Errorf("erase the person: %w", err)
			}
			done.Removed++
			continue
		}
		// Somebody else's job: it tells who released it for them.
		var rec held.Record
		var ttl time.Duration
		if json.Unmarshal([]byte(f.value), &rec) == nil && rec.State.Final() {
			ttl = p.KeepJobs
		}
		if _, _, err := kv.CompareAndSet(ctx, f.key, []byte(w.hide(f.value)), f.rev, ttl); err != nil {
			return fmt.Errorf("erase the person: %w", err)
		}
		done.Rewritten++
	}
	return nil
}

// eraseRecords removes the records of a stream that are a person's own. One that
// only tells of them is stored again without, at the end, before it is removed.
func (p *People) eraseRecords(ctx context.Context, kind bus.Kind, w who, done *Erased) error {
	var remove []uint64
	var rewrite []bus.Record
	err := p.Records.Scan(ctx, kind, func(r bus.Record) error {
		if !w.mentions(r.Subject) && !w.mentions(string(r.Body)) {
			return nil
		}
		remove = append(remove, r.Sequence)
		var of struct {
			Owner string `json:"owner"`
		}
		own := w.mentions(r.Subject) || (kind == bus.Decisions && json.Unmarshal(r.Body, &of) == nil && of.Owner == w.id)
		if !own {
			r.Body = []byte(w.hide(string(r.Body)))
			rewrite = append(rewrite, r)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for the person in %s: %w", kind, err)
	}
	for _, r := range rewrite {
		if err := p.Records.Rewrite(ctx, kind, r, fmt.Sprintf("erased:%d", r.Sequence)); err != nil {
			return err
		}
		done.Rewritten++
	}
	if err := p.Records.Remove(ctx, kind, remove); err != nil {
		return err
	}
	done.Removed += len(remove) - len(rewrite)
	return nil
}
