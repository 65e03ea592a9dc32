package badge

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// recipe is a row of the guide: what a reader tells, the chain, and what comes of it.
var recipe = regexp.MustCompile("(?m)^\\| [^|`]+ \\| `([^`]+)` \\| `\\[([^`]+)\\]` \\| `([^`]+)` \\|$")

// The guide's recipes for usual readers make of a number what they say.
func TestRecipes(t *testing.T) {
	src, err := os.ReadFile("../../deploy/docs/readers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(src), "\n## Numbers\n")
	section, _, ok2 := strings.Cut(section, "\n## ")
	if !ok || !ok2 {
		t.Fatal("the guide has no section Numbers")
	}
	rows := recipe.FindAllStringSubmatch(section, -1)
	if n := strings.Count(section, "\n| ") - 1; len(rows) != n || n < 10 {
		t.Fatalf("%d recipes in %d rows", len(rows), n)
	}
	for _, row := range rows {
		steps := strings.Split(row[2], ", ")
		for i := range steps {
			steps[i] = strings.Trim(steps[i], `"`)
		}
		if got, err := mustChain(t, steps...).Apply(row[1] + "\r\n"); err != nil || got != row[3] {
			t.Errorf("%s of %s is %q, %v; the guide says %s", row[2], row[1], got, err, row[3])
		}
	}
}
