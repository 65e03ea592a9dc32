package index

import (
	"bytes"
	"encoding/json"
	"time"
	"unicode/utf8"

	"pullprint/connector/job"
	"pullprint/trigger/graph"
)

// kept is what the index keeps of a stored record.
type kept struct {
	graph.Ref
	Task      string       `json:"task"`
	Queue     string       `json:"queue"`
	State     job.State    `json:"state"`
	Seen      time.Time    `json:"seen"`
	HoldUntil time.Time    `json:"hold_until"`
	Warned    time.Time    `json:"warned"`
	Created   time.Time    `json:"created"`
	Owner     string       `json:"owner"`
	Intent    *job.Intent  `json:"intent"`
	Release   *job.Release `json:"release"`
	Paper     *job.Paper   `json:"paper"`
	Decision  struct {
		Reason string `json:"reason"`
		Policy string `json:"policy"`
		Input  struct {
			Mode string `json:"mode"`
		} `json:"input"`
	} `json:"decision"`
}

// read decodes a record. What scan is not sure of is decoded again, so that an error is that of
// encoding/json.
func (k *kept) read(value []byte) error {
	if k.scan(value) {
		return nil
	}
	*k = kept{}
	return json.Unmarshal(value, k)
}

// scan is json.Unmarshal for records as they are stored: it looks only for the ends of the values that are
// not kept. A start decodes every record, and most of a record is not kept. It reports false, and may have
// read a part, when a record is not as json.Marshal writes it or has an escape in what is kept. Damage in a
// value that is not kept is found by who decodes the whole record.
func (k *kept) scan(value []byte) bool {
	return members(value, func(name, value []byte) bool {
		switch string(name) {
		case "printer":
			return plain(value, &k.Printer)
		case "job":
			return plain(value, &k.Job)
		case "task":
			return plain(value, &k.Task)
		case "queue":
			return plain(value, &k.Queue)
		case "state":
			return plain(value, &k.State)
		case "owner":
			return plain(value, &k.Owner)
		case "decision":
			return k.scanDecision(value)
		case "intent":
			return json.Unmarshal(value, &k.Intent) == nil
		case "release":
			return json.Unmarshal(value, &k.Release) == nil
		case "paper":
			return json.Unmarshal(value, &k.Paper) == nil
		}
		at := k.time(name)
		return at == nil || at.UnmarshalJSON(value) == nil
	})
}

// time is where the time of a name goes; nil when it is none that is kept.
func (k *kept) time(name []byte) *time.Time {
	switch string(name) {
	case "seen":
		return &k.Seen
	case "hold_until":
		return &k.HoldUntil
	case "warned":
		return &k.Warned
	case "created":
		return &k.Created
	}
	return nil
}

func (k *kept) scanDecision(value []byte) bool {
	return members(value, func(name, value []byte) bool {
		switch string(name) {
		case "reason":
			return plain(value, &k.Decision.Reason)
		case "policy":
			return plain(value, &k.Decision.Policy)
		case "input":
			return members(value, func(name, value []byte) bool {
				return string(name) != "mode" || plain(value, &k.Decision.Input.Mode)
			})
		}
		return true
	})
}

// members calls fn with the name and the text of each member of a JSON object without white space. It
// reports false when fn does, or when text is no such object.
func members(text []byte, fn func(name, value []byte) bool) bool {
	if len(text) < 2 || text[0] != '{' || text[len(text)-1] != '}' {
		return false
	}
	for rest := text[1:]; ; rest = rest[1:] {
		n := valueLen(rest)
		if n < 2 || n >= len(rest) || rest[n] != ':' || !exact(rest[:n]) {
			return false
		}
		name := rest[1 : n-1]
		rest = rest[n+1:]
		n = valueLen(rest)
		if n == 0 || n == len(rest) || !fn(name, rest[:n]) {
			return false
		}
		rest = rest[n:]
		if rest[0] != ',' {
			return len(rest) == 1 && rest[0] == '}'
		}
	}
}

// exact reports whether a name in quotes can only be meant as it is written: encoding/json takes names
// without regard to case.
func exact(name []byte) bool {
	return name[0] == '"' && !bytes.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r >= utf8.RuneSelf || r == '\\' || 'A' <= r && r <= 'Z'
	})
}

// valueLen is the length of the JSON value at the beginning of text; 0 when its end is not there.
func valueLen(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			n := stringLen(text[i:])
			if n == 0 {
				return 0
			}
			i += n - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // of a number, true, false or null
			}
			depth--
		case ',':
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
	return 0
}

// stringLen is the length of the JSON string at the beginning of text, with its quotes; 0 when it does
// not end.
func stringLen(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// plain stores a JSON string without escapes; it reports false when value is none.
func plain[S ~string](value []byte, into *S) bool {
	if len(value) < 2 || value[0] != '"' || !utf8.Valid(value) ||
		bytes.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == '\\' }) {
		return false
	}
	*into = S(value[1 : len(value)-1])
	return true
}
