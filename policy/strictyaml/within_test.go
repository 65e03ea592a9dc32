package strictyaml

import (
	"errors"
	"strings"
	"testing"
)

// The place of a problem within a scalar is its character in the file, however the scalar is
// written, and no further than its end.
func TestAddWithin(t *testing.T) {
	expand := func(s string) (string, error) { return strings.ReplaceAll(s, "$LONG", strings.Repeat("x", 40)), nil }
	for name, c := range map[string]struct {
		src          string
		line, column int // within the value
		want         string
	}{
		"plain":                  {"id: ab cd\n", 1, 3, "f:1:8"},
		"its end":                {"id: ab cd\n", 1, 5, "f:1:10"},
		"beyond its end":         {"id: ab cd\n", 1, 50, "f:1:10"},
		"a line that is not":     {"id: ab cd\n", 9, 0, "f:1:10"},
		"quoted, with an escape": {"id: \"a\\u00e9\\tb cd\"\n", 1, 5, "f:1:17"},
		"single quotes":          {"id: 'it''s cd'\n", 1, 5, "f:1:12"},
		"a block":                {"in:\n  when: |\n    ab\n    cé d\n", 2, 3, "f:4:8"},
		"folded":                 {"in:\n  when: >\n    ab\n    cd\n", 1, 3, "f:4:5"},
		"expanded":               {"id: a $LONG b\n", 1, 30, "f:1:14"},
		"no such value":          {"in: {name: a}\n", 1, 0, "f:1:1"},
	} {
		var v outer
		d := Decode("f", []byte(c.src), &v, expand)
		path := "id"
		if strings.HasPrefix(c.src, "in:") {
			path = "in.when"
		}
		d.AddWithin(path, c.line, c.column, "wrong", "mend it")
		var ps Problems
		if !errors.As(d.Err(), &ps) || len(ps) != 1 {
			t.Errorf("%s: %v", name, d.Err())
			continue
		}
		if p := ps[0]; p.Place() != c.want || p.Key != path || p.Message != "wrong" || p.Hint != "mend it" ||
			p.Source != strings.Split(c.src, "\n")[p.Line-1] {
			t.Errorf("%s: %+v, want %s", name, p, c.want)
		}
	}
}
