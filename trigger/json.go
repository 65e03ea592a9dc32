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

// Items takes the items, at most limit, out of {"value":[…]}, the body of what
// Graph posts; the items are parts of body. Other members are skipped. It fails
// with ErrMalformed or ErrTooMany.
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

// object is a JSON object by exact member name, values undecoded.
type object map[string]json.RawMessage

// members is split for one item.
func members(raw []byte) (object, error) {
	if len(raw) > maxItem {
		return nil, fmt.Errorf("%w: over %d bytes", ErrMalformed, maxItem)
	}
	return split(raw)
}

// split takes one JSON object apart. encoding/json would take the last of two
// equal members and match names in any case: two readers of one message could
// then see two different notifications.
func split(raw []byte) (object, error) {
	// What is valid, and only that, the little scanner below can walk through.
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

// text reads a string member of at most limit bytes; an absent or null one is empty.
func (o object) text(name string, into *string, limit int) error {
	raw := o[name]
	if absent(raw) {
		return nil
	}
	s, err := unquote(raw)
	if err != nil || len(s) > limit {
		return fmt.Errorf("%w: %s is no text of at most %d bytes", ErrMalformed, name, limit)
	}
	*into = s
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

// The skips walk through valid JSON: from the index of a thing to that after it.

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
				return i // the end of what a number or word stands in
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
