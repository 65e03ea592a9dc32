package deploy

import (
	"regexp"
	"strings"
)

// delimiterRow is the second row of a table, as GitHub wants it.
var delimiterRow = regexp.MustCompile(`^\|( *:?-+:? *\|)+$`)

// checkTables holds each table to its head: a delimiter row below it, and as many
// cells in each row. A "|" in a code span ends a cell, too, unless it is escaped.
func (c *checker) checkTables(p *page) (wrong []string) {
	row := func(i int) bool { return i < len(p.prose) && strings.HasPrefix(strings.TrimSpace(p.prose[i]), "|") }
	for i := 0; i < len(p.prose); i++ {
		if !row(i) {
			continue
		}
		head := i
		if !row(i+1) || !delimiterRow.MatchString(strings.TrimSpace(p.prose[i+1])) {
			wrong = append(wrong, p.at(head+1, "a row of a table without a head and a delimiter row"))
		}
		for ; row(i); i++ {
			if got, want := cells(p.prose[i]), cells(p.prose[head]); got != want {
				wrong = append(wrong, p.at(i+1, "%d cells in a table of %d", got, want))
			}
		}
	}
	return wrong
}

// cells counts the cells of a row.
func cells(row string) int {
	row = strings.ReplaceAll(strings.TrimSpace(row), `\|`, "")
	n := strings.Count(row, "|") - 1
	if !strings.HasSuffix(row, "|") {
		n++
	}
	return n
}
