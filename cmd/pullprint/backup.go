package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"pullprint/connector/bus"
	"pullprint/connector/bus/backup"
	"pullprint/connector/bus/disk"
	"pullprint/connector/config"
	"pullprint/connector/daemon"
	"pullprint/connector/integrity"
	"pullprint/connector/terminal"
	"pullprint/trigger/durable"
)

func backupCommand() *cobra.Command {
	var f apiFlags
	var overwrite bool
	cmd := &cobra.Command{
		Use:         "backup FILE",
		Annotations: drainsAtEnd,
		Short:       "Write a verified copy of all state to a file",
		Long: `Writes everything that pullprint remembers to FILE: held jobs, decisions, audit,
accounts and their history, badges, and what Microsoft Graph knows us by; all of it as it
was at one moment. Printing goes on meanwhile. The file is read back and checked before it
gets its name; one of that name that is there already stays, unless --overwrite is given. It
holds personal data and the secrets of the subscription: it is made readable for you alone; keep
it so. Secrets in files and the configuration are not in it.

With an embedded store it asks the running daemon for the copy (role admin), or, when none
is running, reads the store itself. With nats.url it reads from there.`,
		Args: wants("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := loadConfig(cmd, "")
			if err != nil {
				return err
			}
			c, err := f.writeBackup(cmd, cfg, args[0], overwrite)
			if err != nil {
				return err
			}
			return f.printContents(cmd.OutOrStdout(), c, "written to "+args[0]+" and read back")
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "replace FILE if there is one")
	return cmd
}

// checkTarget is an error when a file is there that has to stay.
func checkTarget(name string, overwrite bool) error {
	st, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return unwritable("the backup", name, err)
	case st.IsDir():
		return usageError{fmt.Errorf("%s is a folder: name a file in it", name)}
	case !overwrite:
		return usageError{fmt.Errorf("%s is there already: name another file, or give --overwrite", name)}
	}
	return nil
}

// writeBackup makes the file beside its place, checks it and puts it there: a file
// of that name is always whole.
func (f *apiFlags) writeBackup(
	cmd *cobra.Command, cfg *config.Config, name string, overwrite bool,
) (c backup.Contents, err error) {
	if err := checkTarget(name, overwrite); err != nil {
		return c, err
	}
	// A name of its own: two that are made at once don't write into one file.
	tmp, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.part")
	if err != nil {
		return c, unwritable("the backup", name, err)
	}
	defer func() {
		_ = tmp.Close()
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	err = bus.Backup(cmd.Context(), daemon.StoreConfig(cfg), toolOptions(), tmp)
	if errors.Is(err, disk.ErrLocked) {
		client, cerr := f.client(cmd)
		if cerr != nil {
			return c, fmt.Errorf("%w; a running daemon can be asked for a backup through its API: %w", err, cerr)
		}
		err = client.Backup(cmd.Context(), tmp)
	}
	if err != nil {
		return c, err
	}
	if err := tmp.Sync(); err != nil {
		return c, fmt.Errorf("write the backup: %w", err)
	}
	if c, err = verify(tmp); err != nil {
		return c, err
	}
	if err := checkTarget(name, overwrite); err != nil { // made since
		return c, err
	}
	if err := durable.Rename(tmp.Name(), name); err != nil {
		return c, fmt.Errorf("write the backup: %w", err)
	}
	return c, nil
}

func verify(f *os.File) (backup.Contents, error) {
	st, err := f.Stat()
	if err != nil {
		return backup.Contents{}, fmt.Errorf("read the backup: %w", err)
	}
	return backup.Verify(f, st.Size())
}

// toolOptions are those of a verb that opens a store for itself.
func toolOptions() bus.Options {
	return bus.Options{Logger: zap.NewNop(), Instance: "pullprint-tool"}
}

// printContents tells what was copied.
func (f *apiFlags) printContents(w io.Writer, c backup.Contents, what string) error {
	if f.json {
		return printJSON(w, c)
	}
	t := newTable(w, "WHAT", "RECORDS", "BYTES", "SHA-256")
	expired := 0
	for _, s := range c.Streams {
		t.row(s.Short(), s.Messages, s.Bytes, fmt.Sprintf("%.16s", s.SHA256))
		expired += s.Expired
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if expired > 0 {
		fmt.Fprintf(w, "left out, as their time was over: %s\n", terminal.Counted(int(expired), "record"))
	}
	fmt.Fprintf(w, "as of %s, %s\n", c.Created.Local().Format(time.RFC3339), what)
	return nil
}

func restoreCommand() *cobra.Command {
	var f apiFlags
	var replace, check bool
	cmd := &cobra.Command{
		Use:         "restore FILE",
		Annotations: drainsAtEnd,
		Short:       "Put a backup in the place of the state",
		Long: `Checks FILE, makes a new store of it, compares the two record by record, and only then
puts it where the configuration keeps its state. Every daemon has to be stopped. A store
that is not empty is replaced with --replace alone; an embedded one is kept beside it.

After the next start, jobs that were released or deleted since the backup are recognised
when they are touched: nothing is printed twice. What people spent since the backup is not
known any more: put it right by "pullprint quota adjust". Sessions and one-time codes of the
backup are void: people sign in again. Badges that were revoked, PINs that were reset,
delegations that were ended and people who were erased since are back: do it once more. Links
of devices that were renewed since stay so if the store that is replaced can be read; the
verb names them. If it can't, their old sheets are valid again: renew them once more.`,
		Args: wants("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := openNamed("the backup", args[0])
			if err != nil {
				return err
			}
			defer file.Close()
			if check {
				c, err := verify(file)
				if err != nil {
					return err
				}
				return f.printContents(cmd.OutOrStdout(), c, "whole")
			}
			cfg, err := loadConfig(cmd, "")
			if err != nil {
				return err
			}
			st, err := file.Stat()
			if err != nil {
				return fmt.Errorf("read the backup: %w", err)
			}
			r, err := bus.Restore(cmd.Context(), daemon.StoreConfig(cfg), file, st.Size(),
				bus.RestoreOptions{Options: toolOptions(), Replace: replace})
			if err != nil {
				return err
			}
			return f.printRestored(cmd.OutOrStdout(), r)
		},
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	cmd.Flags().BoolVar(&replace, "replace", false, "replace a store that is not empty")
	cmd.Flags().BoolVar(&check, "check", false, "only check the file, and say what is in it")
	return cmd
}

// printRestored tells what was restored, what was not, and what is to be looked at.
func (f *apiFlags) printRestored(w io.Writer, r bus.Restored) error {
	if f.json {
		return printJSON(w, r)
	}
	if err := f.printContents(w, r.Contents, "restored and compared"); err != nil {
		return err
	}
	if r.Replaced != "" {
		fmt.Fprintf(w, "what was there before is kept in %s: remove it when all is well\n", r.Replaced)
	}
	fmt.Fprintln(w, "void: all sessions and one-time codes; people sign in again, and codes are to be issued again")
	if len(r.RenewedLinks) > 0 {
		fmt.Fprintln(w, "kept: links of devices that were renewed since, of", strings.Join(r.RenewedLinks, ", "))
	}
	fmt.Fprintln(w, "as they were then: badges, PINs, delegations and links of devices; what was revoked, reset, ended or renewed "+
		"since is valid again, unless named as kept: do it once more")
	return nil
}

func migrateCommand() *cobra.Command {
	var f apiFlags
	var from, to string
	var replace bool
	cmd := &cobra.Command{
		Use:         "migrate --from CONFIG --to CONFIG",
		Annotations: drainsAtEnd,
		Short:       "Move all state to another store: from embedded to a cluster, or back",
		Long: `Copies all state from the store of one configuration to that of another, and compares
both record by record. Every daemon on either side has to be stopped: it looks whether one
is alive, and refuses. The source is left as it is: do not start a daemon on it again.
Interrupted, it can be run again.`,
		Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from == "" || to == "" {
				return usageError{
					errors.New("--from and --to are needed: the configuration of the store that is, and that of the store that " +
						"shall be"),
				}
			}
			source, err := loadNamed(from, "--from")
			if err != nil {
				return err
			}
			target, err := loadNamed(to, "--to")
			if err != nil {
				return err
			}
			c, err := bus.Migrate(cmd.Context(), daemon.StoreConfig(source), daemon.StoreConfig(target),
				bus.RestoreOptions{Options: toolOptions(), Replace: replace})
			if err != nil {
				return err
			}
			return f.printContents(cmd.OutOrStdout(), c, "moved and compared; start the daemons with "+to+" only")
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "`CONFIG` of the store that is")
	cmd.Flags().StringVar(&to, "to", "", "`CONFIG` of the store that shall be")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	cmd.Flags().BoolVar(&replace, "replace", false, "replace a target that is not empty")
	return cmd
}

func acceptLossCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "accept-loss",
		Short: "Go on with a store that has lost records, or holds some that can't be read",
		Long: `For a store that "run" refuses because it is behind its mark or damaged, or in which /readyz
names accounts, badges or state that can't be read: says what it is, asks, and makes the
store usable without. Restoring a backup is better, where there is one. The daemon has to be
stopped. That it was done, and by whom, is recorded in the audit.`,
		Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd, "")
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			o := toolOptions()
			o.CheckRecord = integrity.CheckRecord
			lost, err := bus.AcceptLoss(cmd.Context(), daemon.StoreConfig(cfg), o, operator(), func(lost []disk.Loss) error {
				for _, l := range lost {
					fmt.Fprintln(out, l)
				}
				switch {
				case yes:
					return nil
				case !isTerminal(cmd):
					return usageError{errors.New("there is no terminal to ask at; give --yes to go on without what is missing")}
				}
				if !agreed(cmd) {
					return errors.New("nothing was changed")
				}
				return nil
			})
			if err != nil {
				return err
			}
			if len(lost) == 0 {
				fmt.Fprintln(out, "nothing is missing")
				return nil
			}
			fmt.Fprintln(out, "accepted; the audit has it")
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// operator is who uses the verb, for the audit.
func operator() string { return "local " + terminal.User() }
