package privacy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// meaning is what a field of a stored record says about people.
type meaning int

const (
	// person is an object id, or a user name where an earlier version took one.
	person meaning = iota + 1
	// words are text that people or policies wrote.
	words
	// thing is the id of something that is no person.
	thing
)

// fields are the meanings of the fields of a type, by their path; * is any member
// or element. What is not here tells of nobody, and is never changed.
type fields map[string]meaning

// decisionFields are those of decision.Decision.
var decisionFields = fields{
	"owner": person, "actor": person, "accounts.*": person, "input.balances.*.key": person,
	"input.groups.*": words, "text": words, "remedy": words, "error": words,
	"shadow.text": words, "shadow.remedy": words, "shadow.error": words,
	"printer": thing, "task": thing,
}

// jobFields are those of job.Record.
var jobFields = func() fields {
	f := fields{
		"owner": person, "charge.claims.*.account": person, "charge.before.claims.*.account": person, "trail.*.note": words,
		"tries.*.actor": person, "tries.*.charge.claims.*.account": person, "tries.*.printer": thing,
		"sent.balances.*.key": person, "sent.groups.*": words,
		"printer": thing, "task": thing, "definition": thing, "release.printer": thing,
	}
	for path, m := range decisionFields {
		f["decision."+path] = m
	}
	return f
}()

// The fields of the other types.
var (
	// badgeFields are those of badges and of codes.
	badgeFields = fields{
		"owner": person, "user_principal_name": person, "by": person, "revoked_by": person,
	}
	delegationFields = fields{"owner": person, "to": person, "by": person}
	visitFields      = fields{"owner": person}
	sessionFields    = fields{"name": person}
	triggerFields    = fields{"id": thing, "app": thing}
	entryFields      = fields{"owner": person, "account": person, "by": person, "why": words}
	accountFields    = fields{
		"reservations.*.owner": person, "refunded.*.owner": person,
		"outbox.*.owner": person, "outbox.*.account": person, "outbox.*.by": person, "outbox.*.why": words,
	}
	actionFields = fields{
		"owner": person, "to": person, "account": person, "actor": person, "note": words, "printer": thing,
	}
	deadFields   = fields{"owner": person, "error": words, "definition": thing, "task": thing, "printer": thing}
	noticeFields = fields{"owner": person, "text": words, "remedy": words, "printer": thing}
	boxFields    = fields{
		"owner": person, "waiting.*.notice.owner": person, "waiting.*.notice.text": words, "waiting.*.notice.remedy": words,
		"waiting.*.notice.printer": thing,
	}
)

// stateFields are those of what is stored under a key of the state bucket.
func stateFields(key string) fields {
	first, _, _ := strings.Cut(key, ".")
	switch first {
	case "delegation":
		return delegationFields
	case "visit":
		return visitFields
	case "session":
		return sessionFields
	case "trigger":
		return triggerFields
	case "notices":
		return boxFields
	}
	return nil
}

// of is the meaning of the field at a path.
func (f fields) of(path []string) meaning {
	if m, ok := f[strings.Join(path, ".")]; ok {
		return m
	}
	for pattern, m := range f {
		if strings.Contains(pattern, "*") && fits(strings.Split(pattern, "."), path) {
			return m
		}
	}
	return 0
}

func fits(pattern, path []string) bool {
	if len(pattern) != len(path) {
		return false
	}
	for i, p := range pattern {
		if p != "*" && !strings.EqualFold(p, path[i]) {
			return false
		}
	}
	return true
}

// rewrite is raw with what change makes of each string in it that has a meaning.
// Everything else stays as it is, byte for byte.
func (f fields) rewrite(raw []byte, change func(m meaning, value string) string) (out []byte, changed bool, err error) {
	from := 0
	err = eachString(raw, func(path []string, value string, start, end int) error {
		m := f.of(path)
		if m == 0 {
			return nil
		}
		if next := change(m, value); next != value {
			text, err := json.Marshal(next)
			if err != nil {
				return err
			}
			out = append(append(out, raw[from:start]...), text...)
			from, changed = end, true
		}
		return nil
	})
	if err != nil || !changed {
		return raw, false, err
	}
	return append(out, raw[from:]...), true, nil
}

// errNotJSON says that a record can't be read.
var errNotJSON = errors.New("the record is no JSON")

// eachString calls fn with every string value of a JSON text: where it is, and which
// bytes it takes with its quotes. Elements of lists are named *.
func eachString(raw []byte, fn func(path []string, value string, start, end int) error) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var path []string   // of what comes next
	var inObject []bool // of the containers that are open
	name := false       // the next string is the name of a member
	for {
		before := d.InputOffset()
		token, err := d.Token()
		if errors.Is(err, io.EOF) && len(inObject) == 0 && before > 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errNotJSON, err)
		}
		switch t := token.(type) {
		case json.Delim:
			switch t {
			case '{', '[':
				inObject, path, name = append(inObject, t == '{'), append(path, "*"), t == '{'
				continue
			}
			inObject, path = inObject[:len(inObject)-1], path[:len(path)-1]
		case string:
			if name {
				path[len(path)-1], name = t, false
				continue
			}
			start := before + int64(bytes.IndexByte(raw[before:], '"'))
			if err := fn(path, t, int(start), int(d.InputOffset())); err != nil {
				return err
			}
		}
		name = len(inObject) > 0 && inObject[len(inObject)-1]
	}
}

// concerns reports whether a record of a type tells of a person. One that can't be
// read is a text.
func (f fields) concerns(w identity, raw []byte) bool {
	if !w.within(raw) {
		return false
	}
	found := false
	_, _, err := f.rewrite(raw, func(m meaning, value string) string {
		found = found || m == person && w.is(value) || m == words && w.hide(value) != value
		return value
	})
	if err != nil {
		return w.hide(string(raw)) != string(raw)
	}
	return found
}

// without is a record without a person; changed is false when it tells nothing of
// them.
func (f fields) without(w identity, raw []byte) (out []byte, changed bool) {
	out, changed, err := f.rewrite(raw, func(m meaning, value string) string {
		switch {
		case m == person && w.is(value):
			return quota.Erased
		case m == words:
			return w.hide(value)
		}
		return value
	})
	if err != nil {
		text := w.hide(string(raw))
		return []byte(text), text != string(raw)
	}
	return out, changed
}

// redacted stands in an export for a person who is somebody else.
const redacted = "another"

// addAbout appends a record as the person may read it: the ids of others are left out. One that can't
// be read is not appended.
func (f fields) addAbout(list []json.RawMessage, w identity, raw []byte) []json.RawMessage {
	out, _, err := f.rewrite(raw, func(m meaning, value string) string {
		if _, guid := graph.CanonicalGUID(value); m == person && guid && !w.is(value) {
			return redacted
		}
		return value
	})
	if err != nil {
		return list
	}
	return append(list, bytes.Clone(out))
}

// part is the object with the members that are named alone, and those of its member
// decision.
func part(raw []byte, names ...string) json.RawMessage {
	var all map[string]json.RawMessage
	if json.Unmarshal(raw, &all) != nil {
		return nil
	}
	out := map[string]json.RawMessage{}
	for _, name := range names {
		if v, ok := all[name]; ok {
			out[name] = v
		}
	}
	return encoded(out)
}

// encoded is v as JSON; nil when that can't be made.
func encoded(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return text
}
