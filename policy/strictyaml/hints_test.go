package strictyaml

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// word is a text that takes one word.
type word string

// wordError says what is wrong with a text that is none.
type wordError struct{ text string }

func (e wordError) Error() string { return "not a word: " + e.text }

func (wordError) Explain() (message, hint string) { return "expected a word", "write one word" }

func (w *word) UnmarshalText(text []byte) error {
	if strings.ContainsRune(string(text), ' ') {
		return wordError{string(text)}
	}
	*w = word(text)
	return nil
}

// wide has a value of each kind.
type wide struct {
	Text  string            `yaml:"text"`
	On    bool              `yaml:"on"`
	Count int64             `yaml:"count"`
	Life  time.Duration     `yaml:"life"`
	At    time.Time         `yaml:"at"`
	Word  word              `yaml:"word"`
	Words []word            `yaml:"words"`
	Texts map[string]string `yaml:"texts"`
}

// Each problem says what to do next.
func TestHints(t *testing.T) {
	for src, want := range map[string]string{
		"text: [a]":                  `expected a string, found a list; write a single value`,
		"text: {a: b}":               `expected a string, found a mapping; write a single value`,
		"text: &a x":                 `an anchor or alias, which this file may not have; write the value out`,
		"text: !!str x":              `a tag, which this file may not have; leave the tag out`,
		"on: True":                   `expected true or false; write one of the two, without quotes`,
		"on: 1":                      `expected true or false; write one of the two, without quotes`,
		"count: 1.5":                 `expected a whole number; write digits alone, as 3`,
		"count: 9223372036854775808": `expected a whole number; write digits alone, as 3`,
		"life: 1 day":                `expected a duration; write it as 90s, 30m, 24h or 7d`,
		"life: 36501d":               `expected a duration; write it as 90s, 30m, 24h or 7d`,
		"life: -1d":                  `expected a duration; write it as 90s, 30m, 24h or 7d`,
		"at: noon":                   `expected a time; write it as 2026-01-05T12:00:00Z or 2026-01-05T13:00:00+01:00`,
		"word: two words":            `expected a word; write one word`,
		"words: a":                   `expected a list, found a single value; write a list, as [A, B], or each entry behind a dash, as - name: NAME`,
		"- text: a":                  `found a list; write its keys below it, indented, each as key: value`,
		"texts: {a: [b]}":            `expected a text, found a list; write a single value`,
		"texts: {a: b, a: c}":        `the key "a" is here twice; the first is in line 1`,
		"text: a\ntext: b":           `the key "text" is here twice; the first is in line 1`,
		"txt: a":                     `unknown key "txt"; did you mean "text"?`,
		"xyzzy: a":                   `unknown key "xyzzy"; known here: text, on, count, life, at, word, words, texts`,
		"texts:\n\ta: b":             `; indent with spaces: YAML takes no tabs`,
		"text: \"a":                  `; close the quotes`,
		"text: a: b":                 `; ` + LookAround,
	} {
		var ps Problems
		if !errors.As(Decode("f", []byte(src), new(wide), nil).Err(), &ps) || !strings.HasSuffix(ps[0].String(), want) {
			t.Errorf("%q: %v, want %s", src, ps, want)
		}
		for _, p := range ps {
			if strings.ContainsAny(p.Message, "\t") {
				t.Errorf("%q: a tab in %q", src, p.Message)
			}
		}
	}
}

// What can be read is read as it is meant.
func TestValues(t *testing.T) {
	var v wide
	src := "text: |\n  a\n  b\non: true\ncount: -1_000\nlife: 2d30m\nat: 2026-01-05T12:00:00Z\nword: x\nwords: [y, z]\ntexts: alone\n"
	if err := Decode("f", []byte(src), &v, nil).Err(); err != nil {
		t.Fatal(err)
	}
	if v.Text != "a\nb\n" || !v.On || v.Count != -1000 || v.Life != 48*time.Hour+30*time.Minute || v.Word != "x" ||
		len(v.Words) != 2 || v.Words[1] != "z" || v.Texts[""] != "alone" || !v.At.Equal(time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("read %+v", v)
	}
	// null is as if the key were not there, and so is a key without a value.
	w := wide{Text: "kept", Count: 7}
	if err := Decode("f", []byte("text: null\ncount:\n"), &w, nil).Err(); err != nil || w.Text != "kept" || w.Count != 7 {
		t.Errorf("read %+v, %v", w, err)
	}
}

// The environment is put into each value, and into no key; one that it lacks is a problem at
// its place that does not end the reading.
func TestExpand(t *testing.T) {
	var v wide
	lacking := errors.New("not set")
	d := Decode("f", []byte("text: $A\ncount: $N\nwords: [$A, $X]\ntexts: {$A: $A}\n"), &v, func(s string) (string, error) {
		switch s {
		case "$A":
			return "a", nil
		case "$N":
			return "12", nil
		case "$X":
			return "", lacking
		}
		return s, nil
	})
	var ps Problems
	if !errors.As(d.Err(), &ps) || len(ps) != 1 || !errors.Is(ps[0].Cause, lacking) || ps[0].Line != 3 || ps[0].Column != 13 {
		t.Errorf("%+v", ps)
	}
	if v.Text != "a" || v.Count != 12 || v.Words[0] != "a" || v.Texts["$A"] != "a" {
		t.Errorf("read %+v", v)
	}
}
