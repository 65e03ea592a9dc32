package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/decision"
	"pullprint/connector/release"
	"pullprint/connector/terminal"
	"pullprint/trigger/graph"
)

func jobsRelease(f *apiFlags) *cobra.Command {
	var device string
	var set decision.Settings
	var mono, duplex bool
	cmd := onJob(f, "release", "Send a held job to a device, for its owner", func(
		cmd *cobra.Command, c *apiclient.Client, ref graph.Ref,
	) error {
		if device == "" {
			return usageError{errors.New("--device is missing: name the device where its owner stands")}
		}
		if cmd.Flags().Changed("copies") && set.Copies < 1 {
			return usageError{errors.New("--copies is out of range: write a number from 1")}
		}
		if mono {
			set.ColorMode = "blackAndWhite"
		}
		if duplex {
			set.DuplexMode = "flipOnLongEdge"
		}
		variant := &set
		if set == (decision.Settings{}) {
			variant = nil
		}
		return printAnswer(f, cmd, printOutcome)(c.Release(cmd.Context(), ref, device, variant, ""))
	})
	cmd.Flags().StringVar(&device, "device", "", "`ID` of the device")
	cmd.Flags().BoolVar(&mono, "mono", false, "print it in black and white")
	cmd.Flags().BoolVar(&duplex, "duplex", false, "print it on both sides")
	cmd.Flags().IntVar(&set.Copies, "copies", 0, "print fewer copies")
	return cmd
}

// printOutcome says what became of jobs; when none was released, that is an error.
func printOutcome(w io.Writer, out release.Outcome) error {
	for _, r := range out.Released {
		fmt.Fprintf(w, "released  %s/%s to printer %s\n", terminal.Printable(r.Queue), terminal.Printable(r.Job),
			terminal.Printable(r.Destination))
	}
	type line struct {
		word string
		release.Refused
	}
	var rest []line
	for _, r := range out.Kept {
		rest = append(rest, line{"kept", r})
	}
	for _, r := range out.Aborted {
		rest = append(rest, line{"aborted", r})
	}
	slices.SortStableFunc(rest, func(a, b line) int { // ids of jobs are numbers that count up
		return cmp.Or(cmp.Compare(len(a.Job), len(b.Job)), cmp.Compare(a.Job, b.Job), cmp.Compare(a.Queue, b.Queue))
	})
	for _, r := range rest {
		fmt.Fprintf(w, "%-8s  %s/%s: %s\n          %s %s\n", r.word, terminal.Printable(r.Queue), terminal.Printable(r.Job),
			r.Reason.Code,
			terminal.Printable(r.Reason.Text), terminal.Printable(r.Reason.Remedy))
	}
	if len(out.Released) == 0 {
		return errors.New("nothing was released")
	}
	return nil
}

func jobsCancel(f *apiFlags) *cobra.Command {
	var reason string
	cmd := onJob(f, "cancel", "Abort a held job, with a reason that its owner reads",
		func(cmd *cobra.Command, c *apiclient.Client, ref graph.Ref) error {
			return printAnswer(f, cmd, printCanceled)(c.Cancel(cmd.Context(), ref, reason))
		})
	cmd.Flags().StringVar(&reason, "reason", "", "`WORDS` for the owner")
	return cmd
}

func printCanceled(w io.Writer, out release.Refused) (err error) {
	name := terminal.Printable(out.Queue + "/" + out.Job)
	if out.Pending {
		_, err = fmt.Fprintf(w, "aborting %s: it will be deleted as soon as possible\n", name)
	} else {
		_, err = fmt.Fprintf(w, "aborted  %s: %s\n         %s %s\n", name, out.Reason.Code,
			terminal.Printable(out.Reason.Text), terminal.Printable(out.Reason.Remedy))
	}
	return err
}
