package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"pullprint/connector/terminal"
	"pullprint/policy/strictyaml"
)

func checkCommand() *cobra.Command {
	var asJSON, online bool
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and its policy; prints every problem with its place",
		Args:  wants(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if online {
				f.json = asJSON
				return runDoctor(cmd, f)
			}
			return check(cmd, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&online, "online", false,
		"also look at what the configuration names: network, sign-in, rights, printers, store; as doctor does")
	f.add(cmd)
	return cmd
}

// checked is what check prints as JSON.
type checked struct {
	OK       bool                 `json:"ok"`
	Problems []strictyaml.Problem `json:"problems"`
	Warnings []strictyaml.Problem `json:"warnings"`
}

func check(cmd *cobra.Command, asJSON bool) error {
	cfg, p, err := loadAll(cmd)
	var problems strictyaml.Problems
	if err != nil && !errors.As(err, &problems) {
		return err
	}
	out := checked{Problems: []strictyaml.Problem{}, Warnings: append([]strictyaml.Problem{}, cfg.Warnings...)}
	out.Problems = append(out.Problems, problems...)
	out.OK = len(problems) == 0
	if asJSON {
		if err := printJSON(cmd.OutOrStdout(), out); err != nil {
			return err
		}
		if !out.OK {
			return usageError{errors.New(terminal.Counted(len(problems), "problem"))}
		}
		return nil
	}
	for _, w := range out.Warnings {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning: "+w.String())
	}
	if !out.OK {
		return usageError{problems}
	}
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return err
	}
	summary := "the built-in policy (hold in pull queues, complete in direct ones)"
	if cfg.Policy.File != "" {
		summary = p.Summary() + ", hash " + p.Hash()
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: ok, %s, %s\n", path, terminal.Counted(len(cfg.Queues), "queue"), summary)
	return nil
}
