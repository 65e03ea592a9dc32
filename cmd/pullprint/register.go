package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"pullprint/connector/config"
	"pullprint/connector/daemon"
	"pullprint/connector/terminal"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/register"
)

func registerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "register",
		Short: "Put pullprint's trigger on the print queues",
		Long: `Microsoft Graph lets only a signed-in Printer Administrator read and change task
triggers. These verbs sign one in by a device code, keep the token in memory alone
unless --keep is given, and compare what is configured with what is there. They may
be interrupted and run again at any time.

With --keep the sign-in is kept, encrypted, where administrator.sign_in_file says:
the daemon then looks at the triggers itself, and these verbs need no new sign-in.
It can do what the administrator consented to, until it is revoked in Entra.`,
	}
	return verbs(cmd, registerPlan(), registerApply(), registerRemove())
}

func registerPlan() *cobra.Command {
	var r registration
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what apply would do; changes nothing",
		Args:  wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := r.open(cmd); err != nil {
				return err
			}
			plan, err := r.planner.Plan(cmd.Context(), r.queues)
			if err != nil {
				return err
			}
			r.weigh(cmd.Context(), plan)
			return r.show(cmd.OutOrStdout(), plan)
		},
	}
	r.flags(cmd)
	return cmd
}

func registerApply() *cobra.Command {
	var r registration
	cmd := &cobra.Command{
		Use:         "apply",
		Annotations: drainsAtEnd,
		Short:       "Show the plan, ask, and do it",
		Args:        wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return r.change(cmd, (*register.Planner).Plan, "create", (*register.Planner).Apply)
		},
	}
	r.flags(cmd)
	cmd.Flags().BoolVar(&r.yes, "yes", false, "do not ask")
	return cmd
}

func registerRemove() *cobra.Command {
	var r registration
	cmd := &cobra.Command{
		Use:         "remove",
		Annotations: drainsAtEnd,
		Short:       "Take away what is pullprint's: its triggers and its task definition",
		Long: `Takes pullprint's triggers off the configured queues, and then deletes its task
definition, and forgets the kept sign-in. Nothing of another app is touched. Stop the
daemon first: it makes the definition again. Jobs that are held stay held in Universal
Print until they expire.

Virtual printers that pullprint made (queues[].create) stay, with their shares, unless
--printers is given: whoever installed one has to do so again when it is made anew.`,
		Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return r.change(cmd, (*register.Planner).PlanRemoval, "remove", (*register.Planner).Remove)
		},
	}
	cmd.Flags().BoolVar(&r.yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&r.printers, "printers", false,
		"delete the virtual printers that pullprint made, with their shares")
	return cmd
}

// registration is what the verbs share.
type registration struct {
	replace, yes, json, keep, printers bool

	cfg     *config.Config
	app     *graph.Client
	planner *register.Planner
	queues  []register.Queue
	kept    auth.StoredSignIn
	loads   []weighed
}

func (r *registration) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&r.replace, "replace", false, "replace triggers of other apps by ours")
	cmd.Flags().BoolVar(&r.json, "json", false, "print the plan as JSON")
	cmd.Flags().BoolVar(&r.keep, "keep", false, "keep the sign-in, encrypted, for the daemon (administrator.sign_in_file)")
}

// open reads the configuration and signs the administrator in. What is asked of
// them goes to stderr, so that stdout is for pipes.
func (r *registration) open(cmd *cobra.Command) error {
	cfg, err := loadConfig(cmd, "")
	if err != nil {
		return err
	}
	r.cfg = cfg
	for _, q := range cfg.Queues {
		p := register.Queue{ID: q.PrinterID, Name: q.Name, Create: q.Create, ShareWith: q.ShareWith}
		for _, d := range cfg.Devices {
			if slices.Contains(d.Queues, q.Name) {
				p.Devices = append(p.Devices, d.PrinterID)
			}
		}
		r.queues = append(r.queues, p)
	}
	gc, o := cfg.Graph(), graph.Options{UserAgent: "pullprint/" + daemon.ReadBuild().Version}
	app, err := graph.New(gc, o)
	if err != nil {
		return usageError{err}
	}
	if err := app.SignIn(cmd.Context()); err != nil {
		return fmt.Errorf("sign the app in: %w%s", err, authorityAdvice(err))
	}
	admin, err := r.administrator(cmd, cfg, gc, o)
	if err != nil {
		return fmt.Errorf("sign the administrator in: %w%s", err, authorityAdvice(err))
	}
	r.app = app
	r.planner = &register.Planner{
		App: app, Admin: admin, AppID: cfg.Auth.ClientID, Definition: cfg.Trigger.Definition, Replace: r.replace,
		Provisioner: &register.Provisioner{App: app, Admin: admin, AppID: cfg.Auth.ClientID}, Printers: r.printers,
	}
	return nil
}

// administrator is whose sign-in is kept, or who signs in now. A new sign-in is
// asked for with --keep, and when the kept one is not honoured any more.
func (r *registration) administrator(
	cmd *cobra.Command, cfg *config.Config, gc graph.Config, o graph.Options,
) (*graph.Client, error) {
	keep, rights := cfg.Administrator, daemon.RegistrationRights(cfg, r.printers)
	r.kept = keep
	switch {
	case r.keep && !keep.Configured():
		return nil, usageError{
			errors.New("--keep: the configuration says nowhere to keep it; set administrator.sign_in_file and " +
				"administrator.key_file"),
		}
	case r.keep:
		if err := keep.Check(); err != nil {
			return nil, usageError{fmt.Errorf("--keep: %w", err)}
		}
	case keep.Configured():
		admin, err := graph.ResumePerson(cmd.Context(), gc, o, rights, keep)
		var refused *auth.Error
		switch {
		case err == nil:
			fmt.Fprintln(cmd.ErrOrStderr(), "Signed in by the kept sign-in.")
			return admin, nil
		case errors.Is(err, auth.ErrNotStored):
		case errors.As(err, &refused) && refused.Permanent():
			fmt.Fprintln(cmd.ErrOrStderr(), "The kept sign-in is of no use:", terminal.Printable(err.Error()))
		default:
			return nil, err
		}
	}
	admin, err := graph.SignInPerson(cmd.Context(), gc, o, rights, prompt(cmd, "a Printer Administrator"))
	if err != nil || !r.keep {
		return admin, err
	}
	if err := admin.StoreSignIn(keep); err != nil {
		return nil, err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "The sign-in is kept in %s, encrypted.\n", keep.SignInFile)
	return admin, nil
}

// prompt tells somebody on stderr how to sign in.
func prompt(cmd *cobra.Command, who string) func(auth.Prompt) {
	return func(p auth.Prompt) {
		fmt.Fprintf(cmd.ErrOrStderr(), "Sign in as %s: open %s and enter the code %s (until %s)\n", who,
			terminal.Printable(p.URL), terminal.Printable(p.Code), p.Expires.Local().Format("15:04"))
	}
}

// change shows a plan, asks, and has it done.
func (r *registration) change(
	cmd *cobra.Command, plan func(*register.Planner, context.Context, []register.Queue) (*register.Plan,
		error), what string,
	do func(*register.Planner, context.Context, *register.Plan, func(register.Step)) error,
) error {
	out := cmd.OutOrStdout()
	if !r.yes && !isTerminal(cmd) {
		return usageError{errors.New("there is no terminal to ask at; look at `pullprint register plan`, and give --yes")}
	}
	if err := r.open(cmd); err != nil {
		return err
	}
	p, err := plan(r.planner, cmd.Context(), r.queues)
	if err != nil {
		return err
	}
	if err := r.show(out, p); err != nil {
		return err
	}
	if n := p.Changes(); n > 0 || (what == "remove" && p.Definition.ID != "") {
		if !r.yes && !agreed(cmd) {
			return errors.New("nothing was changed; give --yes where nobody can answer")
		}
		err := do(r.planner, cmd.Context(), p, func(s register.Step) {
			if s.Err != nil {
				fmt.Fprintf(out, "failed  %s: %v\n", terminal.Printable(s.Name), s.Err)
				return
			}
			fmt.Fprintf(out, "done    %s: %s\n", terminal.Printable(s.Name), terminal.Printable(s.Done))
		})
		if err != nil {
			return fmt.Errorf("%w; what was done stays done: run it again", withoutCanceled(err))
		}
	}
	return r.conclusion(cmd.Context(), out, p, what)
}
