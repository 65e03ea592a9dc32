package deploy

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pullprint/connector/held"
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
	states := []held.State{held.Seen, held.Held, held.Releasing, held.Released, held.Aborting, held.Aborted, held.Completing, held.Completed, held.Gone}
	found := map[held.State][]string{}
	for _, row := range rowsOf(t, textOf(t, "docs/architecture.md"), "States") {
		found[held.State(codesOf(row[0])[0])] = codesOf(row[2])
	}
	if len(found) != len(states) {
		t.Errorf("%d states are documented, %d there", len(found), len(states))
	}
	for _, from := range states {
		for _, to := range states {
			if told := slices.Contains(found[from], string(to)); told != held.Legal(from, to) {
				t.Errorf("%s to %s: documented %v, legal %v", from, to, told, held.Legal(from, to))
			}
		}
	}
}

var (
	storeName = regexp.MustCompile(`(?m)^\t(?:stream|bucket)\w+ += "(\w+)"$`)
	// storePart is a share of the store in the schema, by the constant of its name or
	// the function that makes it.
	storeShare = regexp.MustCompile(`(?m)^\t\t\{(\d+), (\w+)\((?:(stream|bucket)(\w+))?`)
)

// The table of what is stored names every stream and bucket there is, with its share.
func TestDocumentedStore(t *testing.T) {
	t.Parallel()
	schema := textOf(t, "../connector/bus/schema.go")
	var want, found []string
	for _, m := range storeName.FindAllStringSubmatch(schema, -1) {
		want = append(want, m[1])
	}
	var shares, told []string
	for _, m := range storeShare.FindAllStringSubmatch(schema, -1) {
		shares = append(shares, m[1]+" %")
	}
	for _, row := range rowsOf(t, textOf(t, "docs/architecture.md"), "What is stored where") {
		found = append(found, codesOf(row[0])[0])
		told = append(told, row[3])
	}
	slices.Sort(want)
	slices.Sort(found)
	slices.Sort(shares)
	slices.Sort(told)
	if len(want) < 9 || !slices.Equal(want, found) {
		t.Errorf("documented are %v, there are %v", found, want)
	}
	if !slices.Equal(shares, told) {
		t.Errorf("documented are the shares %v, there are %v", told, shares)
	}
}
