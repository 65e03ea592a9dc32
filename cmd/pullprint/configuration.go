package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"pullprint/connector/config"
)

// loadConfig loads the configuration of --config. or is what else than --config the user
// may give, as in " or --url"; mostly empty. With a usageError for a configuration that is
// wrong comes what could be read of it.
func loadConfig(cmd *cobra.Command, or string) (*config.Config, error) {
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	return loadNamed(path, "--config"+or)
}

// loadNamed loads a configuration that the user named, or should name, by a flag.
func loadNamed(path, flag string) (*config.Config, error) {
	cfg, err := config.Load(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, usageError{fmt.Errorf("there is no configuration %s; name it with %s", path, flag)}
	}
	var at *fs.PathError
	switch {
	case errors.As(err, &at):
		return nil, unreadable("the configuration", path, at)
	case err != nil:
		return cfg, usageError{err}
	}
	return cfg, nil
}
