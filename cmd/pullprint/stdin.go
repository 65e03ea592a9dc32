package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// errInterrupted ends a verb that waited for its input when a signal came.
var errInterrupted = errors.New("interrupted")

// interruptedIn is err, which a signal brought about, with what was being done and
// without cause, the words of the context.
func interruptedIn(err, cause error) error {
	doing := strings.TrimSuffix(strings.TrimSuffix(err.Error(), cause.Error()), ": ")
	if doing == "" {
		return errInterrupted
	}
	return fmt.Errorf("interrupted: %s", doing)
}

// stdin is standard input as verbs read it: a read ends when a signal ends the
// verb. A terminal is told what is expected. It is the only way to standard input.
func stdin(cmd *cobra.Command, expected string) io.Reader {
	if isTerminal(cmd) && expected != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), expected)
	}
	return &interruptible{ctx: cmd.Context(), from: cmd.InOrStdin()}
}

// interruptible is a reader whose Read returns when ctx ends, though a read of a
// terminal or a pipe can't be ended itself: that one is left to the process's end.
type interruptible struct {
	ctx  context.Context
	from io.Reader
	rest []byte // read, and not asked for yet
}

// maxRead is how much is read at once, as in io.Copy.
const maxRead = 32 << 10

func (r *interruptible) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		type result struct {
			data []byte
			err  error
		}
		done := make(chan result, 1)
		go func() {
			b := make([]byte, maxRead)
			n, err := r.from.Read(b)
			done <- result{b[:n], err}
		}()
		select {
		case <-r.ctx.Done():
			return 0, errInterrupted
		case got := <-done:
			if len(got.data) == 0 {
				return 0, got.err
			}
			r.rest = got.data // an error comes again with the next read
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// isTerminal reports whether somebody sits at standard input.
func isTerminal(cmd *cobra.Command) bool {
	f, ok := cmd.InOrStdin().(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	if err != nil || st.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull) // a device as well, and nobody sits there
	return err != nil || !os.SameFile(st, null)
}

// agreed asks whether to go on.
func agreed(cmd *cobra.Command) bool {
	fmt.Fprint(cmd.OutOrStdout(), "Do it? [y/N] ")
	line, _ := bufio.NewReader(stdin(cmd, "")).ReadString('\n') // no answer is a no
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes"
}

// readInput calls read with a file that a flag or an argument names, "-" being
// standard input; expected tells a terminal what to type.
func readInput(cmd *cobra.Command, path, expected string, read func(io.Reader) error) error {
	if path == "-" {
		return read(stdin(cmd, expected))
	}
	file, err := openNamed("the input", path)
	if err != nil {
		return err
	}
	defer file.Close()
	return read(file)
}
