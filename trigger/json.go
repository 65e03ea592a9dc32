package trigger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// ErrTooMany says that a POST holds more items than allowed.
var ErrTooMany = errors.New("too many items")

// Items returns the items, at most limit, of {"value":[…]}, the body that Graph posts. The
// items share the memory of body. Other members are ignored. The error is ErrMalformed or
// ErrTooMany.
func Items(body []byte, limit int) ([]json.RawMessage, error) {
	o, err := split(body)
	if err != nil {
		return nil, err
	}
	list := o["value"]
	if len(list) == 0 || list[0] != '[' {
		return nil, fmt.Errorf("%w: no array of values", ErrMalformed)
	}
	var items []json.RawMessage
	for i := skipSpace(list, 1); list[i] != ']'; {
		if len(items) == limit {
			return nil, ErrTooMany
		}
		end := skipValue(list, i)
		items = append(items, list[i:end])
		if i = skipSpace(list, end); list[i] == ',' {
			i = skipSpace(list, i+1)
		}
	}
	return items, nil
}

// object holds the members of a JSON object by their exact names, not decoded.
type object map[string]json.RawMessage

// members is split for one item.
func members(raw []byte) (object, error) {
	if len(raw) > maxItem {
		return nil, fmt.Errorf("%w: over %d bytes", ErrMalformed, maxItem)
	}
	return split(raw)
}

// split returns the members of one JSON object. encoding/json would accept a member twice,
// take the last, and match names in any case: two readers of one message could then see two
// different notifications.
func split(raw []byte) (object, error) {
	// The scanner below relies on valid JSON: it checks no bounds.
	if !json.Valid(raw) {
		return nil, fmt.Errorf("%w: bad JSON", ErrMalformed)
	}
	raw = bytes.Trim(raw, " \t\r\n")
	if raw[0] != '{' {
		return nil, fmt.Errorf("%w: no JSON object", ErrMalformed)
	}
	o := make(object, 10)
	for i := skipSpace(raw, 1); raw[i] != '}'; {
		end := skipString(raw, i)
		name, err := unquote(raw[i:end])
		if err != nil {
			return nil, fmt.Errorf("%w: bad JSON", ErrMalformed)
		}
		if _, twice := o[name]; twice {
			return nil, fmt.Errorf("%w: a member twice", ErrMalformed)
		}
		i = skipSpace(raw, skipSpace(raw, end)+1) // over the colon
		end = skipValue(raw, i)
		o[name] = raw[i:end]
		if i = skipSpace(raw, end); raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
	}
	return o, nil
}

// field is a string member to read, and the most bytes that it may have.
type field struct {
	name string
	into *string
	max  int
}

// texts reads string members; one that is absent or null is empty.
func (o object) texts(fields ...field) error {
	for _, f := range fields {
		raw := o[f.name]
		if absent(raw) {
			continue
		}
		s, err := unquote(raw)
		if err != nil || len(s) > f.max {
			return fmt.Errorf("%w: %s is no text of at most %d bytes", ErrMalformed, f.name, f.max)
		}
		*f.into = s
	}
	return nil
}

func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// unquote decodes a JSON string.
func unquote(raw []byte) (s string, err error) {
	if n := len(raw); n >= 2 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw[1 : n-1]), nil
	}
	err = json.Unmarshal(raw, &s)
	return s, err
}

// The skip functions walk through valid JSON: given the index where something begins, they
// return the index after it.

func skipSpace(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n' {
		i++
	}
	return i
}

func skipString(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func skipValue(b []byte, i int) int {
	depth := 0
	for ; ; i++ {
		switch b[i] {
		case '"':
			i = skipString(b, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // the object or array around a number or word ends
			}
			depth--
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return i + 1
		}
	}
}
