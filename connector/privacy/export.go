package privacy

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"time"

	"pullprint/connector/store"
	"pullprint/policy/pin"
)

// Export collects everything that is known about a person, by Entra object id or user
// name.
func (p *People) Export(ctx context.Context, user string) (Person, error) {
	w, err := p.find(ctx, user)
	if err != nil {
		return Person{}, err
	}
	return p.export(ctx, w, math.MaxInt)
}

// ExportUpTo is Export that ends with ErrTooLarge as soon as the records have more than most bytes.
func (p *People) ExportUpTo(ctx context.Context, user string, most int) (Person, error) {
	w, err := p.find(ctx, user)
	if err != nil {
		return Person{}, err
	}
	return p.export(ctx, w, most)
}

// Known is Resolve that refuses an object id which Entra does not know and of which nothing
// is stored. It is asked before an audit record names the id, which would be found then.
func (p *People) Known(ctx context.Context, user string) (id string, err error) {
	if id, err = p.Resolve(ctx, user); err != nil {
		return "", err
	}
	if mistyped := p.nobody(ctx, id); mistyped != nil {
		if out, err := p.Export(ctx, id); err != nil {
			return "", err
		} else if out.None() {
			return "", mistyped
		}
	}
	return id, nil
}

func (p *People) export(ctx context.Context, w identity, most int) (Person, error) {
	ctx, stop := context.WithCancelCause(ctx) // each and scan end with its cause
	defer stop(nil)
	add := func(to *[]json.RawMessage, f fields, raw []byte) {
		n := len(*to)
		*to = f.addAbout(*to, w, raw)
		for _, added := range (*to)[n:] {
			most -= len(added)
		}
		if most < 0 {
			stop(ErrTooLarge)
		}
	}
	out := Person{User: w.id, Names: w.names, At: time.Now().UTC()}
	shared := holding{
		name: "accounts", kv: p.Quota, fields: always(accountFields),
		own: func(w identity, key string, _ []byte) bool { return w.is(key) },
	}
	nothing := func(identity, string, []byte) json.RawMessage { return nil }
	for _, from := range []struct {
		holding
		to   *[]json.RawMessage
		part func(w identity, key string, value []byte) json.RawMessage // of what is not their own
	}{
		{p.jobs(), &out.Jobs, partOfJob},
		{p.badges(), &out.Badges, nothing},
		{shared, &out.Accounts, partOfAccount},
		{p.state(), &out.Delegations, nothing},
	} {
		*from.to = []json.RawMessage{}
		err := each(ctx, from.kv, func(key string, value []byte, _ uint64) {
			f := from.fields(key)
			if from.name == "badges" {
				value = pin.WithoutHash(key, value)
			}
			switch own := from.own(w, key, value); {
			case own && strings.HasPrefix(key, "notices."):
				add(&out.Notices, f, value)
			case own:
				add(from.to, f, value)
			case f.concerns(w, value):
				add(from.to, f, from.part(w, key, value))
			}
		})
		if err != nil {
			return out, err
		}
	}
	err := p.exportRecords(ctx, w, &out, add)
	return out, err
}

// exportRecords adds what concerns a person in the records of each kind.
func (p *People) exportRecords(
	ctx context.Context, w identity, out *Person, add func(to *[]json.RawMessage, f fields, raw []byte),
) error {
	for _, r := range records {
		to := r.into(out)
		if *to == nil {
			*to = []json.RawMessage{}
		}
		err := p.scan(ctx, r.kind, func(rec store.Record) {
			if r.fields.concerns(w, rec.Body) {
				add(to, r.fields, r.part(w, rec.Body))
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// part is what a person may read of a record.
func (r *record) part(w identity, body []byte) []byte {
	if len(r.others) == 0 || ownedBy(w, "", body) || r.own(w, body) {
		return body
	}
	return part(body, r.others...)
}

// partOfJob is what a person may read of somebody else's job, which they released.
func partOfJob(_ identity, _ string, value []byte) json.RawMessage {
	var all map[string]json.RawMessage
	if json.Unmarshal(part(value, "printer", "job", "queue", "state", "seen", "decision"), &all) != nil {
		return nil
	}
	all["decision"] = part(all["decision"], "id", "at", "point", "verdict", "reason", "device", "actor")
	return encoded(all)
}

// partOfAccount is what a person may read of an account that several share: their own
// jobs on it.
func partOfAccount(w identity, key string, value []byte) json.RawMessage {
	var all struct {
		Reservations map[string]json.RawMessage `json:"reservations"`
		Refunded     []json.RawMessage          `json:"refunded"`
		Outbox       []json.RawMessage          `json:"outbox"`
	}
	if json.Unmarshal(value, &all) != nil {
		return nil
	}
	theirs := func(list []json.RawMessage) []json.RawMessage {
		out := []json.RawMessage{}
		for _, one := range list {
			if ownedBy(w, "", one) {
				out = append(out, one)
			}
		}
		return out
	}
	open := map[string]json.RawMessage{}
	for job, one := range all.Reservations {
		if ownedBy(w, "", one) {
			open[job] = one
		}
	}
	return encoded(map[string]any{
		"account": key, "reservations": open, "refunded": theirs(all.Refunded), "outbox": theirs(all.Outbox),
	})
}
