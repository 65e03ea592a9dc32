package strictyaml

import (
	"errors"
	"strings"
	"testing"
	"time"
)

type inner struct {
	Name string        `yaml:"name"`
	For  time.Duration `yaml:"hold_for"`
	When string        `yaml:"when"`
}

type outer struct {
	ID    string  `yaml:"id"`
	On    bool    `yaml:"on"`
	Count int     `yaml:"count"`
	In    inner   `yaml:"in"`
	More  *inner  `yaml:"more"`
	List  []inner `yaml:"list"`
}

func TestDecode(t *testing.T) {
	var v outer
	d := Decode("f.yaml", []byte("# a comment\nid: 0123\non: true\ncount: 7\nin: {name: x, hold_for: 1d12h}\nmore:\n  name: y\nlist:\n  - {name: a}\n  - name: b\n"), &v, nil)
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	if v.ID != "0123" || !v.On || v.Count != 7 || v.In.For != 36*time.Hour || v.More == nil || v.More.Name != "y" || len(v.List) != 2 || v.List[1].Name != "b" {
		t.Errorf("read %+v", v)
	}
}

func TestEmptyFile(t *testing.T) {
	for _, src := range []string{"", "# only a comment\n", "---\n"} {
		var v outer
		if err := Decode("f.yaml", []byte(src), &v, nil).Err(); err != nil {
			t.Errorf("%q: %v", src, err)
		}
	}
}

// Every problem of a file is told at once, in the order of the file.
func TestProblems(t *testing.T) {
	var v outer
	d := Decode("f.yaml", []byte(`id: [1]
on: maybe
count: many
inn: {}
in: {nmae: x, hold_for: soon}
list:
  - {name: a, name: b}
  - just text
more: 3
`), &v, nil)
	d.Add("list[1]", "", "out of order on purpose")
	d.Add("list[0].hold_for", "give it one", "a job in no hurry")
	want := []string{
		"f.yaml:1:5: expected a string, found a list",
		"f.yaml:2:5: expected true or false",
		"f.yaml:3:8: expected a whole number",
		`f.yaml:4:1: unknown key "inn"; did you mean "in"?`,
		`f.yaml:5:6: unknown key "nmae"; did you mean "name"?`,
		"f.yaml:5:25: expected a duration; write it as 90s, 30m, 24h or 7d",
		"f.yaml:7:5: a job in no hurry; give it one",
		`f.yaml:7:15: the key "name" is here twice; the first is in line 7`,
		"f.yaml:8:5: expected a mapping with the keys name, hold_for, when, found a single value",
		"f.yaml:8:5: out of order on purpose",
		"f.yaml:9:7: expected a mapping with the keys name, hold_for, when, found a single value",
	}
	var ps Problems
	if !errors.As(d.Err(), &ps) {
		t.Fatal("no problems")
	}
	for i, p := range ps {
		if i >= len(want) || p.String() != want[i] {
			t.Errorf("problem %d = %s", i, p)
		}
	}
	if len(ps) != len(want) {
		t.Errorf("%d problems, want %d", len(ps), len(want))
	}
}

// A place within a scalar is the place in the file, however it is quoted.
func TestAddInside(t *testing.T) {
	for src, want := range map[string]string{
		"when: abc\n":                     "1:9",  // c
		"when: 'abc'\n":                   "1:10", // c
		`when: "abc"` + "\n":              "1:10",
		"when: 'a''c'\n":                  "1:11", // c, after an escaped quote
		"list:\n  - when: |\n      abc\n": "3:9",
	} {
		var v struct {
			When string  `yaml:"when"`
			List []inner `yaml:"list"`
		}
		d := Decode("f", []byte(src), &v, nil)
		path := "when"
		if strings.Contains(src, "list") {
			path = "list[0].when"
		}
		d.AddInside(path, 1, 2, "", "here")
		if err := d.Err().Error(); !strings.HasPrefix(err, "f:"+want+": here") {
			t.Errorf("%q: %s, want %s", src, err, want)
		}
	}
}

func TestCaret(t *testing.T) {
	var v outer
	err := Decode("f.yaml", []byte("\nidd: x\n"), &v, nil).Err()
	want := "f.yaml:2:1: unknown key \"idd\"\n    2 | idd: x\n      | ^\n        did you mean \"id\"?\n"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"definition", "public_url", "listen"}
	for word, want := range map[string]string{"definitoin": "definition", "publicurl": "public_url", "LISTEN": "listen", "zzz": ""} {
		if got := Nearest(word, names); got != want {
			t.Errorf("Nearest(%s) = %q, want %q", word, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"id: 1", "in: {name: x}", "list:\n  - a\n", "a: &x 1\nb: *x", "? - : {", "\t", "%YAML 1.2", "id: |\n  x", "<<: {a: b}", "!!str x", "---\n---\nid: 1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var v outer
		d := Decode("f", src, &v, nil)
		d.AddInside("in.when", 3, 99, "", "x")
		if d.Err() == nil || d.Err().Error() == "" {
			t.Error("the problem is lost")
		}
	})
}
