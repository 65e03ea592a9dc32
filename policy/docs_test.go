package policy

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

const guide = "../deploy/docs/policy.md"

func readGuide(t *testing.T) string {
	t.Helper()
	src, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	return string(src)
}

// The guide's table of variables is what expressions see, no more and no less.
func TestGuideVariables(t *testing.T) {
	found := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z][A-Za-z.]*)` \\| `([a-z()]+)` \\|").FindAllStringSubmatch(readGuide(t), -1) {
		found[m[1]] = m[2]
	}
	for name, typ := range Variables() {
		typ = strings.TrimPrefix(typ, "google.protobuf.")
		if got := strings.ToLower(typ); found[name] != got {
			t.Errorf("%s: the guide says %q, the code %q", name, found[name], got)
		}
		delete(found, name)
	}
	if len(found) > 0 {
		t.Errorf("the guide tells of what is not there: %v", found)
	}
}

// The guide's table of the program's own reasons is what owners are told.
func TestGuideReasons(t *testing.T) {
	text := readGuide(t)
	n := 0
	for code, o := range own {
		if row := fmt.Sprintf("| `%s` | %s | %s |\n", code, o.text, o.remedy); !strings.Contains(text, row) {
			t.Errorf("missing in the guide: %s", row)
		}
	}
	if n = len(regexp.MustCompile("(?m)^\\| `[a-z]+\\.[a-z-]+` \\| [A-Z]").FindAllString(text, -1)); n != len(own) {
		t.Errorf("the guide has %d reasons, the code %d", n, len(own))
	}
}

// Every policy in the guide loads, and so does the example.
func TestGuideExamples(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(readGuide(t), -1)
	if len(blocks) < 7 {
		t.Fatalf("%d examples", len(blocks))
	}
	for _, b := range blocks {
		if _, err := Load("policy.yaml", []byte(b[1])); err != nil {
			t.Errorf("%v\n%s", err, b[1])
		}
	}
	src, err := os.ReadFile("../deploy/policy.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Load("policy.example.yaml", src); err != nil {
		t.Error(err)
	}
}

// The guide shows what a mistake looks like as it really looks.
func TestGuideMistake(t *testing.T) {
	_, err := Load("policy.yaml", []byte("rules:\n  - name: too-much-colour\n    at: arrival\n    when: job.colour && job.copies > 20\n    verdict: hold\n"))
	if err == nil || !strings.Contains(readGuide(t), "```text\n"+strings.TrimRight(err.Error(), "\n")+"\n```") {
		t.Errorf("not in the guide:\n%v", err)
	}
}
