package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"pullprint/connector/admin/apiclient"
	"pullprint/policy/badge"
	"pullprint/trigger/graph"
)

func badgeCommand() *cobra.Command {
	var f apiFlags
	cmd := &cobra.Command{
		Use:   "badge",
		Short: "Enrol, list, revoke and import badges",
		Long: `Talks to the running daemon. The number of a badge is read from standard input,
as a typing reader tells it, and never from the command line, where others could
see it.`,
	}
	f.add(cmd)
	return verbs(cmd, badgeEnrol(&f), badgeList(&f), badgeRevoke(&f), badgeImport(&f), badgeCode(&f))
}

// readNumber reads a card number: a line that somebody types or a reader does, or all of
// what is piped in, which has to be one number.
func readNumber(cmd *cobra.Command) (string, error) {
	in := bufio.NewReader(io.LimitReader(stdin(cmd, "Hold the badge to the reader, or type its number and press Enter."),
		4096))
	line, err := in.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the badge: %w", err)
	}
	var more []byte
	if !isTerminal(cmd) {
		if more, err = io.ReadAll(in); err != nil {
			return "", fmt.Errorf("read the badge: %w", err)
		}
	}
	switch more = bytes.TrimSpace(more); {
	case strings.TrimSpace(line) != "" && len(more) > 0:
		return "", usageError{errors.New("standard input has more than one line; enrol several badges with " +
			"`pullprint badge import FILE`")}
	case len(more) > 0:
		return "", usageError{errors.New("the first line of standard input is empty; it must be the number of the badge")}
	case !utf8.ValidString(line): // JSON would put the same character in the place of each that is none
		return "", usageError{errors.New("the number on standard input is not in UTF-8; pipe it in as UTF-8")}
	}
	if strings.TrimSpace(line) == "" {
		return "", usageError{errors.New("no badge on standard input; hold the badge to the reader, or pipe its number in")}
	}
	return strings.TrimRight(line, "\r\n"), nil
}

func badgeEnrol(f *apiFlags) *cobra.Command {
	var e badge.Enrolment
	var life time.Duration
	cmd := &cobra.Command{
		Use: "enrol", Short: "Make a badge its owner's; its number is read from standard input", Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := ownerFlag(&e.Owner); err != nil {
				return err
			}
			c, err := f.client(cmd)
			if err != nil {
				return err
			}
			number, err := readNumber(cmd)
			if err != nil {
				return err
			}
			if life > 0 {
				e.Expires = time.Now().Add(life)
			}
			b, err := c.Enrol(cmd.Context(), number, e)
			if err != nil {
				return err
			}
			if b.Warning != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning: "+b.Warning)
			}
			return f.output(cmd, b, func(w io.Writer) error { return printBadges(w, []badge.Badge{b}, badgeNames(cmd, c, []badge.Badge{b})) })
		},
	}
	cmd.Flags().StringVar(&e.Owner, "owner", "", "whose it is: `USER`, an Entra object id or a user name")
	cmd.Flags().StringVar(&e.UserPrincipalName, "upn", "", "their user principal `NAME`, for lists")
	durationVar(cmd.Flags(), &life, "for", 0, "for how long, of a temporary badge")
	cmd.Flags().BoolVar(&e.Replace, "replace", false, "take it away from whoever has it now")
	return cmd
}

func printBadges(w io.Writer, list []badge.Badge, names userNames) error {
	if len(list) == 0 {
		fmt.Fprintln(w, "none")
		return nil
	}
	t := newTable(w, "BADGE", "OWNER", "NAME", "ENROLLED", "BY", "STATE")
	for _, b := range list {
		state := "valid"
		switch {
		case !b.Revoked.IsZero():
			state = "revoked " + b.Revoked.Local().Format("02 Jan 2006")
		case !ownedByPerson(b):
			state = "opens nothing: the owner is not an Entra object ID"
		case b.Expires.IsZero():
		case b.Expires.Before(time.Now()):
			state = "expired " + b.Expires.Local().Format("02 Jan 2006")
		default:
			state = "until " + b.Expires.Local().Format("02 Jan 2006 15:04")
		}
		name := cmp.Or(names[graph.Canonical(b.Owner)], b.UserPrincipalName)
		t.row(b.ID, b.Owner, orDash(name), b.Enrolled.Local().Format("02 Jan 2006"), names.of(b.By), state)
	}
	return t.Flush()
}

// badgeNames are the names of those whose badges are listed, and of who enrolled them.
func badgeNames(cmd *cobra.Command, c *apiclient.Client, list []badge.Badge) userNames {
	return namesOf(cmd, c, people(list, func(b *badge.Badge) []string { return []string{b.Owner, b.By} })...)
}

// ownedByPerson reports whether a badge can open anything: an earlier version enrolled
// badges for any word.
func ownedByPerson(b badge.Badge) bool {
	_, ok := graph.CanonicalGUID(b.Owner)
	return ok
}

func badgeList(f *apiFlags) *cobra.Command {
	var owner string
	cmd := &cobra.Command{
		Use: "list", Short: "List badges; a list shows no card number", Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := personFlag("owner", &owner); err != nil {
				return err
			}
			c, err := f.client(cmd)
			if err != nil {
				return err
			}
			return printAnswer(f, cmd, func(w io.Writer, list []badge.Badge) error {
				return printBadges(w, list, badgeNames(cmd, c, list))
			})(c.Badges(cmd.Context(), owner))
		},
	}
	cmd.Flags().StringVar(&owner, "owner", "", "only those of a `USER`, an Entra object id or a user name")
	return cmd
}

func badgeRevoke(f *apiFlags) *cobra.Command {
	var w badge.Which
	var number bool
	cmd := &cobra.Command{
		Use: "revoke", Short: "End a badge, or all of a person", Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			given := []bool{w.ID != "", w.Owner != "", w.KeyID != "", number}
			if len(slices.DeleteFunc(given, func(is bool) bool { return !is })) != 1 {
				return usageError{errors.New("give one of --id, --owner, --number and --key")}
			}
			if err := personFlag("owner", &w.Owner); err != nil {
				return err
			}
			c, err := f.client(cmd)
			if err != nil {
				return err
			}
			if number {
				if w.Number, err = readNumber(cmd); err != nil {
					return err
				}
			}
			return printAnswer(f, cmd, func(w io.Writer, list []badge.Badge) error {
				if len(list) == 0 {
					_, err := fmt.Fprintln(w, "it was revoked before")
					return err
				}
				return printBadges(w, list, badgeNames(cmd, c, list))
			})(c.Revoke(cmd.Context(), w, ""))
		},
	}
	cmd.Flags().StringVar(&w.ID, "id", "", "the badge with this `ID`, as badge list shows it")
	cmd.Flags().StringVar(&w.Owner, "owner", "", "all of a `USER`, an Entra object id or a user name")
	cmd.Flags().BoolVar(&number, "number", false, "the badge whose number is read from standard input")
	cmd.Flags().StringVar(&w.KeyID, "key", "", "remove all that were enrolled under a key that is lost, by its `ID`")
	return cmd
}

func badgeCode(f *apiFlags) *cobra.Command {
	var in apiclient.CodeBody
	var life time.Duration
	cmd := &cobra.Command{
		Use: "code", Short: "Make a one-time code that a person types at a station", Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := ownerFlag(&in.Owner); err != nil {
				return err
			}
			c, err := f.client(cmd)
			if err != nil {
				return err
			}
			does, ok := map[string]string{
				"badge": "enrols one badge", "visit": "shows their jobs once, without the badge,", "pin": "sets their PIN once",
			}[in.For]
			if !ok {
				return usageError{errors.New("--for is badge, visit or pin")}
			}
			in.ValidFor = life.String()
			return printAnswer(f, cmd, func(w io.Writer, out apiclient.CodeIssued) error {
				_, err := fmt.Fprintf(w, "%s\nIt %s at any release station, until %s.\n", out.Code, does,
					out.Expires.Local().Format("Mon 02 Jan 15:04"))
				return err
			})(c.Code(cmd.Context(), in))
		},
	}
	cmd.Flags().StringVar(&in.Owner, "owner", "", "for whom: `USER`, an Entra object id or a user name")
	cmd.Flags().StringVar(&in.UserPrincipalName, "upn", "", "their user principal `NAME`, for lists")
	cmd.Flags().StringVar(&in.For, "for", "badge",
		"`WHAT` it is for: badge enrols one, visit prints once without a badge, pin sets a PIN")
	durationVar(cmd.Flags(), &life, "valid-for", 24*time.Hour, "for how long, at most 7d")
	return cmd
}
