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
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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
	done := make(chan int, 1)
	go func() { done <- execute(ctx, os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr}) }()
	code := 0
	select {
	case code = <-done:
	case <-ctx.Done():
		code = awaitEnd(done, endsWithin(os.Args[1:]))
	}
	stop()
	os.Exit(code)
}

// How long after a signal a verb may take to end. What is still blocked then, as the
// opening of a named pipe is, ends with the process. Verbs annotated with drainsAtEnd
// get the longer time, which is more than the 25 seconds in which run ends.
const (
	endWithin   = 3 * time.Second
	drainWithin = 40 * time.Second
)

// drainsAtEnd marks verbs that have something to finish when a signal ends them.
var drainsAtEnd = map[string]string{"drains": "true"}

// endsWithin is how long the verb in args may take to end after a signal.
func endsWithin(args []string) time.Duration {
	if cmd, _, err := rootCommand().Find(args); err == nil && cmd.Annotations["drains"] != "" {
		return drainWithin
	}
	return endWithin
}

// awaitEnd is the exit code of a verb that a signal has ended.
func awaitEnd(done <-chan int, within time.Duration) int {
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case code := <-done:
		return code
	case <-t.C:
		printError(os.Stderr, errInterrupted)
		return exitFailed
	}
}

// execute runs one verb and turns its error into words on stderr and an exit
// code.
func execute(ctx context.Context, args []string, s stdio) int {
	err := run(ctx, args, s)
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errInterrupted):
		printError(s.err, errInterrupted)
		return exitFailed
	case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		printError(s.err, interruptedIn(err, context.Cause(ctx)))
		return exitFailed
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		printError(s.err, interruptedIn(err, context.Canceled))
		return exitFailed
	case errors.As(err, &usage):
		printError(s.err, err)
		return exitUsage
	default:
		printError(s.err, err)
		return exitFailed
	}
}

// printError prints an error once; one that already is a listing stands alone.
func printError(w io.Writer, err error) {
	text := strings.TrimRight(err.Error(), "\n")
	if strings.Contains(text, "\n") {
		fmt.Fprintln(w, text)
		return
	}
	fmt.Fprintln(w, "pullprint: "+text)
}

// run is the program.
func run(ctx context.Context, args []string, s stdio) error {
	root := rootCommand()
	root.SetArgs(withNegative(root, args))
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	return root.ExecuteContext(ctx)
}

// helpColumns is where lines of help about flags are broken: a line of a terminal has a
// few more, which pflag uses rather than leave one word alone.
const helpColumns = 95

// rootCommand is the program with all its verbs.
func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "pullprint",
		Short: "Pull printing, policy and reasons for Microsoft Universal Print",
		Long: `pullprint hears of every job sent to its Universal Print queues, decides by
policy, and holds the job, lets it print, or aborts it with a reason and a
remedy for its owner.

See it work, with no account and no network:  pullprint demo`,
		SilenceUsage:  true,
		SilenceErrors: true,

		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return refuseEmptyFlags(cmd.Flags()) },
	}
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages ", fmt.Sprintf(".FlagUsagesWrapped %d ",
		helpColumns)))
	root.PersistentFlags().String("config", "/etc/pullprint/config.yaml", "configuration `FILE`")
	verbs(root,
		runCommand(), demoCommand(), simulatorCommand(), checkCommand(), policyCommand(), pagesCommand(),
		jobsCommand(), badgeCommand(), pinCommand(), devicesCommand(), quotaCommand(), noticesCommand(), registerCommand(),
		doctorCommand(),
		healthCommand(), supportCommand(), backupCommand(), restoreCommand(), migrateCommand(),
		acceptLossCommand(), privacyCommand(), sessionsCommand(), versionCommand(), manCommand(),
	)
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Args = knownTopic
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if rest := cmd.Flags().Args(); cmd.HasAvailableSubCommands() && len(rest) > 0 {
			return knownVerb(cmd, rest) // the flag is one of the verb that was meant
		}
		var value *pflag.InvalidValueError
		var number *strconv.NumError
		if errors.As(err, &value) && errors.As(err, &number) {
			err = fmt.Errorf("--%s: %q is not a whole number that fits", value.GetFlag().Name, value.GetValue())
		}
		return usageError{fmt.Errorf("%w; see: %s --help", err, cmd.CommandPath())}
	})
	return root
}

// verbs makes a command that does nothing itself but has these verbs.
func verbs(cmd *cobra.Command, list ...*cobra.Command) *cobra.Command {
	cmd.Args = knownVerb
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(list...)
	return cmd
}

// knownTopic refuses to help with what is no verb.
func knownTopic(cmd *cobra.Command, args []string) error {
	found, rest, err := cmd.Root().Find(args)
	if err != nil || !found.HasAvailableSubCommands() {
		return err
	}
	return knownVerb(found, rest)
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
