package policyfile

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pullprint/policy/strictyaml"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Each file in testdata/bad is wrong in one way (many.yaml in many), and the
// text beside it is what whoever wrote it gets to see.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	golden, err := filepath.Glob("testdata/bad/*.txt")
	if err != nil || (!*update && len(golden) != len(files)) {
		t.Errorf("%d files and %d texts, %v", len(files), len(golden), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) { badFile(t, file) })
	}
}

// saysHow finds what to do within a message.
var saysHow = regexp.MustCompile(`; write |, as "?[^ ]|: (every variable has a type|text and remedy are templates)$`)

func badFile(t *testing.T, file string) {
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Load(filepath.Base(file), src)
	var ps strictyaml.Problems
	if !errors.As(err, &ps) || len(ps) == 0 {
		t.Fatalf("accepted, or no list of problems: %v", err)
	}
	for _, p := range ps {
		if p.Message == "" || p.File == "" || p.Line < 1 || p.Column < 1 {
			t.Errorf("%+v says nothing", p)
		}
		if p.Hint == "" && !saysHow.MatchString(p.Message) {
			t.Errorf("what to do is not said: %s", p)
		}
	}
	got, name := err.Error(), strings.TrimSuffix(file, ".yaml")+".txt"
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTooLarge(t *testing.T) {
	if _, err := Load("p", make([]byte, maxFile+1)); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Error(err)
	}
	lines := make([]string, maxRules+1)
	for i := range lines {
		lines[i] = fmt.Sprintf("{name: r%d, at: arrival, when: 'true', verdict: hold}", i)
	}
	if _, err := Load("p", []byte(rules(lines...))); err == nil || !strings.Contains(err.Error(), "more than 1000 rules") {
		t.Error(err)
	}
}

// The caret stands under the very character, however the scalar is written and
// wherever in it the fault is.
func TestPlaces(t *testing.T) {
	for name, when := range map[string]string{
		"plain":                  `true && @`,
		"plain over lines":       "true &&\n      true &&\n\n      @",
		"single":                 `'true && "it''s" != ''x'' && @'`,
		"single over lines":      "'true &&\n      true\n\n       && @'",
		"double":                 `"true && \"\\\\\" != \"\u00e9\" && @"`,
		"double with hex":        `"\x74rue && '\U0001F5A8' != '\u20ac\t' && @"`,
		"double over lines":      "\"true && \\\n      true\n      && @\"",
		"literal":                "|\n      true &&\n      true && @\n",
		"literal, blank first":   "|\n\n      true &&\n\n        true && @\n",
		"literal, indented":      "|2\n      true && @\n",
		"literal, kept":          "|+\n      true\n      && @\n\n",
		"folded":                 ">\n      true &&\n      true &&\n\n      true && @\n",
		"folded, more indented":  ">-\n      true &&\n        true\n      && @\n",
		"wide characters before": `'"éü€😀" != "x" && @'`,
		"on the next line":       "\n      'true && @'",
	} {
		for _, ending := range []string{"\n", "\r\n"} {
			src := "\ufeff# é\nrules:\n  - name: x\n    at: arrival\n    when: " + when + "\n    verdict: hold\n"
			src = strings.ReplaceAll(strings.ReplaceAll(src, "@", "job.colour"), "\n", ending)
			_, err := Load("p", []byte(src))
			var ps strictyaml.Problems
			if !errors.As(err, &ps) || len(ps) != 1 {
				t.Errorf("%s: %v", name, err)
				continue
			}
			rest := ""
			if runes := []rune(ps[0].Source); ps[0].Column >= 1 && ps[0].Column <= len(runes) {
				rest = string(runes[ps[0].Column-1:])
			}
			if !strings.HasPrefix(rest, "colour") {
				t.Errorf("%s (%q): points at %q\n%v", name, ending, rest, err)
			}
		}
	}
}

// Verdicts, points and codes are what the document says, no more.
func TestAccepted(t *testing.T) {
	for _, src := range []string{
		"rules: []\n", "default: {pull: hold, direct: complete}\nrules:\n",
		rules(`{name: a, at: arrival, when: true, verdict: hold}`),
		rules(`{name: a, at: release, when: 'job.size > 1e6', verdict: abort, reason: a, text: t, remedy: r}`),
		rules(`{name: a, at: release, when: 'job.copies > 2.5', verdict: redirect}`),
		rules(`{name: a, at: arrival, when: 'job.created.getHours("+01:30") > 3 && now.getDayOfWeek() == 2', verdict: hold}`),
		rules(`{name: a, at: arrival, when: 'has(job.color) && [job][0].color && duration("1h").getHours() == 1', verdict: hold}`),
		rules(`{name: a, at: arrival, when: 'user.upn.lowerAscii().split("@")[1] in ["example.com"]', verdict: hold}`),
	} {
		if _, err := Load("p", []byte(src)); err != nil {
			t.Errorf("%s\n%v", src, err)
		}
	}
}

// A byte order mark is no part of the first key.
func TestByteOrderMark(t *testing.T) {
	if p := mustLoad(t, "\ufeffrules: [{name: a, at: arrival, when: job.color, verdict: hold}]\r\n"); len(p.Parts()) != 1 {
		t.Errorf("%+v", p.Parts())
	}
	_, err := Load("p", []byte("\ufeffrules: [{name: a, at: arrival, when: job.colour, verdict: hold}]"))
	if err == nil || !strings.HasPrefix(err.Error(), "p:1:42: job has no field") {
		t.Error(err)
	}
}

// A file that says nothing is no policy: it was cut off. One that says that there are no
// rules is.
func TestEmptyFile(t *testing.T) {
	for src, want := range map[string]bool{
		"": false, "\n": false, "# Printing\n": false, "rules:\n": false, "---\n": false, "{}\n": false,
		"rules: []\n": true, "zone: Asia/Tokyo\n": true, "unmatched: free\n": true,
	} {
		_, err := Load("policy.yaml", []byte(src))
		if (err == nil) != want {
			t.Errorf("%q: %v", src, err)
		}
		if err != nil && !strings.Contains(err.Error(), "rules: []") {
			t.Errorf("%q: what to do is not said: %v", src, err)
		}
	}
}
