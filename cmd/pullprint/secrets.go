package main

import (
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"pullprint/connector/config"
)

// fromEnvironment is what a configuration takes from there.
var fromEnvironment = regexp.MustCompile(`\$\{(\w+)\}`)

// secretsOf are all that an installation has: what is in the files that the
// configuration names as secrets, and what it takes from the environment. They never
// should be in anything that leaves the house, and are looked for all the same.
func secretsOf(cmd *cobra.Command, cfg *config.Config) []string {
	files := []string{
		cfg.Auth.ClientSecretFile, cfg.Auth.CertificatePasswordFile, cfg.Auth.FederatedTokenFile, cfg.Auth.PrivateKeyFile,
		cfg.Administrator.KeyFile, cfg.Administrator.SignInFile, cfg.Badges.KeyFile, cfg.Admin.TokenFile, cfg.NATS.CredentialsFile,
	}
	for _, t := range cfg.Admin.Tokens {
		files = append(files, t.File)
	}
	for _, d := range cfg.Devices {
		files = append(files, d.TokenFile)
	}
	var secrets []string
	for _, f := range files {
		if text, err := os.ReadFile(f); f != "" && err == nil && len(text) < 1<<20 {
			secrets = append(secrets, strings.Fields(string(text))...)
		}
	}
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return secrets
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return secrets
	}
	for _, m := range fromEnvironment.FindAllStringSubmatch(string(src), -1) {
		if value := os.Getenv(m[1]); value != "" {
			secrets = append(secrets, value)
		}
	}
	return secrets
}
