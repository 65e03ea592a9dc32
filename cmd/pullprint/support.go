package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"pullprint/connector/access"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/config"
	"pullprint/connector/doctor"
	"pullprint/policy/strictyaml"
)

func supportCommand() *cobra.Command {
	var out, log string
	cmd := &cobra.Command{
		Use:   "support-bundle",
		Short: "Collect diagnostics for support, with names and secrets removed",
		Long: `Writes one file, readable for you alone, with what doctor finds, the configuration in
force, the policy's rules without their words, the build, and of the running daemon:
readiness, streams, metrics, goroutines and the last lines of its log (from the API
of admin.listen; from the journal of systemd when it does not answer; and from a file
given with --log).

Secrets are taken out. Names, ids, addresses and every other word that the program
could not have said itself are replaced: one word by the same in this file, and by
another in the next. Look at it before you send it.`,
		Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error { return support(cmd, out, log) },
	}
	cmd.Flags().StringVar(&out, "out", "",
		"`FILE` to write, - for standard output; pullprint-support-TIME.tar.gz when not given")
	cmd.Flags().StringVar(&log, "log", "", "`FILE` with lines of the daemon's log to put in as well")
	return cmd
}

func support(cmd *cobra.Command, out, log string) error {
	cfg, p, err := loadAll(cmd)
	var problems strictyaml.Problems
	if err != nil && (cfg == nil || !errors.As(err, &problems)) {
		return err
	}
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return err
	}
	b, err := doctor.Collect(cmd.Context(), doctor.Options{
		Config: cfg, Policy: p, Problems: problems, File: path, Log: log, API: ownAPI(cfg),
	})
	if err != nil {
		return err
	}
	return writeBundle(cmd, b, out)
}

// ownAPI is a client of the daemon's API, with an administrator's token of the
// configuration; nil without one.
func ownAPI(cfg *config.Config) *apiclient.Client {
	base, err := addressOf(cfg.Admin)
	file := cfg.Admin.TokenFile
	for _, t := range cfg.Admin.Tokens {
		if file == "" && t.Role == access.RoleAdmin {
			file = t.File
		}
	}
	if err != nil || file == "" {
		return nil
	}
	token, err := tokenIn(file)
	if err != nil {
		return nil
	}
	return apiclient.New(base, token)
}

// writeBundle writes it where it was asked for, and says what is in it.
func writeBundle(cmd *cobra.Command, b *doctor.Bundle, out string) error {
	told, where := cmd.OutOrStdout(), out
	if out == "-" {
		told, where = cmd.ErrOrStderr(), "standard output"
		if err := b.Pack(cmd.OutOrStdout()); err != nil {
			return err
		}
	} else if err := bundleFile(b, &where); err != nil {
		return err
	}
	fmt.Fprintf(told, "%s:\n", where)
	for _, f := range b.Files {
		fmt.Fprintf(told, "  %-15s %8d  %s\n", f.Name, len(f.Content), f.About)
	}
	for _, n := range b.Notes {
		fmt.Fprintf(told, "  %s\n", n)
	}
	if out != "-" {
		fmt.Fprintf(told, "Secrets are taken out and names replaced. Look at it before you send it: tar -xzOf %s | less\n",
			where)
	}
	return nil
}

// bundleFile writes a bundle to a file for its owner alone. One that is there stays.
func bundleFile(b *doctor.Bundle, where *string) error {
	if *where == "" {
		*where = "pullprint-support-" + time.Now().UTC().Format("20060102T150405Z") + ".tar.gz"
	}
	f, err := os.OpenFile(*where, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("write the bundle: %w; name another file with --out", err)
	case err != nil:
		return unwritable("the bundle", *where, err)
	}
	if err := errors.Join(b.Pack(f), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write the bundle: %w", err), os.Remove(*where))
	}
	return nil
}
