package doctor

import (
	"os"
	"slices"
	"strings"
	"testing"

	"pullprint/connector/config"
	"pullprint/connector/printer"
	"pullprint/policy/policyfile"
	"pullprint/trigger/graph"
)

// The guide names every permission that the doctor asks for, and every code has a
// hint.
func TestEntraGuide(t *testing.T) {
	src, err := os.ReadFile("../../deploy/docs/entra.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := string(src)
	p, err := policyfile.Load("policy.yaml", []byte("rules: [{name: a, at: arrival, when: '\"a\" in user.groups && job.pages > 1', "+
		"verdict: abort, reason: a.b, text: {en: No.}, remedy: Ask.}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{Queues: []printer.Queue{
		{Name: "Follow-Me", Mode: printer.ModePull}, {Name: "Poster", Mode: printer.ModeDirect},
	}}
	cfg.Badges.EntraAttribute = "employeeId"
	ds := &diagnostics{Options: Options{Config: cfg, Policy: p}}
	rights := ds.needed()
	if len(rights) < 8 {
		t.Fatalf("only %d rights", len(rights))
	}
	for _, r := range rights {
		if !slices.ContainsFunc(r.names, func(name string) bool { return strings.Contains(guide, "| `"+name+"` |") }) {
			t.Errorf("the guide has none of %v, for %s", r.names, r.why)
		}
	}
	for _, r := range slices.Concat(graph.TriggerRights, graph.ReportRights, graph.PrintRights) {
		if !strings.Contains(guide, "| `"+r+"` |") {
			t.Errorf("the guide lacks %s", r)
		}
	}
}
