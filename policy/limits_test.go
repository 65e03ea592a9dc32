package policy

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The guide's limits of expressions and texts are those of the code.
func TestGuideLimits(t *testing.T) {
	text, err := os.ReadFile("../deploy/docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("%s characters, %s nodes, %d loops", thousands(maxExpression), thousands(maxNodes), maxLoopsInLoop),
		fmt.Sprintf("%s instructions", thousands(maxRegex)),
		fmt.Sprintf("| a text or remedy | %d characters", maxText),
		fmt.Sprintf("| %s units, else the file is not loaded |", thousands(refused)),
		fmt.Sprintf("| %s units, else `policy.error` |", thousands(costLimit)),
		fmt.Sprintf("in %s\ngroups", thousands(ordinaryGroups)),
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("missing: %s", want)
		}
	}
}

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
