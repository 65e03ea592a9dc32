package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"pullprint/connector/doctor"
	"pullprint/connector/terminal"
)

func doctorCommand() *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Diagnose problems: network, sign-in, rights, printers, store",
		Long: `Checks the configuration, then what it names: files and certificates, the way to
Graph and to the authority, the clock, the store, the daemon and its ports, the
sign-in and the permissions in the token against those that the configuration needs,
the task definition and the subscription, triggers, each printer, groups, documents,
and the way from the internet to webhook.public_url. A line each: ok, warning or
failed, and what to do. Nothing is changed, unless --handshake is given.

Exits with 1 when something failed. The same as check --online.`,
		Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error { return runDoctor(cmd, f) },
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return cmd
}

// doctorFlags are those of doctor and of check --online.
type doctorFlags struct {
	json, handshake bool
	failOn, user    string
}

func (f *doctorFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.handshake, "handshake", false,
		"have Graph post to webhook.public_url: makes a subscription and deletes it at once")
	cmd.Flags().StringVar(&f.failOn, "fail-on", doctor.Failed, "exit with 1 from this result on: failed or warning")
	cmd.Flags().StringVar(&f.user, "user", "",
		"read the groups of this `USER` for a try: an Entra object id or a user name")
}

func runDoctor(cmd *cobra.Command, f doctorFlags) error {
	if !slices.Contains([]string{doctor.Failed, doctor.Warning}, f.failOn) {
		return usageError{fmt.Errorf("--fail-on takes %s or %s, not %q", doctor.Failed, doctor.Warning, f.failOn)}
	}
	if err := personFlag("user", &f.user); err != nil {
		return err
	}
	cfg, p, err := loadAll(cmd)
	if err != nil {
		return err
	}
	o := doctor.Options{Config: cfg, Policy: p, User: f.user, Handshake: f.handshake}
	if !f.json {
		o.Found = func(found doctor.Finding) { fmt.Fprint(cmd.OutOrStdout(), found) }
	}
	report := doctor.Run(cmd.Context(), o)
	if f.json {
		if err := printJSON(cmd.OutOrStdout(), report); err != nil {
			return err
		}
	}
	if err := cmd.Context().Err(); err != nil {
		return err
	}
	return f.verdict(report)
}

// verdict is an error when something is as bad as --fail-on says, or worse.
func (f doctorFlags) verdict(r doctor.Report) error {
	switch failed, warnings := r.Count(doctor.Failed), r.Count(doctor.Warning); {
	case failed > 0:
		return fmt.Errorf("%s failed", terminal.Counted(failed, "check"))
	case warnings > 0 && f.failOn == doctor.Warning:
		return errors.New(terminal.Counted(warnings, "warning"))
	}
	return nil
}
