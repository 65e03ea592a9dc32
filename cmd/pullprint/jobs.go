package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/arrival"
	"pullprint/connector/job"
	"pullprint/trigger/graph"
)

func jobsCommand() *cobra.Command {
	var f apiFlags
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "See, release and cancel held jobs, and trace any job",
		Long: `Talks to the running daemon. A JOB is named as jobs list shows it, QUEUE/JOB or
PRINTER/JOB.`,
	}
	f.add(cmd)
	return verbs(cmd, jobsList(&f), jobsShow(&f), jobsTrace(&f), jobsRelease(&f), jobsCancel(&f), jobsDelegate(&f))
}

func jobsList(f *apiFlags) *cobra.Command {
	var owner, queue, state string
	var most int
	var dead bool
	var since time.Duration
	cmd := &cobra.Command{
		Use: "list", Short: "List jobs, newest first; held ones unless --state says otherwise", Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := deadFlags(cmd, dead); err != nil {
				return err
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
				return printAnswer(f, cmd, printDead)(c.Dead(cmd.Context(), since.String()))
			}
			return printAnswer(f, cmd, func(w io.Writer, list []apiclient.JobEntry) error {
				owners := people(list, func(j *apiclient.JobEntry) []string { return []string{j.Owner} })
				return printJobs(w, list, state, namesOf(cmd, c, owners...))
			})(c.Jobs(cmd.Context(), apiclient.JobFilter{Owner: owner, Queue: queue, State: state}, most))
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

// deadFlags refuses flags that say nothing with --dead, or without it.
func deadFlags(cmd *cobra.Command, dead bool) error {
	if dead {
		return without(cmd.Flags(), "--dead", "owner", "queue", "state", "limit")
	}
	if cmd.Flags().Changed("since") {
		return usageError{errors.New("--since is for --dead: add it, or leave --since out")}
	}
	return nil
}

func printJobs(w io.Writer, list []apiclient.JobEntry, state string, names userNames) error {
	if len(list) == 0 {
		if state == "" {
			_, err := fmt.Fprintln(w, "No jobs.")
			return err
		}
		_, err := fmt.Fprintf(w, "No %s jobs. Others: --state all.\n", state)
		return err
	}
	t := newTable(w, "JOB", "STATE", "OWNER", "SEEN", "HELD UNTIL", "REASON")
	for _, j := range list {
		until := "-"
		if !j.HoldUntil.IsZero() {
			until = j.HoldUntil.Local().Format("Mon 02 Jan 15:04")
		}
		t.row(j.Queue+"/"+j.Job, j.State, names.of(j.Owner), j.Seen.Local().Format("Mon 02 Jan 15:04:05"), until,
			orDash(j.Reason))
	}
	return t.Flush()
}

func orDash(s string) string { return cmp.Or(s, "-") }

func printDead(w io.Writer, list []arrival.DeadLetter) error {
	if len(list) == 0 {
		fmt.Fprintln(w, "nothing was given up")
		return nil
	}
	t := newTable(w, "GIVEN UP", "REASON", "TASK", "JOB", "ATTEMPTS", "ERROR")
	for _, d := range list {
		t.row(d.At.Local().Format("Mon 02 Jan 15:04:05"), d.Reason, orDash(d.Task), orDash(d.Job), d.Attempts, d.Error)
	}
	return t.Flush()
}

// job finds the job that a person names QUEUE/JOB or PRINTER/JOB.
func graphJob(ctx context.Context, c *apiclient.Client, name string) (graph.Ref, error) {
	first, id, ok := strings.Cut(name, "/")
	if !ok || first == "" || id == "" {
		return graph.Ref{}, usageError{fmt.Errorf("%q is not a valid job; write it as jobs list shows it, QUEUE/JOB", name)}
	}
	list, err := c.Jobs(ctx, apiclient.JobFilter{Job: id}, maxSameID)
	if err != nil {
		return graph.Ref{}, err
	}
	for _, j := range list {
		if j.Queue == first || strings.EqualFold(j.Printer, first) {
			return j.Ref, nil
		}
	}
	if _, guid := graph.CanonicalGUID(first); guid { // a printer, whose job the daemon does not list
		return graph.Ref{Printer: first, Job: id}, nil
	}
	// The daemon knows the queues: it takes a name in other case, and names them otherwise.
	list, err = c.Jobs(ctx, apiclient.JobFilter{Queue: first, Job: id}, 1)
	switch {
	case err != nil:
		return graph.Ref{}, err
	case len(list) > 0:
		return list[0].Ref, nil
	}
	return graph.Ref{Printer: first, Job: id}, nil
}

// maxSameID bounds the jobs of one id: each queue has one at most, and an
// installation fewer queues.
const maxSameID = 1000

// onJob is a verb that takes one job.
func onJob(
	f *apiFlags, use, short string, do func(cmd *cobra.Command, c *apiclient.Client, ref graph.Ref) error,
) *cobra.Command {
	return &cobra.Command{
		Use: use + " JOB", Short: short, Args: wants("JOB"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.client(cmd)
			if err != nil {
				return err
			}
			ref, err := graphJob(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			return do(cmd, c, ref)
		},
	}
}

func jobsShow(f *apiFlags) *cobra.Command {
	return onJob(f, "show", "Show one job", func(cmd *cobra.Command, c *apiclient.Client, ref graph.Ref) error {
		d, err := c.Job(cmd.Context(), ref)
		if err != nil {
			return err
		}
		return f.output(cmd, d.Job, func(w io.Writer) error {
			return printJob(w, &d.Job, namesOf(cmd, c, d.Job.Owner))
		})
	})
}

func printJob(w io.Writer, r *job.Record, names userNames) error {
	t := newTable(w)
	line := func(name, format string, args ...any) { t.row(name, fmt.Sprintf(format, args...)) }
	line("job", "%s/%s", r.Queue, r.Job)
	line("printer", "%s", r.Printer)
	line("state", "%s", r.State)
	line("owner", "%s", orDash(r.Owner))
	if name := names.of(r.Owner); name != orDash(r.Owner) {
		line("user name", "%s", name)
	}
	line("sent", "%s", r.Created.Local().Format(time.RFC3339))
	if !r.HoldUntil.IsZero() {
		line("held until", "%s", r.HoldUntil.Local().Format(time.RFC3339))
	}
	if r.Release != nil {
		line("released at", "%s (printer %s, job %s)", r.Release.Device, r.Release.Printer, orDash(r.Release.Job))
	}
	if p := r.Paper; p != nil {
		line("paper", "%s", strings.TrimSuffix(string(p.State)+", "+p.Detail, ", "))
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
