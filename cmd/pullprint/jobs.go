package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pullprint/connector"
	"pullprint/connector/admin"
	"pullprint/connector/held"
	"pullprint/connector/terminal"
	"pullprint/trigger/graph"
)

func jobsCommand() *cobra.Command {
	var f apiFlags
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "See, release and cancel held jobs, and trace any job",
		Long: `Talks to the running daemon. A JOB is named as jobs list shows it, QUEUE/JOB or
PRINTER/JOB.`,
		Args: knownVerb,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f.add(cmd)
	cmd.AddCommand(jobsList(&f), jobsShow(&f), jobsTrace(&f), jobsRelease(&f), jobsCancel(&f), jobsDelegate(&f))
	return cmd
}

func jobsList(f *apiFlags) *cobra.Command {
	var owner, queue, state string
	var most int
	var dead bool
	var since time.Duration
	cmd := &cobra.Command{
		Use: "list", Short: "List jobs, newest first; held ones unless --state says otherwise", Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dead {
				if err := without(cmd.Flags(), "--dead", "owner", "queue", "state", "limit"); err != nil {
					return err
				}
			} else if cmd.Flags().Changed("since") {
				return usageError{errors.New("--since is for --dead: add it, or leave --since out")}
			}
			if err := personFlag("owner", &owner); err != nil {
				return err
			}
			if err := stateFlag(&state); err != nil {
				return err
			}
			if most < 1 {
				return usageError{errors.New("--limit is out of range: write a number from 1")}
			}
			c, err := f.client(cmd)
			if err != nil {
				return err
			}
			if dead {
				return listDead(cmd, c, since, f.json)
			}
			list, err := c.Jobs(cmd.Context(), admin.JobFilter{Owner: owner, Queue: queue, State: state}, most)
			if err != nil {
				return err
			}
			if f.json {
				return printJSON(cmd.OutOrStdout(), list)
			}
			return printJobs(cmd.OutOrStdout(), list, state)
		},
	}
	cmd.Flags().StringVar(&owner, "owner", "", "only those of a `USER`, an Entra object id or a user name")
	cmd.Flags().StringVar(&queue, "queue", "", "only those of a queue, by `NAME`")
	cmd.Flags().StringVar(&state, "state", "held",
		"only those in a `STATE`: held, releasing, released, aborting, aborted, completing, completed, gone or all")
	cmd.Flags().IntVar(&most, "limit", 100, "at most so many")
	cmd.Flags().BoolVar(&dead, "dead", false, "list tasks that were given up, and why, instead")
	durationVar(cmd.Flags(), &since, "since", 24*time.Hour, "with --dead: how far back")
	return cmd
}

func printJobs(w io.Writer, list []admin.JobEntry, state string) error {
	if len(list) == 0 {
		switch state {
		case "":
			fmt.Fprintln(w, "No jobs.")
		default:
			fmt.Fprintf(w, "No %s jobs. Others: --state all.\n", state)
		}
		return nil
	}
	t := newTable(w, "JOB", "STATE", "OWNER", "SEEN", "HELD UNTIL", "REASON")
	for _, j := range list {
		until := "-"
		if !j.HoldUntil.IsZero() {
			until = j.HoldUntil.Local().Format("Mon 02 Jan 15:04")
		}
		t.row(j.Queue+"/"+j.Job, j.State, orDash(j.Owner), j.Seen.Local().Format("Mon 02 Jan 15:04:05"), until,
			orDash(j.Reason))
	}
	return t.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func listDead(cmd *cobra.Command, c *admin.Client, since time.Duration, asJSON bool) error {
	list, err := c.Dead(cmd.Context(), since.String())
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), list)
	}
	if len(list) == 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "nothing was given up")
		return nil
	}
	t := newTable(cmd.OutOrStdout(), "GIVEN UP", "REASON", "TASK", "JOB", "ATTEMPTS", "ERROR")
	for _, d := range list {
		t.row(d.At.Local().Format("Mon 02 Jan 15:04:05"), d.Reason, orDash(d.Task), orDash(d.Job), d.Attempts, d.Error)
	}
	return t.Flush()
}

// job finds the job that a person names QUEUE/JOB or PRINTER/JOB.
func job(ctx context.Context, c *admin.Client, name string) (held.Ref, error) {
	first, id, ok := strings.Cut(name, "/")
	if !ok || first == "" || id == "" {
		return held.Ref{}, usageError{fmt.Errorf("%q is not a valid job; write it as jobs list shows it, QUEUE/JOB", name)}
	}
	list, err := c.Jobs(ctx, admin.JobFilter{Job: id}, maxSameID)
	if err != nil {
		return held.Ref{}, err
	}
	for _, j := range list {
		if j.Queue == first || strings.EqualFold(j.Printer, first) {
			return j.Ref, nil
		}
	}
	if _, guid := graph.CanonicalGUID(first); guid { // a printer, whose job the daemon does not list
		return held.Ref{Printer: first, Job: id}, nil
	}
	// The daemon knows the queues: it takes a name in other case, and names them otherwise.
	list, err = c.Jobs(ctx, admin.JobFilter{Queue: first, Job: id}, 1)
	switch {
	case err != nil:
		return held.Ref{}, err
	case len(list) > 0:
		return list[0].Ref, nil
	}
	return held.Ref{Printer: first, Job: id}, nil
}

// maxSameID bounds the jobs of one id: each queue has one at most, and an
// installation fewer queues.
const maxSameID = 1000

// onJob is a verb that takes one job.
func onJob(
	f *apiFlags, use, short string, do func(cmd *cobra.Command, c *admin.Client, ref held.Ref) error,
) *cobra.Command {
	return &cobra.Command{
		Use: use + " JOB", Short: short, Args: wants("JOB"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.client(cmd)
			if err != nil {
				return err
			}
			ref, err := job(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			return do(cmd, c, ref)
		},
	}
}

func jobsShow(f *apiFlags) *cobra.Command {
	return onJob(f, "show", "Show one job", func(cmd *cobra.Command, c *admin.Client, ref held.Ref) error {
		d, err := c.Job(cmd.Context(), ref)
		if err != nil {
			return err
		}
		if f.json {
			return printJSON(cmd.OutOrStdout(), d.Job)
		}
		return printJob(cmd.OutOrStdout(), &d.Job)
	})
}

func printJob(w io.Writer, r *held.Record) error {
	t := newTable(w)
	line := func(name, format string, args ...any) { t.row(name, fmt.Sprintf(format, args...)) }
	line("job", "%s/%s", r.Queue, r.Job)
	line("printer", "%s", r.Printer)
	line("state", "%s", r.State)
	line("owner", "%s", orDash(r.Owner))
	line("sent", "%s", r.Created.Local().Format(time.RFC3339))
	if !r.HoldUntil.IsZero() {
		line("held until", "%s", r.HoldUntil.Local().Format(time.RFC3339))
	}
	if r.Release != nil {
		line("released at", "%s (printer %s, job %s)", r.Release.Device, r.Release.Printer, orDash(r.Release.Job))
	}
	d := &r.Decision
	line("decision", "%s at %s", d.Verdict, d.Point)
	if d.Rule != "" {
		line("rule", "%s", d.Rule)
	}
	if d.Reason != "" {
		line("reason", "%s: %s %s", d.Reason, d.Text, d.Remedy)
	}
	return t.Flush()
}

func jobsTrace(f *apiFlags) *cobra.Command {
	return onJob(f, "trace", "Tell a job's whole life, in order", func(
		cmd *cobra.Command, c *admin.Client, ref held.Ref,
	) error {
		d, err := c.Job(cmd.Context(), ref)
		if err != nil {
			return err
		}
		if f.json {
			return printJSON(cmd.OutOrStdout(), d.Trace)
		}
		w := cmd.OutOrStdout()
		for _, e := range d.Trace {
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
func tell(e *admin.Event) string {
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

func jobsRelease(f *apiFlags) *cobra.Command {
	var device string
	var set held.Settings
	var mono, duplex bool
	cmd := onJob(f, "release", "Send a held job to a device, for its owner", func(
		cmd *cobra.Command, c *admin.Client, ref held.Ref,
	) error {
		if device == "" {
			return usageError{errors.New("--device is missing: name the device where its owner stands")}
		}
		if cmd.Flags().Changed("copies") && set.Copies < 1 {
			return usageError{errors.New("--copies is out of range: write a number from 1")}
		}
		if mono {
			set.ColorMode = "blackAndWhite"
		}
		if duplex {
			set.DuplexMode = "flipOnLongEdge"
		}
		variant := &set
		if set == (held.Settings{}) {
			variant = nil
		}
		out, err := c.Release(cmd.Context(), ref, device, variant)
		if err != nil {
			return err
		}
		if f.json {
			return printJSON(cmd.OutOrStdout(), out)
		}
		return printOutcome(cmd.OutOrStdout(), &out)
	})
	cmd.Flags().StringVar(&device, "device", "", "`ID` of the device")
	cmd.Flags().BoolVar(&mono, "mono", false, "print it in black and white")
	cmd.Flags().BoolVar(&duplex, "duplex", false, "print it on both sides")
	cmd.Flags().IntVar(&set.Copies, "copies", 0, "print fewer copies")
	return cmd
}

// printOutcome says what became of jobs; when none was released, that is an error.
func printOutcome(w io.Writer, out *connector.Outcome) error {
	for _, r := range out.Released {
		fmt.Fprintf(w, "released  %s/%s to printer %s\n", terminal.Printable(r.Queue), terminal.Printable(r.Job),
			terminal.Printable(r.Destination))
	}
	type line struct {
		word string
		connector.Refused
	}
	var rest []line
	for _, r := range out.Kept {
		rest = append(rest, line{"kept", r})
	}
	for _, r := range out.Aborted {
		rest = append(rest, line{"aborted", r})
	}
	slices.SortStableFunc(rest, func(a, b line) int { // ids of jobs are numbers that count up
		return cmp.Or(cmp.Compare(len(a.Job), len(b.Job)), cmp.Compare(a.Job, b.Job), cmp.Compare(a.Queue, b.Queue))
	})
	for _, r := range rest {
		fmt.Fprintf(w, "%-8s  %s/%s: %s\n          %s %s\n", r.word, terminal.Printable(r.Queue), terminal.Printable(r.Job),
			r.Reason.Code,
			terminal.Printable(r.Reason.Text), terminal.Printable(r.Reason.Remedy))
	}
	if len(out.Released) == 0 {
		return errors.New("nothing was released")
	}
	return nil
}

func jobsCancel(f *apiFlags) *cobra.Command {
	var reason string
	cmd := onJob(f, "cancel", "Abort a held job, with a reason that its owner reads",
		func(cmd *cobra.Command, c *admin.Client, ref held.Ref) error {
			out, err := c.Cancel(cmd.Context(), ref, reason)
			if err != nil {
				return err
			}
			if f.json {
				return printJSON(cmd.OutOrStdout(), out)
			}
			if out.Pending {
				fmt.Fprintf(cmd.OutOrStdout(), "aborting %s/%s: it will be deleted as soon as possible\n",
					terminal.Printable(out.Queue), terminal.Printable(out.Job))
				return nil
			}
			fmt.Fprintf(cmd.OutOrStdout(), "aborted  %s/%s: %s\n         %s %s\n", terminal.Printable(out.Queue),
				terminal.Printable(out.Job),
				out.Reason.Code, terminal.Printable(out.Reason.Text), terminal.Printable(out.Reason.Remedy))
			return nil
		})
	cmd.Flags().StringVar(&reason, "reason", "", "`WORDS` for the owner")
	return cmd
}
