package deploy

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pullprint/policy/policyfile"
)

// part is a rule or an allowance as it stands in a file.
type part struct {
	section, name string
	from, to      int // in bytes
}

var (
	listKey  = regexp.MustCompile(`^([a-z]+):$`)
	listItem = regexp.MustCompile(`^  - (?:\{)?name: ([a-z0-9-]+)`)
)

// partsOf finds the rules and allowances of a policy file that is written in blocks.
func partsOf(src string) (parts []part) {
	section, at := "", 0
	end := func() {
		if n := len(parts); n > 0 && parts[n-1].to == 0 {
			parts[n-1].to = at
		}
	}
	for line := range strings.Lines(src) {
		if line != "\n" && !strings.HasPrefix(line, " ") {
			end()
			section = ""
			if m := listKey.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
				section = m[1]
			}
		}
		if m := listItem.FindStringSubmatch(line); m != nil && (section == "rules" || section == "allowances") {
			end()
			parts = append(parts, part{section: section, name: m[1], from: at})
		}
		at += len(line)
	}
	end()
	return parts
}

// Each policy that people copy loads, has a test about each of its rules, and says no
// word about itself that is not true: with any rule or allowance taken out, at least
// one of its tests fails.
func TestPolicies(t *testing.T) {
	t.Parallel()
	found, err := filepath.Glob("policies/*.yaml")
	if err != nil || len(found) < 10 {
		t.Fatalf("found only %v, %v", found, err)
	}
	for _, path := range append(found, "policy.example.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			src := textOf(t, path)
			r, err := policyfile.Test(path, []byte(src))
			if err != nil {
				t.Fatal(err)
			}
			for _, result := range r.Results {
				if result.Failure != "" {
					t.Errorf("%s:%d: %s: %s", path, result.Line, result.Name, result.Failure)
				}
			}
			for _, u := range r.Uncovered {
				t.Errorf("%s:%d: no test is about rule %s", path, u.Line, u.Rule)
			}
			src = expectedRule.ReplaceAllString(src, "") // or it would not even load without that rule
			parts := partsOf(src)
			if loaded, err := policyfile.Load(path, []byte(src)); err != nil || !all(parts, loaded.Summary()) {
				t.Fatalf("found %v, %v", parts, err)
			}
			for _, p := range parts {
				if !noticed(src, p) {
					t.Errorf("%s: without %s all tests pass still", path, p.name)
				}
			}
		})
	}
}

var (
	ruleCount      = regexp.MustCompile(`^(\d+) rules?`)
	allowanceCount = regexp.MustCompile(`(\d+) allowances?`)
)

// all reports whether parts are as many as the summary of the policy says.
func all(parts []part, summary string) bool {
	for section, re := range map[string]*regexp.Regexp{"rules": ruleCount, "allowances": allowanceCount} {
		n, want := 0, "0"
		for _, p := range parts {
			if p.section == section {
				n++
			}
		}
		if m := re.FindStringSubmatch(summary); m != nil {
			want = m[1]
		}
		if strconv.Itoa(n) != want {
			return false
		}
	}
	return true
}

// expectedRule is what a test says of the rule that must have decided.
var expectedRule = regexp.MustCompile(`, rule: [a-z0-9-]+`)

// noticed reports whether a test of a file fails when a part is taken out, or the file
// is refused since it then says nothing of some people.
func noticed(src string, p part) bool {
	r, err := policyfile.Test("without "+p.name, []byte(src[:p.from]+src[p.to:]))
	if err != nil {
		return strings.Contains(err.Error(), "nothing is said of people whom no allowance is for")
	}
	return r.Failed() > 0
}

// Each policy is told of in the guide.
func TestPoliciesAreDocumented(t *testing.T) {
	t.Parallel()
	guide := textOf(t, "docs/policies.md")
	found, err := filepath.Glob("policies/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		if !strings.Contains(guide, "](../"+path+")") {
			t.Errorf("policies.md has no link to ../%s", path)
		}
	}
}
