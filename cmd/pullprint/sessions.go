package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/terminal"
)

func sessionsCommand() *cobra.Command {
	var f apiFlags
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "End the sessions of a person who signed in with Entra",
	}
	f.add(cmd)
	return verbs(cmd, sessionsEnd(&f))
}

func sessionsEnd(f *apiFlags) *cobra.Command {
	var note string
	cmd := &cobra.Command{
		Use:   "end USER",
		Short: "Sign a person out at every browser, as when a phone was stolen",
		Long: `Ends every session of a person at the pages and the API, at once and at every replica;
one that is being begun meanwhile ends, too. USER is an Entra object id or a user name. It
talks to the running daemon (role admin). The person may sign in again: where somebody else
has their phone, revoke the sessions in Entra first, or this browser signs in by itself.`,
		Args: wants("USER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			user, err := personIn("USER", args[0])
			if err != nil {
				return err
			}
			c, err := f.client(cmd)
			if err != nil {
				return err
			}
			return printAnswer(f, cmd, func(w io.Writer, done apiclient.SessionsEnded) error {
				_, err := fmt.Fprintf(w, "%s is signed out at every browser\n",
					terminal.Printable(namesOf(cmd, c, done.User).of(done.User)))
				return err
			})(c.EndSessions(cmd.Context(), user, note))
		},
	}
	cmd.Flags().StringVar(&note, "note", "", "`WORDS` that say in the audit why")
	return cmd
}
