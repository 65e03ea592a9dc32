package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/terminal"
	"pullprint/trigger/graph"
)

func jobsTrace(f *apiFlags) *cobra.Command {
	return onJob(f, "trace", "Tell a job's whole life, in order", func(
		cmd *cobra.Command, c *apiclient.Client, ref graph.Ref,
	) error {
		d, err := c.Job(cmd.Context(), ref)
		if err != nil {
			return err
		}
		if f.json {
			return printJSON(cmd.OutOrStdout(), d.Trace)
		}
		w := cmd.OutOrStdout()
		names := namesOf(cmd, c, people(d.Trace, func(e *apiclient.Event) []string { return []string{e.Actor} })...)
		for _, e := range d.Trace {
			if e.Actor != "" {
				e.Actor = names.of(e.Actor)
			}
			fmt.Fprintf(w, "%s  %s\n", e.At.Local().Format("2006-01-02 15:04:05.000"), terminal.Printable(tell(&e)))
			if e.Text != "" {
				fmt.Fprintf(w, "%25s%s %s\n", "", terminal.Printable(e.Text), terminal.Printable(e.Remedy))
			}
		}
		if !d.Complete {
			return errors.New("there are more decisions than could be read in time: the trace may lack some; try again")
		}
		return nil
	})
}

// tell is one event in words.
func tell(e *apiclient.Event) string {
	var b strings.Builder
	switch e.Kind {
	case "state":
		fmt.Fprintf(&b, "%-10s %s", e.State, e.Note)
	case "decision":
		fmt.Fprintf(&b, "decided at %s: %s", e.Point, e.Verdict)
		for _, part := range [][2]string{
			{" by rule ", e.Rule},
			{", ", e.Reason},
			{" at ", e.Device},
			{", ", e.Why()},
			{", policy ", e.Policy},
			{", ", e.Error},
		} {
			if part[1] != "" {
				b.WriteString(part[0] + part[1])
			}
		}
		if e.SetBy != "" {
			b.WriteString(", changed by " + e.SetBy)
		}
		if s := e.Shadow; s != nil {
			fmt.Fprintf(&b, "; the policy in shadow says %s, %s by rule %s", s.Verdict, orDash(s.Reason), orDash(s.Rule))
		}
	case "action":
		fmt.Fprintf(&b, "%s asked to %s it", e.Actor, e.Note)
		if e.Device != "" {
			b.WriteString(" at " + e.Device)
		}
	default:
		fmt.Fprintf(&b, "%s, %s", e.Kind, e.Note)
	}
	if e.By != "" {
		fmt.Fprintf(&b, "  (%s)", e.By)
	}
	return b.String()
}
