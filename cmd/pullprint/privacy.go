package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"pullprint/connector"
	"pullprint/connector/bus"
	"pullprint/connector/config"
	"pullprint/policy/quota"
)

func privacyCommand() *cobra.Command {
	var f peopleFlags
	cmd := &cobra.Command{
		Use:   "privacy",
		Short: "Tell what is known about a person, and erase it",
		Long: `USER is an Entra object id, or a user name that Entra knows. When the account has been
deleted there, Entra knows the name no more: then give the object id, or a name that stands
on the badges of that person alone. It talks to the running daemon (role admin), which asks
Entra; when none runs, it works on an embedded store itself, where only badges tell
names. With nats.url, the daemon's NATS account may have no right to remove records: then
--direct works on the streams with the account of the configuration that it is given.`,
		Args: knownVerb,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f.add(cmd)
	cmd.PersistentFlags().BoolVar(&f.direct, "direct", false, "work on the streams of nats.url, not through the daemon")
	cmd.AddCommand(privacyExport(&f), privacyErase(&f))
	return cmd
}

// peopleFlags say where people are looked for.
type peopleFlags struct {
	apiFlags
	direct bool
}

func privacyExport(f *peopleFlags) *cobra.Command {
	return &cobra.Command{
		Use: "export USER", Short: "Print everything that is known about a person, as JSON", Args: wants("USER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var out connector.Person
			user, err := personIn("USER", args[0])
			if err != nil {
				return err
			}
			err = f.onPeople(cmd, func(p *connector.People) (err error) {
				out, err = p.Export(cmd.Context(), user)
				return err
			})
			if errors.Is(err, bus.ErrLocked) {
				c, cerr := f.client(cmd)
				if cerr != nil {
					return cerr
				}
				out, err = c.ExportPerson(cmd.Context(), user)
			}
			if err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), out)
		},
	}
}

func privacyErase(f *peopleFlags) *cobra.Command {
	var how connector.Erasure
	var yes bool
	cmd := &cobra.Command{
		Use: "erase USER", Short: "Erase everything that is known about a person",
		Annotations: drainsAtEnd,
		Long: `Removes a person's finished jobs, decisions, badges, delegations and account, with its
history. Where records of others tell of them, "erased" stands instead. Jobs that wait are
in the way, unless --cancel-held has them aborted. What they spent in the periods that run
stays, without anything else, until these are over, as they could spend it again: unless
--forget-budget.

The audit says that somebody was erased, and not who. Nothing is taken out of backups,
of exported ledgers and of what has been copied elsewhere.`,
		Args: wants("USER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			user, err := personIn("USER", args[0])
			if err != nil {
				return err
			}
			if !yes {
				if !isTerminal(cmd) {
					return usageError{
						errors.New("there is no terminal to ask at; look at `pullprint privacy export USER`, and give --yes"),
					}
				}
				fmt.Fprintln(out, "Everything about this person is erased; that can't be undone.")
				if !agreed(cmd) {
					return errors.New("nothing was changed")
				}
			}
			done, compacted, err := f.erase(cmd, user, how)
			if err != nil {
				return err
			}
			if f.json {
				return printJSON(out, done)
			}
			fmt.Fprintf(out, "erased: %d records removed, %d rewritten, %d jobs aborted\n", done.Removed, done.Rewritten,
				done.Canceled)
			switch {
			case compacted:
				fmt.Fprintln(out, "the store was written anew: nothing of it is left in its files")
			default:
				fmt.Fprintln(out, "bytes of deleted keys stay in the files of the store until these are compacted; erase again "+
					"while no daemon runs to have them written anew")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&how.CancelHeld, "cancel-held", false, "abort the jobs that wait")
	cmd.Flags().BoolVar(&how.ForgetBudget, "forget-budget", false, "also forget what was spent in the periods that run")
	return cmd
}

// erase erases a person through the daemon, or from the store itself when none runs:
// then its files are written anew.
func (f *peopleFlags) erase(
	cmd *cobra.Command, user string, how connector.Erasure,
) (done connector.Erased, compacted bool, err error) {
	var cfg *config.Config
	how.Actor = operator()
	err = f.onPeople(cmd, func(p *connector.People) (err error) {
		done, err = p.Erase(cmd.Context(), user, how)
		return err
	})
	if errors.Is(err, bus.ErrLocked) {
		c, cerr := f.client(cmd)
		if cerr != nil {
			return done, false, cerr
		}
		done, err = c.ErasePerson(cmd.Context(), user, how)
		return done, false, err
	}
	if err == nil {
		cfg, err = loadConfig(cmd, "")
	}
	if err == nil && cfg.NATS.Embedded == nil {
		return done, false, nil
	}
	if err == nil {
		err = bus.Compact(cmd.Context(), cfg.NATS, toolOptions())
	}
	return done, err == nil, err
}

// onPeople works on an embedded store that no daemon has: it is bus.ErrLocked when
// one has it, when it is no embedded store, or when the API is named.
func (f *peopleFlags) onPeople(cmd *cobra.Command, do func(*connector.People) error) error {
	if f.url != "" {
		return bus.ErrLocked
	}
	cfg, err := loadConfig(cmd, "")
	if err != nil {
		return err
	}
	if cfg.NATS.Embedded == nil && !f.direct {
		return bus.ErrLocked
	}
	b, err := bus.Open(cmd.Context(), cfg.NATS, toolOptions())
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	people := &connector.People{
		Records: b, Jobs: b.Jobs(), Badges: b.Badges(), Quota: b.Quota(), State: b.State(),
		Ledger: quota.NewLedger(b.Quota(), b), KeepJobs: cfg.Retention.KeepJobs(), Offline: cfg.NATS.Embedded != nil,
	}
	if err := b.AuditVerb(cmd.Context(), cmd.Name()+"-person", operator()); err != nil {
		return err
	}
	if err := do(people); err != nil {
		return err
	}
	return b.Close()
}
