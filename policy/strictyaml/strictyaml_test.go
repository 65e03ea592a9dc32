package strictyaml

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pullprint/trigger/fuzztest"
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
	d := Decode("f.yaml", []byte("# a comment\nid: 0123\non: true\ncount: 7\nin: {name: x, hold_for: 1d12h}\nmore:\n  name: y\nlist:\n  - "+
		"{name: a}\n  - name: b\n"), &v, nil)
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	if v.ID != "0123" || !v.On || v.Count != 7 || v.In.For != 36*time.Hour || v.More == nil || v.More.Name != "y" || len(v.List) != 2 ||
		v.List[1].Name != "b" {
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
		"f.yaml:1:5: expected a string, found a list; write a single value",
		"f.yaml:2:5: expected true or false; write one of the two, without quotes",
		"f.yaml:3:8: expected a whole number; write digits alone, as 3",
		`f.yaml:4:1: unknown key "inn"; did you mean "in"?`,
		`f.yaml:5:6: unknown key "nmae"; did you mean "name"?`,
		"f.yaml:5:25: expected a duration; write it as 90s, 30m, 24h or 7d",
		"f.yaml:7:5: a job in no hurry; give it one",
		`f.yaml:7:15: the key "name" is here twice; the first is in line 7`,
		"f.yaml:8:5: expected a mapping with the keys name, hold_for, when, found a single value" +
			"; write its keys below it, indented, each as key: value",
		"f.yaml:8:5: out of order on purpose",
		"f.yaml:9:7: expected a mapping with the keys name, hold_for, when, found a single value" +
			"; write its keys below it, indented, each as key: value",
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

// What Windows editors write is read like any other file, and places are those
// that the editor shows.
func TestText(t *testing.T) {
	var v outer
	if err := Decode("f", []byte("\ufeffid: x\r\nin:\r\n  when: |\r\n    a\r\n    b\r\n"), &v, nil).Err(); err != nil || v.ID != "x" ||
		v.In.When != "a\nb\n" {
		t.Errorf("%+v, %v", v, err)
	}
	err := Decode("f", []byte("\ufeffidd: x\r\n"), &v, nil).Err()
	if want := "f:1:1: unknown key \"idd\"\n    1 | idd: x\n      | ^\n        did you mean \"id\"?\n"; err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	if got := string(plainText([]byte("a\ufeff\rb"))); got != "a\ufeff\rb" {
		t.Errorf("%q", got) // it is a mark only where a file begins
	}
}

// Of a second document the problem is where it begins.
func TestSecondDocument(t *testing.T) {
	for src, want := range map[string]string{
		"id: a\n---\n# more\n\n  id: b\n":    "f:5:3: ",
		"id: a\n---\nin:\n  name: b\n":       "f:3:1: ",
		"id: a\n---\n{id: b}\n":              "f:3:1: ",
		"id: a\n--- text\n":                  "f:2:5: ",
		"id: a\n---\n- b\n":                  "f:3:",
		"\ufeffid: a\r\n---\r\nid: b\r\n":    "f:3:1: ",
		"id: a\n---\nid: b\n---\nid: c\n":    "f:3:1: ",
		"id: a\n...\n---\n\"id\": b\n":       "f:4:1: ",
		"in: {name: x}\n---\n? id\n: b\n":    "f:3:",
		"id: a\n---\nid: {nested: [1, 2]}\n": "f:3:1: ",
	} {
		var v outer
		err := Decode("f", []byte(src), &v, nil).Err()
		if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "a second YAML document") {
			t.Errorf("%q: %v, want %s", src, err, want)
		}
	}
}

// What is no text or can't be parsed has a place, too.
func TestUnreadable(t *testing.T) {
	for src, want := range map[string]string{
		"id: é\nin: {name: é\xff\xfe}\n": "f:2:13: the file is not UTF-8 text\n    2 | in: {name: é\ufffd}\n",
		"\xff\xfei\x00d\x00":             "f:1:1: the file is not UTF-8 text\n",
		"id: \ufffd\non: \xff":           "f:2:5: ",
	} {
		var v outer
		if err := Decode("f", []byte(src), &v, nil).Err(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %q, want %q", src, err, want)
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
	names := []string{"definition", "public_url", "listen", "de", "now"}
	for word, want := range map[string]string{
		"definitoin": "definition", "publicurl": "public_url", "LISTEN": "listen", "zzz": "", "deu": "de", "sv": "", "dk": "", "DE": "de", "nw": "now",
	} {
		if got := Nearest(word, names); got != want {
			t.Errorf("Nearest(%s) = %q, want %q", word, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"id: 1", "in: {name: x}", "list:\n  - a\n", "a: &x 1\nb: *x", "? - : {", "\t", "%YAML 1.2", "id: |\n  x", "<<: {a: b}", "!!str x",
		"---\n---\nid: 1", "\ufeffid: 1\r\n", "id: \xff", "a: 1\n---\nb: 2",
	} {
		f.Add([]byte(s))
	}
	watch := fuzztest.New(f, fuzztest.Small)
	f.Fuzz(func(t *testing.T, src []byte) {
		defer watch.Input(t)()
		var v outer
		d := Decode("f", src, &v, nil)
		d.Add("in.when", "", "x")
		var ps Problems
		if !errors.As(d.Err(), &ps) || len(ps) == 0 {
			t.Fatal("the problem is lost")
		}
		for _, p := range ps {
			// Only what is not in the file has no place in it.
			if p.Line < 1 && p.Message != "x" {
				t.Errorf("no place: %+v", p)
			}
		}
	})
}
