package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"pullprint/connector/terminal"
)

// table prints rows for people, with their columns aligned and two spaces between them.
type table struct{ *tabwriter.Writer }

// newTable begins a table with a head, which may be empty. It is written by Flush.
func newTable(w io.Writer, head ...any) table {
	t := table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	if len(head) > 0 {
		t.row(head...)
	}
	return t
}

// row adds a row. Cells may come from outside: what is not printable in them is replaced.
func (t table) row(cells ...any) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(t, "\t")
		}
		fmt.Fprint(t, terminal.Printable(fmt.Sprint(c)))
	}
	fmt.Fprintln(t)
}
