package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"pullprint/connector/terminal"
	"pullprint/policy"
	"pullprint/policy/policyfile"
)

func policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Work on a policy file",
	}
	return verbs(cmd, policyCheckCommand(), policyTestCommand(), policyExplainCommand(), policyReplayCommand())
}

func policyCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Check a policy file; prints every error with its place",
		Args:  wants("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := loadPolicy(args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: ok, %s, hash %s\n", args[0], p.Summary(), p.Hash())
			return nil
		},
	}
}

func policyTestCommand() *cobra.Command {
	var verbose, junit, asJSON bool
	cmd := &cobra.Command{
		Use:   "test FILE",
		Short: "Run the tests in a policy file, and name the rules that none is about",
		Long: `Runs the tests of a policy file. They also run whenever the file is loaded: the
daemon keeps the old policy when one fails. Exits with 1 when a test fails.`,
		Args: wants("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			src, err := readPolicy(args[0])
			if err != nil {
				return err
			}
			r, err := policyfile.Test(args[0], src)
			if err != nil {
				return usageError{err}
			}
			switch w := cmd.OutOrStdout(); {
			case junit:
				err = printJUnit(w, r)
			case asJSON:
				err = printJSON(w, r)
			default:
				printReport(w, r, verbose)
			}
			if n := r.Failed(); err == nil && n > 0 {
				return fmt.Errorf("%s of %d failed", terminal.Counted(n, "test"), len(r.Results))
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "also list the tests that pass")
	cmd.Flags().BoolVar(&junit, "junit", false, "print JUnit XML")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printReport(w io.Writer, r *policyfile.Report, verbose bool) {
	for _, t := range r.Results {
		switch {
		case t.Failure != "":
			fmt.Fprintf(w, "FAIL  %s:%d: %s: %s\n", r.File, t.Line, terminal.Printable(t.Name), terminal.Printable(t.Failure))
		case verbose:
			fmt.Fprintf(w, "ok    %s:%d: %s\n", r.File, t.Line, terminal.Printable(t.Name))
		}
	}
	for _, u := range r.Uncovered {
		fmt.Fprintf(w, "      %s:%d: no test is about rule %s\n", r.File, u.Line, u.Rule)
	}
	fmt.Fprintf(w, "%s: %s, %d failed, %s without a test, hash %s\n", r.File, terminal.Counted(len(r.Results), "test"),
		r.Failed(),
		terminal.Counted(len(r.Uncovered), "rule"), r.Hash)
}

// junitSuite is the form that CI systems read.
type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name      string        `xml:"name,attr"`
	ClassName string        `xml:"classname,attr"`
	Failure   *junitFailure `xml:"failure,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
}

func printJUnit(w io.Writer, r *policyfile.Report) error {
	s := junitSuite{Name: r.File, Tests: len(r.Results), Failures: r.Failed()}
	for _, t := range r.Results {
		c := junitCase{Name: t.Name, ClassName: r.File}
		if t.Failure != "" {
			c.Failure = &junitFailure{fmt.Sprintf("line %d: %s", t.Line, t.Failure)}
		}
		s.Cases = append(s.Cases, c)
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(s); err != nil {
		return fmt.Errorf("write JUnit: %w", err)
	}
	_, err := fmt.Fprintln(w)
	return err
}

// loadPolicy reads and checks a policy file. Whatever is wrong with it is a
// usage error.
func loadPolicy(path string) (*policy.Policy, error) {
	src, err := readPolicy(path)
	if err != nil {
		return nil, err
	}
	p, err := policyfile.Load(path, src)
	if err != nil {
		return nil, usageError{err}
	}
	return p, nil
}

func readPolicy(path string) ([]byte, error) {
	src, err := readNamed("the policy", path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, usageError{fmt.Errorf("policy file %s does not exist; an example is deploy/policy.example.yaml", path)}
	}
	return src, err
}
