package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"pullprint/connector/bus"
	"pullprint/connector/bus/disk"
	"pullprint/connector/config"
	"pullprint/connector/daemon"
	"pullprint/connector/privacy"
	"pullprint/connector/terminal"
	"pullprint/policy/quota/ledger"
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
names: one that stands on badges of several people, or of a person whose badges have another
name, too, is refused there with the object id. With nats.url, the daemon's NATS account
may have no right to remove records: then --direct works on the streams with the account of
the configuration that it is given.`,
	}
	f.add(cmd)
	cmd.PersistentFlags().BoolVar(&f.direct, "direct", false, "work on the streams of nats.url, not through the daemon")
	return verbs(cmd, privacyExport(&f), privacyErase(&f))
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
			var out privacy.Person
			user, err := personIn("USER", args[0])
			if err != nil {
				return err
			}
			err = f.onPeople(cmd, nil, func(p *privacy.People) (err error) {
				out, err = p.Export(cmd.Context(), user)
				if err == nil && out.None() {
					err = fmt.Errorf("nothing is stored about %s: 0 records", out.User)
				}
				return err
			})
			if errors.Is(err, disk.ErrLocked) {
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
	var how privacy.Erasure
	var yes bool
	confirm := func(cmd *cobra.Command, id string) error {
		if yes {
			return nil
		}
		fmt.Fprintf(cmd.OutOrStdout(), "Everything about the person with the object ID %s is erased; that can't be undone.\n",
			id)
		if !agreed(cmd) {
			return errors.New("nothing was changed")
		}
		return nil
	}
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
			user, err := personIn("USER", args[0])
			if err != nil {
				return err
			}
			if !yes && !isTerminal(cmd) {
				return usageError{
					errors.New("there is no terminal to ask at; look at `pullprint privacy export USER`, and give --yes"),
				}
			}
			done, compacted, err := f.erase(cmd, user, how, confirm)
			if err != nil {
				return err
			}
			return f.output(cmd, done, func(w io.Writer) error { return printErased(w, done, compacted) })
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&how.CancelHeld, "cancel-held", false, "abort the jobs that wait")
	cmd.Flags().BoolVar(&how.ForgetBudget, "forget-budget", false, "also forget what was spent in the periods that run")
	return cmd
}

func printErased(w io.Writer, done privacy.Erased, compacted bool) error {
	if done.None() {
		fmt.Fprintf(w, "nothing is stored about %s: 0 records\n", done.Owner)
	} else {
		fmt.Fprintf(w, "erased %s: %s removed, %d rewritten, %s aborted\n", done.Owner,
			terminal.Counted(done.Removed, "record"), done.Rewritten, terminal.Counted(done.Canceled, "job"))
	}
	if compacted {
		fmt.Fprintln(w, "the store was written anew: nothing of it is left in its files")
		return nil
	}
	_, err := fmt.Fprintf(w, "bytes of deleted keys stay in the files of the store until these are compacted; run "+
		"`pullprint privacy erase %s` again while no daemon runs to have them written anew\n", done.Owner)
	return err
}

// erase erases a person through the daemon, or from the store itself when none runs:
// then its files are written anew. Whoever the name stands for is confirmed before, and it is
// that object id that is erased.
func (f *peopleFlags) erase(cmd *cobra.Command, user string, how privacy.Erasure,
	confirm func(cmd *cobra.Command, id string) error,
) (done privacy.Erased, compacted bool, err error) {
	var cfg *config.Config
	how.Actor = operator()
	id := ""
	err = f.onPeople(cmd, func(p *privacy.People) (err error) {
		if id, err = p.Resolve(cmd.Context(), user); err != nil {
			return err
		}
		return confirm(cmd, id)
	}, func(p *privacy.People) (err error) {
		done, err = p.Erase(cmd.Context(), id, how)
		return err
	})
	if errors.Is(err, disk.ErrLocked) {
		done, err = f.eraseByDaemon(cmd, user, how, confirm)
		return done, false, err
	}
	if err == nil {
		cfg, err = loadConfig(cmd, "")
	}
	if err == nil && cfg.NATS.Embedded == nil {
		return done, false, nil
	}
	if err == nil {
		err = bus.Compact(cmd.Context(), daemon.StoreConfig(cfg), toolOptions())
	}
	return done, err == nil, err
}

func (f *peopleFlags) eraseByDaemon(cmd *cobra.Command, user string, how privacy.Erasure,
	confirm func(cmd *cobra.Command, id string) error,
) (done privacy.Erased, err error) {
	c, err := f.client(cmd)
	if err != nil {
		return done, err
	}
	id, err := c.FindPerson(cmd.Context(), user)
	if err != nil {
		return done, err
	}
	if err := confirm(cmd, id); err != nil {
		return done, err
	}
	return c.ErasePerson(cmd.Context(), id, how)
}

// onPeople works on an embedded store that no daemon has: it is disk.ErrLocked when
// one has it, when it is no embedded store, or when the API is named. first, when not nil,
// is called before the audit says that something is done.
func (f *peopleFlags) onPeople(cmd *cobra.Command, first, do func(*privacy.People) error) error {
	if f.url != "" {
		return disk.ErrLocked
	}
	cfg, err := loadConfig(cmd, "")
	if err != nil {
		return err
	}
	if cfg.NATS.Embedded == nil && !f.direct {
		return disk.ErrLocked
	}
	b, err := bus.Open(cmd.Context(), daemon.StoreConfig(cfg), toolOptions())
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	people := &privacy.People{
		Records: b, Jobs: b.Jobs(), Badges: b.Badges(), Quota: b.Quota(), State: b.State(),
		Ledger: ledger.New(b.Quota(), b, rand.Text), JobRetention: cfg.Retention.KeepJobs(), Offline: cfg.NATS.Embedded != nil,
	}
	if first != nil {
		if err := first(people); err != nil {
			return err
		}
	}
	if err := b.AuditVerb(cmd.Context(), cmd.Name()+"-person", operator()); err != nil {
		return err
	}
	if err := do(people); err != nil {
		return err
	}
	return b.Close()
}
