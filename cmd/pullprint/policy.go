package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"pullprint/policy"
)

func policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Work on a policy file",
		Args:  knownVerb,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(policyCheckCommand())
	return cmd
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

// loadPolicy reads and checks a policy file. Whatever is wrong with it is a
// usage error.
func loadPolicy(path string) (*policy.Policy, error) {
	src, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, usageError{fmt.Errorf("policy file %s does not exist; an example is deploy/policy.example.yaml", path)}
	case err != nil:
		return nil, usageError{fmt.Errorf("read policy: %w", err)}
	}
	p, err := policy.Load(path, src)
	if err != nil {
		return nil, usageError{err}
	}
	return p, nil
}
