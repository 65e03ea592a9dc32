package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/delegation"
	"pullprint/connector/terminal"
)

func jobsDelegate(f *apiFlags) *cobra.Command {
	var owner, to string
	var life time.Duration
	var list, remove bool
	cmd := &cobra.Command{
		Use: "delegate", Short: "Let another person release an owner's jobs for a time", Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if list {
				err = without(cmd.Flags(), "--list", "remove", "for")
			} else if remove {
				err = without(cmd.Flags(), "--remove", "for")
			}
			if err != nil {
				return err
			}
			if !list && (owner == "" || to == "") {
				return usageError{errors.New("--owner and --to are needed, or --list")}
			}
			if err := errors.Join(personFlag("owner", &owner), personFlag("to", &to)); err != nil {
				return err
			}
			c, err := f.client(cmd)
			if err != nil {
				return err
			}
			switch ctx := cmd.Context(); {
			case list:
				return printAnswer(f, cmd, func(w io.Writer, list []delegation.Delegation) error {
					ids := people(list, func(d *delegation.Delegation) []string { return []string{d.Owner, d.To, d.By} })
					return printDelegations(w, list, namesOf(cmd, c, ids...))
				})(c.Delegations(ctx, apiclient.DelegationFilter{Owner: owner, To: to}))
			case remove:
				if err := c.Undelegate(ctx, owner, to); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s may not release the jobs of %s any more\n", terminal.Printable(to),
					terminal.Printable(owner))
				return nil
			}
			return printAnswer(f, cmd, func(w io.Writer, d delegation.Delegation) error {
				names := namesOf(cmd, c, d.Owner, d.To)
				_, err := fmt.Fprintf(w, "%s may release the jobs of %s until %s\n", terminal.Printable(names.of(d.To)),
					terminal.Printable(names.of(d.Owner)), d.Expires.Local().Format("Mon 02 Jan 15:04"))
				return err
			})(c.Delegate(cmd.Context(), owner, to, time.Now().Add(life)))
		},
	}
	cmd.Flags().StringVar(&owner, "owner", "", "whose jobs: `USER`, an Entra object id or a user name")
	cmd.Flags().StringVar(&to, "to", "", "who may release them: `USER`, an Entra object id or a user name")
	durationVar(cmd.Flags(), &life, "for", 24*time.Hour, "for how long, at most 31d")
	cmd.Flags().BoolVar(&list, "list", false, "list those that hold; with --owner and --to only theirs")
	cmd.Flags().BoolVar(&remove, "remove", false, "end it")
	return cmd
}

func printDelegations(w io.Writer, list []delegation.Delegation, names userNames) error {
	if len(list) == 0 {
		fmt.Fprintln(w, "none")
		return nil
	}
	t := newTable(w, "OWNER", "TO", "UNTIL", "BY")
	for _, d := range list {
		if d.Damaged {
			t.row(names.of(d.Owner), names.of(d.To), "damaged: it lets nobody do anything; end it with --remove", "-")
			continue
		}
		t.row(names.of(d.Owner), names.of(d.To), d.Expires.Local().Format("Mon 02 Jan 15:04"), names.of(d.By))
	}
	return t.Flush()
}
