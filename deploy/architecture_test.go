package deploy

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pullprint/connector/bus/schema"
	"pullprint/connector/job"
)

// rowsOf are the rows of the table below a heading, cell by cell, without its head.
func rowsOf(t *testing.T, text, heading string) (rows [][]string) {
	t.Helper()
	_, section, ok := strings.Cut(text, "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("there is no section %s", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "| `") {
			rows = append(rows, strings.Split(strings.Trim(line, "| "), " | "))
		}
	}
	return rows
}

func codesOf(cell string) (list []string) {
	for _, m := range codeSpan.FindAllStringSubmatch(cell, -1) {
		list = append(list, m[1])
	}
	return list
}

// The table of states is the state machine, no move more and none less.
func TestDocumentedStates(t *testing.T) {
	t.Parallel()
	states := []job.State{
		job.Seen, job.Held, job.Releasing, job.Released, job.Aborting, job.Aborted, job.Completing, job.Completed, job.Gone,
	}
	found := map[job.State][]string{}
	for _, row := range rowsOf(t, textOf(t, "docs/architecture.md"), "States") {
		found[job.State(codesOf(row[0])[0])] = codesOf(row[2])
	}
	if len(found) != len(states) {
		t.Errorf("%d states are documented, %d there", len(found), len(states))
	}
	for _, from := range states {
		for _, to := range states {
			if told := slices.Contains(found[from], string(to)); told != job.Legal(from, to) {
				t.Errorf("%s to %s: documented %v, legal %v", from, to, told, job.Legal(from, to))
			}
		}
	}
}

// The table of transitions is that of package job, row by row.
func TestDocumentedTransitions(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("\n| state | event | when | next state | call to Graph | charge | audit | told |\n" +
		"|---|---|---|---|---|---|---|---|\n")
	for _, row := range job.Transitions {
		fmt.Fprintf(&b, "| `%s` | %s | %s | `%s` | %s | %s | %s | %s |\n", row.From, row.Event, row.When,
			row.To, row.Calls, row.Charge, row.Audit,
			row.Reported)
	}
	if !strings.Contains(textOf(t, "docs/architecture.md"), b.String()) {
		t.Errorf("architecture.md has another table of transitions; this is job.Transitions:\n%s", b.String())
	}
}

// The table of what is stored names every stream and bucket there is, with its share.
func TestDocumentedStore(t *testing.T) {
	t.Parallel()
	var want, found []string
	for _, s := range schema.Streams(1) {
		want = append(want, fmt.Sprintf("%s %d %%", strings.TrimPrefix(s.Config.Name, "KV_"), s.Share))
	}
	for _, row := range rowsOf(t, textOf(t, "docs/architecture.md"), "What is stored where") {
		found = append(found, codesOf(row[0])[0]+" "+row[3])
	}
	slices.Sort(want)
	slices.Sort(found)
	if len(want) < 9 || !slices.Equal(want, found) {
		t.Errorf("documented are %v, there are %v", found, want)
	}
}

// directRequirement is a requirement of go.mod that is not marked as indirect.
var directRequirement = regexp.MustCompile(`(?m)^\t(\S+) v\S+$`)

// The table of dependencies gives a reason for each direct one, and names no other.
func TestDocumentedDependencies(t *testing.T) {
	t.Parallel()
	var want, found []string
	for _, m := range directRequirement.FindAllStringSubmatch(textOf(t, "../go.mod"), -1) {
		want = append(want, m[1])
	}
	for _, row := range rowsOf(t, textOf(t, "docs/architecture.md"), "Dependencies") {
		found = append(found, codesOf(row[0])...)
		if len(strings.TrimSpace(row[1])) < 10 {
			t.Errorf("%s: no reason", row[0])
		}
	}
	slices.Sort(want)
	slices.Sort(found)
	if len(want) == 0 || !slices.EqualFunc(want, found, func(module, told string) bool {
		return module == told || strings.HasPrefix(module, told+"/")
	}) {
		t.Errorf("go.mod requires\n%s\ndocumented are\n%s", strings.Join(want, "\n"), strings.Join(found, "\n"))
	}
}

// Each page begins with whom it is for.
func TestPagesSayWhomTheyAreFor(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("docs/*.md")
	if err != nil || len(pages) < 4 {
		t.Fatalf("found %v, %v", pages, err)
	}
	for _, page := range pages {
		if filepath.Base(page) == "README.md" {
			continue
		}
		_, text, _ := strings.Cut(textOf(t, page), "\n\n")
		if !strings.HasPrefix(text, "This page is for ") {
			t.Errorf("%s does not begin with whom it is for", page)
		}
	}
}
