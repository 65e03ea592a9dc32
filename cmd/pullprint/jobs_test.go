package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pullprint/connector/release"
	"pullprint/trigger/graph"
)

// What was not released is told in the order of the jobs, whatever became of each.
func TestOutcomeInOrder(t *testing.T) {
	refused := func(j string) release.Refused {
		return release.Refused{Ref: graph.Ref{Printer: "p", Job: j}, Queue: "Follow-Me"}
	}
	out := release.Outcome{
		Kept:    []release.Refused{refused("2"), refused("10")},
		Aborted: []release.Refused{refused("1"), refused("9")},
	}
	for range 20 {
		var text bytes.Buffer
		_ = printOutcome(&text, out)
		var got []string
		for line := range strings.Lines(text.String()) {
			if f := strings.Fields(line); len(f) == 3 || len(f) == 2 {
				got = append(got, f[0]+" "+strings.TrimSuffix(f[1], ":"))
			}
		}
		if want := "[aborted Follow-Me/1 kept Follow-Me/2 aborted Follow-Me/9 kept Follow-Me/10]"; fmt.Sprint(got) != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
}
