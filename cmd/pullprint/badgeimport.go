package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/terminal"
	"pullprint/policy/badge"
)

func badgeImport(f *apiFlags) *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Enrol the badges of a CSV file: all, or none if a row is wrong",
		Long: `Reads a CSV file, or standard input for -. Its first line names the columns:
badge, owner (an Entra object id or a user name), and if need be user_principal_name and
expires (2026-12-24T12:00:00Z, or 2026-12-24, which is the last day, in the zone of the
policy or else of the daemon's machine). Commas, semicolons and tabs, UTF-8 and UTF-16 are
read; Excel's "CSV" is neither, and its "CSV UTF-8" is. All rows are checked before any is
stored: a number that a spreadsheet has changed, as 2.74815E+15, is refused. With
--skip-invalid the rows that are right are enrolled; the others are named, and it exits 1.
A badge that was revoked stays so, and its row is named; --replace enrols it again.`,
		Args: wants("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			out, err := o.importFile(cmd, f, args[0])
			if err != nil {
				return err
			}
			err = f.output(cmd, out, func(w io.Writer) error { return printImported(w, out) })
			if out.Skipped > 0 {
				err = errors.Join(err, fmt.Errorf("%s left out; correct them", terminal.Counted(out.Skipped, "row")))
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&o.replace, "replace", false, "take badges away from whoever has them now, revoked ones too")
	cmd.Flags().BoolVar(&o.skip, "skip-invalid", false, "leave out the rows that are wrong, and enrol the others")
	cmd.Flags().BoolVar(&o.asIs, "as-is", false, "take numbers that look as if a spreadsheet had cut them")
	return cmd
}

// importOptions are the flags of badge import.
type importOptions struct{ replace, asIs, skip bool }

// importFile sends a file to the daemon and says which of its rows are wrong.
func (o importOptions) importFile(cmd *cobra.Command, f *apiFlags, file string) (out apiclient.Imported, err error) {
	c, err := f.client(cmd)
	if err != nil {
		return out, err
	}
	err = readInput(cmd, file, "Type or paste the CSV file, then press Ctrl-D.", func(in io.Reader) error {
		give := c.Import
		if o.skip {
			give = c.ImportValid
		}
		out, err = give(cmd.Context(), in, o.replace, o.asIs)
		return err
	})
	if wrong := badge.ImportError(nil); errors.As(err, &wrong) && !o.skip {
		hint := "no badge was enrolled; --skip-invalid enrols the rows that are right"
		if !slices.ContainsFunc(wrong, func(r *badge.RowError) bool { return r.Line > 1 }) { // the names of columns
			hint = "no badge was enrolled; correct the first line"
		}
		return out, fmt.Errorf("%w\n%s", err, hint)
	}
	if err != nil {
		return out, err
	}
	for _, w := range warnings(out.Left) {
		fmt.Fprintln(cmd.ErrOrStderr(), "not enrolled: "+w)
	}
	for _, w := range warnings(out.Warnings) {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning: "+w)
	}
	return out, nil
}

func printImported(w io.Writer, out apiclient.Imported) error {
	fmt.Fprintf(w, "%s enrolled\n", terminal.Counted(out.Enrolled, "badge"))
	if out.DatesIn != "" {
		fmt.Fprintf(w, "a date alone in expires is the last day: such a badge ends with it, in %s\n", out.DatesIn)
	}
	return nil
}

// maxWarned is how many lines of a file one warning names.
const maxWarned = 10

// warnings says each thing once, with the lines that it is said of.
func warnings(rows []*badge.RowError) (list []string) {
	lines := map[string][]int{}
	var messages []string
	for _, r := range rows {
		if lines[r.Message] == nil {
			messages = append(messages, r.Message)
		}
		lines[r.Message] = append(lines[r.Message], r.Line)
	}
	for _, m := range messages {
		var b strings.Builder
		for i, n := range lines[m] {
			if i == maxWarned {
				fmt.Fprintf(&b, " and %d more", len(lines[m])-maxWarned)
				break
			}
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprint(&b, n)
		}
		list = append(list, "line "+b.String()+": "+m)
	}
	return list
}
