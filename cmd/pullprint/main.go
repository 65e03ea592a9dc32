// Command pullprint stands between Microsoft Universal Print and the printers:
// it hears of every job, decides by policy, and holds it, lets it print, or
// aborts it with a reason its owner understands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// The exit codes, as documented in the README.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong usage or bad configuration
)

// stdio is what a verb reads and writes.
type stdio struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// usageError marks an error of usage or configuration: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// execute runs one verb and turns its error into words on stderr and an exit
// code.
func execute(ctx context.Context, args []string, s stdio) int {
	err := run(ctx, args, s)
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		complain(s.err, err)
		return exitUsage
	default:
		complain(s.err, err)
		return exitFailed
	}
}

// complain prints an error once; one that already is a listing stands alone.
func complain(w io.Writer, err error) {
	text := strings.TrimRight(err.Error(), "\n")
	if strings.Contains(text, "\n") {
		fmt.Fprintln(w, text)
		return
	}
	fmt.Fprintln(w, "pullprint: "+text)
}

// run is the program.
func run(ctx context.Context, args []string, s stdio) error {
	root := &cobra.Command{
		Use:   "pullprint",
		Short: "Pull printing, policy and reasons for Microsoft Universal Print",
		Long: `pullprint hears of every job sent to its Universal Print queues, decides by
policy, and holds the job, lets it print, or aborts it with a reason and a
remedy for its owner.

See it work, with no account and no network:  pullprint demo`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownVerb,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().String("config", "/etc/pullprint/config.yaml", "configuration `FILE`")
	root.AddCommand(
		runCommand(), demoCommand(), simulatorCommand(), checkCommand(), policyCommand(),
		jobsCommand(), badgeCommand(), quotaCommand(), registerCommand(), doctorCommand(),
		healthCommand(), supportCommand(), backupCommand(), restoreCommand(), migrateCommand(),
		acceptLossCommand(), privacyCommand(), versionCommand(), manCommand(),
	)
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see: %s --help", err, cmd.CommandPath())}
	})
	return root.ExecuteContext(ctx)
}

// knownVerb refuses what is no verb of a command that only has verbs.
func knownVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf(", did you mean %q?", near[0])
	}
	return usageError{fmt.Errorf("unknown verb %q%s; see: %s --help", args[0], hint, cmd.CommandPath())}
}

// wants is the arguments a verb takes, by their names in its usage line.
func wants(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > len(names):
			return usageError{fmt.Errorf("too many arguments: %q; see: %s --help", args[len(names)], cmd.CommandPath())}
		case len(args) < len(names):
			return usageError{fmt.Errorf("%s is missing; see: %s --help", names[len(args)], cmd.CommandPath())}
		}
		return nil
	}
}
