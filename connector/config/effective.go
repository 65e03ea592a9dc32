package config

import (
	"fmt"

	"github.com/goccy/go-yaml"
)

// Effective is the configuration as it is in force, in YAML: with its defaults, and
// with what the environment gave. It has no secrets, but names: of files, queues,
// devices and hosts.
func (c *Config) Effective() ([]byte, error) {
	text, err := yaml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	return text, nil
}
