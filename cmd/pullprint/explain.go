package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pullprint/connector/admin"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/decision"
	"pullprint/connector/evaluate"
	"pullprint/connector/job"
	"pullprint/connector/terminal"
	"pullprint/policy"
)

func policyExplainCommand() *cobra.Command {
	var api apiFlags
	var input, file string
	cmd := &cobra.Command{
		Use:   "explain [JOB]",
		Short: "Retell how a job was decided, rule by rule, and what would have changed it",
		Long: `Takes the newest decision about a job that a policy made, from the running
daemon or from a file, and decides it again: each rule that is tried with the value
of every part of its expression, the price and who pays, and single changes with
which the outcome would be another. Nothing is touched.

--input reads a decision as /v1/decisions gives it ("-" is standard input).
--policy explains by another file than that of the configuration.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (input != "") {
				return usageError{errors.New("name a job as jobs list shows it, QUEUE/JOB, or a file with --input")}
			}
			d, err := api.recorded(cmd, args, input)
			if err != nil {
				return err
			}
			path, p, err := policyInForce(cmd, file)
			if err != nil {
				return err
			}
			e := p.Explain(evaluate.RequestWithBalances(p, d))
			return api.output(cmd, e, func(w io.Writer) error { return printExplanation(w, path, p, d, e) })
		},
	}
	api.add(cmd)
	cmd.Flags().StringVar(&input, "input", "", "`FILE` with a decision in JSON")
	cmd.Flags().StringVar(&file, "policy", "", "policy `FILE`; that of the configuration when not given")
	return cmd
}

// recorded is the decision to explain.
func (f *apiFlags) recorded(cmd *cobra.Command, args []string, input string) (*decision.Decision, error) {
	if input != "" {
		return readDecision(cmd, input)
	}
	client, err := f.client(cmd)
	if err != nil {
		return nil, err
	}
	ref, err := graphJob(cmd.Context(), client, args[0])
	if err != nil {
		return nil, err
	}
	detail, err := client.Job(cmd.Context(), ref)
	if err != nil {
		return nil, err
	}
	return newestByPolicy(cmd.Context(), client, &detail.Job)
}

// newestByPolicy is the newest decision about a job that a policy made.
func newestByPolicy(ctx context.Context, c *apiclient.Client, rec *job.Record) (newest *decision.Decision, err error) {
	err = c.Decisions(ctx, rec.Seen.Add(-admin.TraceMargin), func(d *decision.Decision) {
		if rec.SameJob(d.Ref, d.Owner) && evaluate.ByPolicy(d) {
			newest = d
		}
	})
	if err == nil && newest == nil {
		err = errors.New("no policy has decided about this job; `pullprint jobs trace` tells its story")
	}
	return newest, err
}

// maxDecision is more than any decision is in JSON.
const maxDecision = 16 << 20

func readDecision(cmd *cobra.Command, path string) (*decision.Decision, error) {
	var d decision.Decision
	err := readInput(cmd, path, "Paste a decision in JSON, then press Ctrl-D.", func(in io.Reader) error {
		src, err := io.ReadAll(io.LimitReader(in, maxDecision))
		switch {
		case errors.Is(err, errInterrupted):
			return err
		case err != nil:
			return usageError{fmt.Errorf("read the decision: %w", err)}
		}
		if err := json.Unmarshal(src, &d); err != nil || d.Point == "" {
			return usageError{fmt.Errorf("%s is not a decision in JSON; take one from /v1/decisions", path)}
		}
		return nil
	})
	return &d, err
}

// policyInForce is the policy of a file, or of the configuration.
func policyInForce(cmd *cobra.Command, file string) (string, *policy.Policy, error) {
	if file == "" {
		cfg, err := loadConfig(cmd, ", or the policy with --policy")
		if err != nil {
			return "", nil, err
		}
		if file = cfg.Policy.File; file == "" {
			return "the built-in policy", policy.Default(), nil
		}
	}
	p, err := loadPolicy(file)
	return file, p, err
}

func printExplanation(w io.Writer, path string, p *policy.Policy, d *decision.Decision, e policy.Explanation) error {
	v := e.Decision
	if d.Job != "" {
		fmt.Fprintf(w, "job %s of queue %s, %s, %s\n", d.Ref.Name(), d.Queue, d.Point, d.At.UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(w, "policy %s, hash %s", path, p.Hash())
	if d.Policy != "" && d.Policy != p.Hash() {
		fmt.Fprintf(w, "; it was decided by another, %s: %s", d.Policy, outcomeOf(d.Verdict, d.Reason, d.Rule))
	}
	fmt.Fprintf(w, "\n\n%s\n", outcomeOf(string(v.Verdict), v.Reason, v.Rule))
	if v.Reason != "" {
		fmt.Fprintf(w, "  %s\n", terminal.Printable(v.Sentence()))
	}
	for _, u := range v.Unknown {
		fmt.Fprintf(w, "  the %s could not be told: %s\n", u.Dependency, u.Mode)
	}
	if v.Err != "" {
		fmt.Fprintf(w, "  %s\n", terminal.Printable(v.Err))
	}
	if v.SetBy != "" {
		fmt.Fprintf(w, "  set %s by %s\n", v.Set, v.SetBy)
	}
	if len(v.Claims) > 0 {
		fmt.Fprintf(w, "\ncost %s\n", v.Cost)
		for _, b := range e.Balances {
			fmt.Fprintf(w, "  %s (%s): %s left of %s, spent %s, reserved %s, renews %s\n", b.Account.Key(),
				strings.Join(b.Names, ", "), b.Left, b.Limit+b.Carried+b.Adjusted, b.Spent, b.Reserved,
				b.Renews.Format(time.RFC3339))
		}
	}
	fmt.Fprintln(w, "\nrules, in the order in which they are tried:")
	for _, t := range e.Rules {
		printTried(w, path, t)
	}
	if len(e.Rules) == 0 {
		fmt.Fprintln(w, "  none at this point")
	}
	if p.Sees("user.upn") {
		fmt.Fprintln(w, "\nA decision names nobody: what looks at user.upn sees an empty one here.")
	}
	return printChanges(w, e.Changes)
}

func printTried(w io.Writer, path string, t policy.Tried) {
	mark := " "
	switch {
	case t.Decided:
		mark = ">"
	case t.Set:
		mark = "*"
	}
	fmt.Fprintf(w, "%s %s:%d  %s: %s\n", mark, path, t.Line, t.Rule, t.Result)
	fmt.Fprintf(w, "      %s\n", terminal.Printable(strings.Join(strings.Fields(t.When), " ")))
	for _, v := range t.Values {
		fmt.Fprintf(w, "        %s = %s\n", terminal.Printable(v.Expression), terminal.Printable(v.Value))
	}
}

func printChanges(w io.Writer, changes []policy.Change) error {
	if len(changes) == 0 {
		fmt.Fprintln(w, "\nNo single change that was tried would change the outcome.")
		return nil
	}
	fmt.Fprintln(w, "\nwhat would change the outcome:")
	t := newTable(w)
	for _, c := range changes {
		t.row("  "+c.What, outcomeOf(string(c.Verdict), c.Reason, c.Rule))
	}
	return t.Flush()
}

// outcomeOf is a verdict with what led to it, in one line.
func outcomeOf(verdict, reason, rule string) string {
	if reason != "" {
		verdict += " " + reason
	}
	if rule == "" {
		return verdict + " (by default)"
	}
	return verdict + " (rule " + rule + ")"
}

func policyReplayCommand() *cobra.Command {
	var api apiFlags
	var since, file, input string
	var most int
	cmd := &cobra.Command{
		Use:   "replay --policy NEW",
		Short: "Run recorded decisions through another policy and tell what would change",
		Long: `Reads the decisions that the daemon recorded and decides each again by another
policy file: which jobs would be refused, which allowed, what they would cost. Accounts
begin untouched and are spent by what the new file lets print. Nothing is touched.

--input reads decisions from a file instead, one JSON object a line.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usageError{errors.New("name the policy to try with --policy FILE")}
			}
			if most < 0 {
				return usageError{errors.New("--most is out of range: write 0 or more")}
			}
			p, err := loadPolicy(file)
			if err != nil {
				return err
			}
			replay := evaluate.NewReplay(p)
			if err := api.decisions(cmd, since, input, replay.Add); err != nil {
				return err
			}
			if api.json {
				return printJSON(cmd.OutOrStdout(), replay.Run())
			}
			return printReplay(cmd.OutOrStdout(), file, p, replay.Run(), most)
		},
	}
	api.add(cmd)
	cmd.Flags().StringVar(&file, "policy", "", "the policy `FILE` to try")
	cmd.Flags().StringVar(&since, "since", "7d", "how far back, as 24h or 7d")
	cmd.Flags().StringVar(&input, "input", "", "`FILE` with decisions, one JSON object a line; \"-\" is standard input")
	cmd.Flags().IntVar(&most, "most", 20, "how many jobs of a kind to list")
	return cmd
}

// decisions calls fn with each recorded decision, oldest first.
func (f *apiFlags) decisions(cmd *cobra.Command, since, input string, fn func(*decision.Decision)) error {
	if input != "" {
		return readDecisions(cmd, input, fn)
	}
	from, err := sinceFlag(since)
	if err != nil {
		return err
	}
	client, err := f.client(cmd)
	if err != nil {
		return err
	}
	return client.Decisions(cmd.Context(), from, fn)
}

func readDecisions(cmd *cobra.Command, path string, fn func(*decision.Decision)) error {
	const expected = "Paste decisions, one JSON object a line, then press Ctrl-D."
	return readInput(cmd, path, expected, func(in io.Reader) error {
		dec := json.NewDecoder(in)
		for n := 1; ; n++ {
			var d decision.Decision
			switch err := dec.Decode(&d); {
			case errors.Is(err, io.EOF):
				return nil
			case errors.Is(err, errInterrupted):
				return err
			case err != nil || d.Point == "":
				return usageError{fmt.Errorf("%s: entry %d is not a decision in JSON; take them from /v1/decisions", path, n)}
			}
			fn(&d)
		}
	})
}

func printReplay(w io.Writer, path string, p *policy.Policy, r *evaluate.Replayed, most int) error {
	fmt.Fprintf(w, "%s replayed by %s, hash %s: %d the same\n", terminal.Counted(r.Decisions, "decision"), path, p.Hash(),
		r.Same)
	if r.Skipped > 0 {
		fmt.Fprintf(w, "%s that no policy makes left out\n", terminal.Counted(r.Skipped, "decision"))
	}
	t := newTable(w)
	for _, part := range []struct {
		what string
		list []evaluate.Difference
	}{
		{"newly refused", r.Refused},
		{"newly allowed", r.Released},
		{"otherwise different", r.Changed},
		{"can't be told: the record lacks what the policy looks at", r.Undecided},
	} {
		fmt.Fprintf(t, "\n%d %s\n", len(part.list), part.what)
		for i, d := range part.list {
			if i == most {
				fmt.Fprintf(t, "  and %d more\n", len(part.list)-most)
				break
			}
			t.row("  "+d.At.UTC().Format("2006-01-02 15:04"), d.Queue, d.Ref.Name(),
				outcomeOf(d.Before.Verdict, d.Before.Reason, d.Before.Rule),
				"-> "+outcomeOf(d.After.Verdict, d.After.Reason, d.After.Rule))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\ncost %s, recorded %s\n", r.Cost, r.Before)
	if p.Sees("user.upn") {
		fmt.Fprintln(w, "The policy looks at user.upn, which decisions do not record: it is empty here.")
	}
	return nil
}
