package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/daemon"
	"pullprint/connector/decision"
	"pullprint/connector/sweep"
	"pullprint/connector/terminal"
	"pullprint/trigger/graph"
)

func quotaUsage(f *apiFlags) *cobra.Command {
	var days int
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "Compare with Graph's own report of what was printed",
		Long: `Signs a person in by a device code, as Graph gives its daily usage report to no app
(they need the delegated permission Reports.Read.All), adds up what this program let
print in the same days, and shows both. The newest whole day is told to the daemon, whose
metrics have it. Nothing is charged by it.`,
		Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if days < 1 || days > 30 {
				return usageError{errors.New("--days is 1 to 30")}
			}
			c, err := f.client(cmd)
			if err != nil {
				return err
			}
			list, err := compareUsage(cmd, c, days, time.Now().UTC())
			if err != nil {
				return err
			}
			if len(list) > 0 {
				if err := c.TellUsage(cmd.Context(), list[len(list)-1]); err != nil {
					return err
				}
			}
			return f.output(cmd, list, func(w io.Writer) error { return printUsage(w, list) })
		},
	}
	cmd.Flags().IntVar(&days, "days", 7, "how many whole days to compare")
	return cmd
}

// compareUsage compares the whole days before today, oldest first.
func compareUsage(cmd *cobra.Command, c *apiclient.Client, days int, now time.Time) ([]sweep.UsageDay, error) {
	person, err := reader(cmd)
	if err != nil {
		return nil, err
	}
	reported, err := person.DailyPrintUsage(cmd.Context())
	if err != nil {
		return nil, fmt.Errorf("read the usage report: %w", err)
	}
	today := now.Truncate(24 * time.Hour)
	list := make([]sweep.UsageDay, days)
	for i := range list {
		list[i].Date = today.AddDate(0, 0, i-days).Format(time.DateOnly)
		for _, u := range reported {
			if u.Date == list[i].Date {
				list[i].Graph = u.Pages
			}
		}
	}
	return list, addPrinted(cmd.Context(), c, list, today.AddDate(0, 0, -days))
}

// addPrinted adds up what decisions let print on each day.
func addPrinted(ctx context.Context, c *apiclient.Client, list []sweep.UsageDay, since time.Time) error {
	return c.Decisions(ctx, since, func(d *decision.Decision) {
		sides, prints, ok := sweep.Sides(d)
		i := slices.IndexFunc(list, func(u sweep.UsageDay) bool { return u.Date == d.At.UTC().Format(time.DateOnly) })
		switch {
		case i < 0 || !prints:
		case ok:
			list[i].Pullprint += sides
		default:
			list[i].Unknown++
		}
	})
}

// reader is a person who may read the report.
func reader(cmd *cobra.Command) (*graph.Client, error) {
	cfg, err := loadConfig(cmd, "")
	if err != nil {
		return nil, err
	}
	o := graph.Options{UserAgent: "pullprint/" + daemon.ReadBuild().Version}
	person, err := graph.SignInPerson(cmd.Context(), cfg.Graph(), o, graph.ReportRights,
		prompt(cmd, "somebody who may read reports"))
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	return person, nil
}

func printUsage(w io.Writer, list []sweep.UsageDay) error {
	t := newTable(w, "DAY", "GRAPH", "PULLPRINT", "DIVERGENCE", "PAGES NOT KNOWN")
	for _, u := range list {
		unknown := "-"
		if u.Unknown > 0 {
			unknown = terminal.Counted(u.Unknown, "job")
		}
		t.row(u.Date, u.Graph, u.Pullprint, fmt.Sprintf("%.0f %%", 100*u.Divergence()), unknown)
	}
	return t.Flush()
}
