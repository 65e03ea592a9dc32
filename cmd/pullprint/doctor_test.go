package main

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"pullprint/connector/config"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
)

// What is well is a line each; what is wrong says what to do, and is a failure.
func TestDoctor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(n *tenant)
		want    []string
		fails   bool
	}{
		"well": {func(*tenant) {}, []string{
			"ok       graph ", "ok       authority ", "ok       clock ", "ok       sign-in        by client_secret_file", "ok       rights         all that the configuration needs",
			"warning  definition     there is no task definition \"pullprint\" yet", `ok       queue          Follow-Me: "Follow-Me"`, "ok       store          embedded",
			"warning  rights         granted and not needed: ",
		}, false},
		"rights": {func(n *tenant) {
			n.sim.AddApp(graphtest.App{ClientID: registerID, Secret: "secret", Roles: []string{"PrintTaskDefinition.ReadWrite.All", "PrintJob.ReadBasic.All", "Printer.Read.All"}})
		}, []string{
			"failed   rights         PrintJob.ReadWriteBasic.All is missing, for aborting jobs", "PrintJob.Manage.All is missing, for releasing jobs of Follow-Me", "-> add it under API permissions",
		}, true},
		"what the policy needs": {func(n *tenant) {
			n.sim.AddApp(graphtest.App{ClientID: registerID, Secret: "secret", Roles: []string{"PrintTaskDefinition.ReadWrite.All", "PrintJob.Manage.All", "Printer.Read.All"}})
			n.edit("nats:", "policy: {file: policy.yaml}\nnats:")
			n.write("policy.yaml", "allowances: [{name: all, when: '\"a\" in user.groups', pages: 5, every: week}]\nunmatched: free\n")
		}, []string{
			"PrintJob.Read.All is missing, for counting pages, which the policy needs", "GroupMember.Read.All is missing, for groups, which the policy looks at",
		}, true},
		"a wrong secret": {func(n *tenant) {
			n.sim.AddApp(graphtest.App{ClientID: registerID, Secret: "another"})
		}, []string{"failed   sign-in        no token: AADSTS7000215: the client secret is wrong", "ok       store"}, true},
		"a printer that is none": {func(n *tenant) { n.edit(queueB, "00000000-0000-4000-8000-000000000000") }, []string{
			"failed   queue          Poster: Graph knows no printer 00000000-0000-4000-8000-000000000000", "-> correct queues[].printer_id",
		}, true},
		"nobody there": {func(n *tenant) {
			n.edit("endpoints: {", "endpoints: {graph: \"http://127.0.0.1:1/v1.0\", authority: \"http://127.0.0.1:1\"}\n# {")
		}, []string{
			"failed   graph          127.0.0.1:1 can't be reached (connect)", "-> let the firewall pass", "failed   sign-in ",
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			n := newTenant(t)
			c.prepare(n)
			out, err := n.does("doctor")
			if (err != nil) != c.fails {
				t.Errorf("%v", err)
			}
			n.wants(out, c.want...)
			asJSON, jerr := n.does("check", "--online", "--json")
			var list []finding
			if derr := json.Unmarshal([]byte(asJSON), &list); derr != nil || (jerr != nil) != c.fails || len(list) < 4 {
				t.Errorf("%v %v\n%s", derr, jerr, asJSON)
			}
			if strings.Contains(out+asJSON, "secret\"") {
				t.Error("tells a secret")
			}
		})
	}
	n := newTenant(t)
	n.edit("queues:", "queus:")
	if _, err := n.does("doctor"); err == nil || !strings.Contains(err.Error(), "queus") {
		t.Error(err)
	}
}

// edit changes the configuration.
func (n *tenant) edit(from, to string) {
	n.t.Helper()
	src, err := os.ReadFile(n.config)
	if err != nil || !bytes.Contains(src, []byte(from)) {
		n.t.Fatalf("%q is not in the configuration: %v", from, err)
	}
	if err := os.WriteFile(n.config, bytes.Replace(src, []byte(from), []byte(to), 1), 0o600); err != nil {
		n.t.Fatal(err)
	}
}

// write puts a file beside the configuration.
func (n *tenant) write(name, text string) {
	n.t.Helper()
	if err := os.WriteFile(strings.TrimSuffix(n.config, "config.yaml")+name, []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
}

// The guide names every permission that the doctor asks for, and every code has a
// hint.
func TestEntraGuide(t *testing.T) {
	src, err := os.ReadFile("../../deploy/docs/entra.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := string(src)
	n := newTenant(t)
	n.write("badge-key", strings.Repeat("5a", 32))
	n.edit("nats:", "policy: {file: policy.yaml}\nbadges: {key_file: badge-key, entra_attribute: employeeId}\nnats:")
	n.write("policy.yaml", "rules: [{name: a, at: arrival, when: '\"a\" in user.groups && job.pages > 1', verdict: abort, reason: a.b, text: {en: No.}, remedy: Ask.}]\n")
	cfg, err := config.Load(n.config)
	if err != nil {
		t.Fatal(err)
	}
	p, err := loadPolicy(cfg.Policy.File)
	if err != nil {
		t.Fatal(err)
	}
	e := &examination{cfg: cfg, policy: p}
	rights := e.needed()
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
