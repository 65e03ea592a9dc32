// Package privacy finds everything that is stored about a person, exports and erases it.
package privacy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"pullprint/connector/directory"
	"pullprint/connector/job"
	"pullprint/connector/store"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
)

var (
	// ErrUnfinished says that a person's jobs have not come to their end.
	ErrUnfinished = errors.New("the person has jobs that have not come to their end")
	// ErrTooLarge says that more is known about a person than was asked for.
	ErrTooLarge = errors.New("more is known about the person than is exported at once")
	// ErrLeft says that something of a person could not be erased.
	ErrLeft = errors.New("something of the person is left")
)

// KV is what People need of a bucket; *stored.KV is one.
type KV interface {
	store.KV
	Delete(ctx context.Context, key string, revision uint64) (bool, error)
	Each(ctx context.Context, filter string, fn func(key string, value []byte, revision uint64) error) error
	Forget(ctx context.Context, filter string) error
}

// Records are the streams; *bus.Bus is one.
type Records interface {
	Scan(ctx context.Context, kind store.Kind, fn func(store.Record) error) error
	Rewrite(ctx context.Context, kind store.Kind, r store.Record, msgID string) error
	Remove(ctx context.Context, kind store.Kind, sequences []uint64) error
}

// People finds everything about a person, and erases it.
type People struct {
	Records                    Records
	Jobs, Badges, Quota, State KV
	Ledger                     *ledger.Ledger
	// JobRetention is how long records of jobs that have ended are kept.
	JobRetention time.Duration
	// Cancel aborts the held job of a key, for the actor who erases; nil when no daemon runs.
	Cancel func(ctx context.Context, key, actor string) error
	// Users finds people by user name; nil without access to Entra.
	Users directory.Finder
	// Offline says that nobody watches the buckets: then no trace of a key stays.
	Offline bool
}

// Person is everything that is known about somebody.
type Person struct {
	// User is the Entra object id, Names the user principal names on their badges.
	User  string    `json:"user"`
	Names []string  `json:"names"`
	At    time.Time `json:"at"`
	// Each is a record as it is stored, without the ids of others. Of what belongs to
	// somebody else or to several people there is only what is about the person.
	Jobs        []json.RawMessage `json:"jobs"`
	Badges      []json.RawMessage `json:"badges"`
	Accounts    []json.RawMessage `json:"accounts"`
	Delegations []json.RawMessage `json:"delegations"`
	Decisions   []json.RawMessage `json:"decisions"`
	Ledger      []json.RawMessage `json:"ledger"`
	Audit       []json.RawMessage `json:"audit"`
	Dead        []json.RawMessage `json:"dead"`
	Notices     []json.RawMessage `json:"notices"`
}

// Erasure says how a person is erased.
type Erasure struct {
	// CancelHeld aborts held jobs; without it, the erasure fails while there are any.
	CancelHeld bool `json:"cancel_held"`
	// ForgetBudget also forgets what was spent in the periods that run: it can be
	// spent again then.
	ForgetBudget bool `json:"forget_budget"`
	// Actor is who asked.
	Actor string `json:"-"`
}

// Erased is what was erased, and from how many records of others the person was removed.
type Erased struct {
	Canceled  int `json:"canceled"`
	Removed   int `json:"removed"`
	Rewritten int `json:"rewritten"`
	// Owner is who it was, by Entra object id.
	Owner string `json:"owner"`
}

// Write writes the person as encoding/json does, with a line for each record. Unlike that it needs no
// memory beside the records.
func (p *Person) Write(to io.Writer) error {
	head, err := json.Marshal(map[string]any{"user": p.User, "names": p.Names, "at": p.At})
	if err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	w := bufio.NewWriter(to) // keeps the first error for Flush
	_, _ = w.Write(bytes.TrimSuffix(head, []byte("}")))
	for _, part := range []struct {
		name string
		of   []json.RawMessage
	}{
		{"jobs", p.Jobs},
		{"badges", p.Badges},
		{"accounts", p.Accounts},
		{"delegations", p.Delegations},
		{"decisions", p.Decisions},
		{"ledger", p.Ledger},
		{"audit", p.Audit},
		{"dead", p.Dead},
		{"notices", p.Notices},
	} {
		_, _ = fmt.Fprintf(w, ",\n%q:[", part.name)
		between := "\n"
		for _, record := range part.of {
			_, _ = w.WriteString(between)
			_, _ = w.Write(record)
			between = ",\n"
		}
		_, _ = w.WriteString("]")
	}
	_, _ = w.WriteString("}\n")
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	return nil
}

// None reports whether nothing was found.
func (e Erased) None() bool { return e.Canceled+e.Removed+e.Rewritten == 0 }

// None reports whether nothing is known about somebody.
func (p Person) None() bool {
	return len(p.Jobs)+len(p.Badges)+len(p.Accounts)+len(p.Delegations)+len(p.Decisions)+len(p.Ledger)+len(p.Audit)+
		len(p.Dead)+len(p.Notices) == 0
}

// holding is a bucket that can tell of people. In those that are not wanted, no key is
// removed and none is changed.
type holding struct {
	name string
	kv   KV
	// fields are those of what is stored under a key.
	fields func(key string) fields
	// own reports whether a key is a person's own: it is removed with them.
	own func(w identity, key string, value []byte) bool
	// life is how long what is written again is kept; 0 is for ever.
	life func(value []byte) time.Duration
}

func always(f fields) func(string) fields { return func(string) fields { return f } }

func (p *People) jobs() holding {
	return holding{
		"jobs", p.Jobs, always(jobFields),
		func(w identity, key string, _ []byte) bool { owner, _, _ := strings.Cut(key, "."); return w.is(owner) },
		func(value []byte) time.Duration {
			var rec job.Record
			if json.Unmarshal(value, &rec) == nil && rec.State.Final() {
				return p.JobRetention
			}
			return 0
		},
	}
}

func (p *People) badges() holding {
	return holding{"badges", p.Badges, always(badgeFields), ownedBy, func(value []byte) time.Duration {
		return left(value) // of a code; a badge has no end in the store
	}}
}

func (p *People) state() holding {
	return holding{"state", p.State, stateFields, func(w identity, key string, value []byte) bool {
		words := strings.Split(key, ".")
		switch words[0] {
		case "delegation":
			return len(words) == 3 && (w.is(words[1]) || w.is(words[2]))
		case "visit":
			return ownedBy(w, key, value)
		case "signout":
			return len(words) == 2 && w.is(words[1])
		case "session":
			return sessionFields.concerns(w, value)
		case "notices":
			return len(words) == 3 && (words[1] == "person" || words[1] == "choice") && w.is(words[2])
		}
		return false
	}, left}
}

// ownedBy reports whether the member owner is the person.
func ownedBy(w identity, _ string, value []byte) bool {
	var of struct {
		Owner string `json:"owner"`
	}
	return json.Unmarshal(value, &of) == nil && w.is(of.Owner)
}

// left is how long what has a member expires lives on.
func left(value []byte) time.Duration {
	var of struct {
		Expires time.Time `json:"expires"`
		ID      string    `json:"id"`
	}
	if json.Unmarshal(value, &of) != nil || of.Expires.IsZero() || of.ID != "" {
		return 0
	}
	return max(time.Second, time.Until(of.Expires)+time.Second)
}

// record is a stream that can tell of people. Tasks name jobs and printers alone.
type record struct {
	kind   store.Kind
	fields fields
	// own reports whether a record is a person's own: it is removed with them.
	own func(w identity, body []byte) bool
	// into is where an export has them.
	into func(*Person) *[]json.RawMessage
	// others are the members that a person may read in a record of somebody else.
	others []string
	// moved, when set, notes in a record that is stored again where it was.
	moved func(body []byte, was uint64) []byte
}

func ownOwner(w identity, body []byte) bool { return ownedBy(w, "", body) }

func ownNone(identity, []byte) bool { return false }

var records = []record{
	{
		kind: store.Decisions, fields: decisionFields, own: ownOwner,
		into:   func(p *Person) *[]json.RawMessage { return &p.Decisions },
		others: []string{"id", "at", "point", "verdict", "reason", "printer", "job", "queue", "device", "actor"},
	},
	{
		kind: store.Audit, fields: actionFields, own: ownNone,
		into:   func(p *Person) *[]json.RawMessage { return &p.Audit },
		others: []string{"id", "at", "action", "actor", "to", "device", "account", "note"},
	},
	{
		kind: store.Ledger, fields: entryFields, own: ownEntry,
		into:   func(p *Person) *[]json.RawMessage { return &p.Ledger },
		others: []string{"account", "seq", "at", "kind", "by"},
		moved:  movedEntry,
	},
	{
		kind: store.Dead, fields: deadFields, own: ownOwner,
		into: func(p *Person) *[]json.RawMessage { return &p.Dead },
	},
	{
		kind: store.Notices, fields: noticeFields, own: ownOwner,
		into: func(p *Person) *[]json.RawMessage { return &p.Notices },
	},
}

// ownEntry reports whether an entry of the history is of the person's account.
func ownEntry(w identity, body []byte) bool {
	var of struct {
		Account string `json:"account"`
	}
	return json.Unmarshal(body, &of) == nil && w.is(of.Account)
}

// movedEntry notes in an entry of the history where it first was: whoever exported it then
// knows it again.
func movedEntry(body []byte, was uint64) []byte {
	var e quota.Entry
	rest, ok := bytes.CutSuffix(body, []byte("}"))
	if !ok || json.Unmarshal(body, &e) != nil || e.Was > 0 {
		return body
	}
	return fmt.Appendf(bytes.Clone(rest), `,"was":%d}`, was)
}

// each calls fn with every key of a bucket until ctx ends. The value is valid until fn returns.
func each(ctx context.Context, kv KV, fn func(key string, value []byte, revision uint64)) error {
	err := kv.Each(ctx, ">", func(key string, value []byte, revision uint64) error {
		fn(key, value, revision)
		return context.Cause(ctx)
	})
	if err != nil {
		return fmt.Errorf("look for the person: %w", err)
	}
	return nil
}

// scan calls fn with every record of a stream until ctx ends. Its body is valid until fn returns.
func (p *People) scan(ctx context.Context, kind store.Kind, fn func(store.Record)) error {
	err := p.Records.Scan(ctx, kind, func(rec store.Record) error {
		fn(rec)
		return context.Cause(ctx)
	})
	if err != nil {
		return fmt.Errorf("look for the person in %s: %w", kind, err)
	}
	return nil
}

// isThing refuses the id of a printer, a task or an app: nothing of it is a person's.
func (p *People) isThing(ctx context.Context, id string) error {
	w := newIdentity(id)
	found := false
	look := func(f fields, raw []byte) {
		if !w.within(raw) {
			return
		}
		_, _, _ = f.rewrite(raw, func(m meaning, value string) string { // what can't be read says nothing
			found = found || m == thing && strings.EqualFold(value, id)
			return value
		})
	}
	for _, h := range []holding{p.jobs(), p.state()} {
		if err := each(ctx, h.kv, func(key string, value []byte, _ uint64) { look(h.fields(key), value) }); err != nil {
			return err
		}
	}
	for _, r := range records {
		if err := p.scan(ctx, r.kind, func(rec store.Record) { look(r.fields, rec.Body) }); err != nil {
			return err
		}
	}
	if found {
		return fmt.Errorf("%w: it is the id of a printer, a task, a definition or an app, and of no person", ErrUnknownPerson)
	}
	return nil
}
