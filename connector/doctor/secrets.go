package doctor

import (
	"encoding/base64"
	"encoding/hex"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"

	"pullprint/connector/config"
	"pullprint/trigger"
	"pullprint/trigger/secretfile"
)

// fromEnvironment is what a configuration takes from there.
var fromEnvironment = regexp.MustCompile(`\$\{(\w+)\}`)

// secretsOf are all that an installation has: what is in the files that the
// configuration names as secrets, and what its own file takes from the environment. They never
// should be in anything that leaves the house, and are looked for all the same.
func secretsOf(file string, cfg *config.Config) []string {
	files := []string{
		cfg.Auth.ClientSecretFile, cfg.Auth.CertificatePasswordFile, cfg.Auth.FederatedTokenFile, cfg.Auth.PrivateKeyFile,
		cfg.Auth.CertificateFile, cfg.Webhook.TLS.KeyFile, cfg.Webhook.TLS.CertFile, cfg.Admin.TLS.KeyFile,
		cfg.Admin.TLS.CertFile, cfg.NATS.TLS.CertFile,
		cfg.Administrator.KeyFile, cfg.Administrator.SignInFile, cfg.Badges.KeyFile, cfg.Admin.TokenFile,
		cfg.NATS.CredentialsFile, cfg.NATS.NkeyFile, cfg.NATS.TLS.KeyFile, cfg.Metrics.WebConfigFile,
		cfg.Notices.Mail.SMTP.PasswordFile,
	}
	for _, t := range cfg.Admin.Tokens {
		files = append(files, t.File)
	}
	for _, d := range cfg.Devices {
		files = append(files, d.TokenFile)
	}
	for _, w := range cfg.Notices.Webhooks {
		files = append(files, w.SecretFile)
	}
	var secrets []string
	for _, f := range files {
		if text, err := os.ReadFile(f); f != "" && err == nil && len(text) < 1<<20 {
			secrets = append(secrets, secretsIn(text)...)
		}
	}
	src, err := os.ReadFile(file)
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

// secretsIn are the words of a file; of one that is no text, as a PFX is, the texts that
// it is handed around in.
func secretsIn(content []byte) []string {
	if !utf8.Valid(content) {
		return []string{
			base64.StdEncoding.EncodeToString(content), base64.URLEncoding.EncodeToString(content), hex.EncodeToString(content),
		}
	}
	return strings.Fields(secretfile.Trim(string(content)))
}

// namesOf are the names that a configuration gives, whatever words they are.
func namesOf(cfg *config.Config) []string {
	names := []string{
		cfg.Auth.ClientID, cfg.TenantID, cfg.SelfTest.User, cfg.Notices.Mail.From, cfg.Notices.Mail.SMTP.User, cfg.Notices.Teams.AppID,
	}
	if host, _, err := net.SplitHostPort(cfg.Notices.Mail.SMTP.Address); err == nil && net.ParseIP(host) == nil {
		names = append(names, host)
	}
	for _, w := range cfg.Notices.Webhooks {
		if u, err := url.Parse(w.URL); err == nil {
			names = append(names, u.Hostname(), u.RequestURI()) // there may be a secret in the path
		}
	}
	if cfg.Trigger.Definition != trigger.DefaultDefinition {
		names = append(names, cfg.Trigger.Definition)
	}
	for _, q := range cfg.Queues {
		names = append(names, q.Name, q.PrinterID)
	}
	for _, d := range cfg.Devices {
		names = append(names, d.ID, d.PrinterID)
	}
	for _, t := range cfg.Admin.Tokens {
		names = append(names, t.Name)
	}
	for _, address := range append(strings.Split(cfg.NATS.URL, ","), cfg.Webhook.PublicURL) {
		if u, err := url.Parse(strings.TrimSpace(address)); err == nil && net.ParseIP(u.Hostname()) == nil {
			names = append(names, u.Hostname())
		}
	}
	return names
}
