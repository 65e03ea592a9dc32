package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"pullprint/connector/admin/apiclient"
)

func pinCommand() *cobra.Command {
	var f apiFlags
	cmd := &cobra.Command{
		Use:   "pin",
		Short: "Look at, unlock and remove the PINs of people",
		Long: `Talks to the running daemon. People set their PINs themselves, on their own page or at a
station with a code from the help desk; nobody can read one. USER is an Entra object id or a
user name.`,
	}
	f.add(cmd)
	return verbs(cmd, pinShow(&f), pinUnlock(&f), pinReset(&f))
}

func pinShow(f *apiFlags) *cobra.Command {
	return pinVerb(f, &cobra.Command{Use: "show USER", Short: "Whether a person has a PIN, since when, and whether it is locked"},
		(*apiclient.Client).PIN)
}

func pinUnlock(f *apiFlags) *cobra.Command {
	return pinChange(f, &cobra.Command{Use: "unlock USER", Short: "Forget the wrong tries at a person's PIN (role operate)"},
		(*apiclient.Client).UnlockPIN)
}

func pinReset(f *apiFlags) *cobra.Command {
	return pinChange(f, &cobra.Command{
		Use: "reset USER", Short: "Remove a person's PIN (role operate)",
		Long: `Removes a person's PIN, as when somebody else knows it, and ends the visits to stations that were
begun with it. Until the person sets another, devices that ask for a PIN let them in no more.`,
	}, (*apiclient.Client).ResetPIN)
}

// pinChange is a verb that changes a person's PIN.
func pinChange(
	f *apiFlags, cmd *cobra.Command,
	do func(c *apiclient.Client, ctx context.Context, user, note string) (apiclient.PINState, error),
) *cobra.Command {
	var note string
	cmd = pinVerb(f, cmd, func(c *apiclient.Client, ctx context.Context, user string) (apiclient.PINState, error) {
		return do(c, ctx, user, note)
	})
	cmd.Flags().StringVar(&note, "note", "", "`WORDS` that say in the audit why")
	return cmd
}

// pinVerb is a verb that prints the state of a person's PIN.
func pinVerb(
	f *apiFlags, cmd *cobra.Command,
	do func(c *apiclient.Client, ctx context.Context, user string) (apiclient.PINState, error),
) *cobra.Command {
	cmd.Args = wants("USER")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		user, err := personIn("USER", args[0])
		if err != nil {
			return err
		}
		c, err := f.client(cmd)
		if err != nil {
			return err
		}
		return printAnswer(f, cmd, func(w io.Writer, s apiclient.PINState) error {
			return printPIN(w, &s, namesOf(cmd, c, s.User, s.By))
		})(do(c, cmd.Context(), user))
	}
	return cmd
}

func printPIN(w io.Writer, s *apiclient.PINState, names userNames) error {
	t := newTable(w, "USER", "PIN", "BY", "STATE")
	set, state := "none", "-"
	if s.Set {
		set, state = "set "+s.Changed.Local().Format("02 Jan 2006"), "open"
	}
	switch {
	case s.LockedForGood:
		state = "locked until it is unlocked or set anew"
	case !s.LockedUntil.IsZero():
		state = "locked until " + s.LockedUntil.Local().Format("15:04")
	}
	t.row(names.of(s.User), set, names.of(s.By), state)
	return t.Flush()
}
