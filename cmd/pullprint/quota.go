package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/evaluate"
	"pullprint/connector/terminal"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

func quotaCommand() *cobra.Command {
	var api apiFlags
	cmd := &cobra.Command{
		Use:   "quota",
		Short: "Show and change what is on print accounts",
		Long: `An account is that of a person, named by their Entra object id or user name, or one
that several share, named group.NAME or center.NAME. Amounts are pages, or units of the
currency that the policy names.`,
	}
	api.add(cmd)
	return verbs(cmd, quotaShow(&api), quotaSet(&api), quotaAdjust(&api), quotaHistory(&api), quotaUsage(&api))
}

// onAccount is a verb that takes an account and as many more arguments.
func onAccount(
	f *apiFlags, use, short string, args cobra.PositionalArgs,
	do func(cmd *cobra.Command, c *apiclient.Client, args []string) error,
) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			if a, err := quota.ParseAccount(args[0]); err != nil || a.Kind == quota.User {
				id, err := personIn("ACCOUNT", args[0])
				if err != nil {
					return usageError{
						fmt.Errorf("%q is not a valid account; write an Entra object ID (a GUID), a user name like anna@contoso.com, "+
							"group.NAME or center.NAME", args[0]),
					}
				}
				args[0] = id
			}
			c, err := f.client(cmd)
			if err != nil {
				return err
			}
			return do(cmd, c, args)
		},
	}
}

func quotaShow(f *apiFlags) *cobra.Command {
	return onAccount(f, "show ACCOUNT", "Show what is on an account", wants("ACCOUNT"),
		func(cmd *cobra.Command, c *apiclient.Client, args []string) error {
			return printAnswer(f, cmd, accountPrinter("no allowance is for %s\n"))(c.Quota(cmd.Context(), args[0]))
		})
}

// changedNobodys is what is told of a change to an account that nothing is charged to.
const changedNobodys = "stored, but no allowance is for %s: nothing is charged to it; look whether this is the " +
	"account that was meant\n"

// accountPrinter tells what is on an account; nobodys is said of one without an allowance.
func accountPrinter(nobodys string) func(io.Writer, evaluate.AccountStatus) error {
	return func(w io.Writer, s evaluate.AccountStatus) error { return printAccount(w, &s, nobodys) }
}

func printAccount(w io.Writer, s *evaluate.AccountStatus, nobodys string) error {
	if s.NoUser {
		fmt.Fprintln(w,
			"no user in Entra has this object ID: it is mistyped, or that of a printer, a group or a deleted account")
	}
	if len(s.Balances) == 0 {
		fmt.Fprintf(w, nobodys, s.Account)
		if len(s.Known) > 0 {
			fmt.Fprintf(w, "the policy has allowances for %s\n", strings.Join(s.Known, ", "))
		}
	}
	t := newTable(w)
	if len(s.Balances) > 0 {
		t.row("ALLOWANCE", "LEFT", "LIMIT", "CARRIED", "ADJUSTED", "SPENT", "RESERVED", "RENEWS")
	}
	for _, b := range s.Balances {
		t.row(strings.Join(b.Allowances, ", "), b.Left, b.Limit, b.Carried, b.Adjusted, b.Spent, b.Reserved,
			b.Renews.Local().Format("Mon 02 Jan 15:04"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range s.Stored.Reservations {
		fmt.Fprintf(w, "reserved  %s for job %s since %s\n", r.Amount, terminal.Printable(jobName(s.Queues, r.Job)),
			r.At.Local().Format("Mon 02 Jan 15:04:05"))
	}
	return nil
}

// jobName is a job as jobs list shows it, by the queues' names; PRINTER/JOB when the daemon
// knows no queue of the printer.
func jobName(queues map[string]string, name string) string {
	if q := queues[graph.RefOf(name).Printer]; q != "" {
		return q + "/" + graph.RefOf(name).Job
	}
	return name
}

func quotaSet(f *apiFlags) *cobra.Command {
	var why string
	cmd := onAccount(f, "set ACCOUNT LIMIT|default", "Give an account a limit of its own for this period",
		wants("ACCOUNT", "LIMIT"), func(cmd *cobra.Command, c *apiclient.Client, args []string) error {
			var limit *quota.Amount
			if args[1] != "default" {
				a, err := quota.ParseAmount(args[1])
				if err != nil || a < 0 {
					return usageError{
						fmt.Errorf("%q is not a valid limit; write a number as 50 or 12.50, or default for the limit of the policy",
							args[1]),
					}
				}
				limit = &a
			}
			return printAnswer(f, cmd, accountPrinter(changedNobodys))(c.SetQuota(cmd.Context(), args[0], limit, why))
		})
	cmd.Annotations = takesNegative
	cmd.Flags().StringVar(&why, "why", "", "what the history tells")
	return cmd
}

func quotaAdjust(f *apiFlags) *cobra.Command {
	var why string
	cmd := onAccount(f, "adjust ACCOUNT AMOUNT", "Give to an account in this period, or take from it with a negative "+
		"amount", wants("ACCOUNT", "AMOUNT"), func(cmd *cobra.Command, c *apiclient.Client, args []string) error {
		delta, err := quota.ParseAmount(strings.TrimPrefix(args[1], "+"))
		if err != nil || delta == 0 {
			return usageError{fmt.Errorf("%q is not a valid amount; write it as 10 or -2.5", args[1])}
		}
		if why == "" {
			return usageError{errors.New("--why is missing: the history tells it")}
		}
		return printAnswer(f, cmd, accountPrinter(changedNobodys))(c.AdjustQuota(cmd.Context(), args[0], delta, why))
	})
	cmd.Annotations = takesNegative
	cmd.Flags().StringVar(&why, "why", "", "what the history tells; needed")
	return cmd
}

func quotaHistory(f *apiFlags) *cobra.Command {
	var since string
	cmd := onAccount(f, "history ACCOUNT", "Tell who changed an account, when and why", wants("ACCOUNT"),
		func(cmd *cobra.Command, c *apiclient.Client, args []string) error {
			from, err := sinceFlag(since)
			if err != nil {
				return err
			}
			return printAnswer(f, cmd, func(w io.Writer, list apiclient.EntryList) error {
				by := people(list.Entries, func(e *quota.Entry) []string { return []string{e.By} })
				return printHistory(w, &list, namesOf(cmd, c, by...))
			})(c.QuotaHistory(cmd.Context(), args[0], from))
		})
	cmd.Flags().StringVar(&since, "since", "31d", "how far back, as 24h or 31d")
	return cmd
}

func printHistory(w io.Writer, list *apiclient.EntryList, names userNames) error {
	if len(list.Entries) == 0 {
		fmt.Fprintln(w, "nothing was charged to it or changed in that time; look further back by --since")
		return nil
	}
	t := newTable(w, "AT", "WHAT", "AMOUNT", "JOB", "BY", "WHY")
	for _, e := range list.Entries {
		amount := e.Amount.String()
		if e.Default {
			amount = "default"
		}
		t.row(e.At.Local().Format("Mon 02 Jan 15:04:05"), e.Kind, amount, orDash(jobName(list.Queues, e.Job)), names.of(e.By),
			e.Why)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if !list.Complete {
		fmt.Fprintln(w, "there is more: narrow it by --since")
	}
	return nil
}
