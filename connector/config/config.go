// Package config reads the configuration file: strict YAML, and every problem is reported
// at once with its position. Each package declares its own section.
package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"pullprint/connector/access"
	"pullprint/connector/admin"
	"pullprint/connector/console/station"
	"pullprint/connector/console/view"
	"pullprint/connector/display"
	"pullprint/connector/evaluate"
	"pullprint/connector/ledgerexport"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/connector/selftest"
	"pullprint/policy/badge"
	"pullprint/policy/strictyaml"
	"pullprint/trigger"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/webhook"
)

// Config is the whole file. What Load returns is complete: defaults are filled
// in and relative paths start at the file's folder.
type Config struct {
	// TenantID is the directory (tenant) id.
	TenantID string `yaml:"tenant_id"`
	// Cloud is global, us-l4 or us-l5.
	Cloud     string          `yaml:"cloud"`
	Endpoints graph.Endpoints `yaml:"endpoints"`
	Auth      auth.Config     `yaml:"auth"`
	// Administrator is where the sign-in of a Printer Administrator is kept, if it is.
	Administrator auth.StoredSignIn `yaml:"administrator"`
	Trigger       trigger.Config    `yaml:"trigger"`
	Webhook       webhook.Config    `yaml:"webhook"`
	Queues        []printer.Queue   `yaml:"queues"`
	Devices       []printer.Device  `yaml:"devices"`
	// Release says from where jobs are released.
	Release   release.Config     `yaml:"release"`
	Policy    Policy             `yaml:"policy"`
	Documents evaluate.Documents `yaml:"documents"`
	Badges    badge.Config       `yaml:"badges"`
	// Station is what the stations at the printers show.
	Station station.Config `yaml:"station"`
	NATS    NATS           `yaml:"nats"`
	// Retention is how long records are kept.
	Retention Retention `yaml:"retention"`
	// LedgerExport writes what happens on accounts to files.
	LedgerExport ledgerexport.Config `yaml:"ledger_export"`
	// Notices are how people hear of what became of their jobs.
	Notices Notices `yaml:"notices"`
	// SelfTest prints a page now and then, and aborts it.
	SelfTest selftest.Config `yaml:"selftest"`
	Admin    admin.Config    `yaml:"admin"`
	// SignIn lets people sign in with Entra.
	SignIn  access.Config `yaml:"sign_in"`
	Metrics Metrics       `yaml:"metrics"`
	Log     Log           `yaml:"log"`

	// Warnings are what is not wrong but should be looked at.
	Warnings []strictyaml.Problem `yaml:"-"`
}

// Unmade says which queues have no printer yet; nil when each has one. Without its
// printer a queue is for registration only.
func (c *Config) Unmade() error {
	var names []string
	for _, q := range c.Queues {
		if q.PrinterID == "" {
			names = append(names, q.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("no printer yet for %s: run `pullprint register apply`, and write the printer_id that it prints "+
		"into the configuration", strings.Join(names, ", "))
}

// Graph is what the client of Graph needs of it.
func (c *Config) Graph() graph.Config {
	return graph.Config{TenantID: c.TenantID, Cloud: c.Cloud, Endpoints: c.Endpoints, Auth: c.Auth}
}

// Policy names the policy file.
type Policy struct {
	// File is read again on SIGHUP and when it changes; empty is the built-in
	// policy: pull queues hold, direct queues complete.
	File string `yaml:"file"`
	// ShadowFile is another policy that is tried out beside it: what it would
	// decide is recorded and counted, and nothing else. Read again like File.
	ShadowFile string `yaml:"shadow_file"`
	// GroupTTL is how long the groups of a person are believed before the directory
	// is asked again.
	GroupTTL time.Duration `yaml:"group_ttl"`
}

// Metrics is where /metrics, /healthz and /readyz are served.
type Metrics struct {
	Listen string `yaml:"listen"`
	// WebConfigFile is a web configuration as Prometheus' exporters take it: TLS,
	// certificates of clients, passwords. Read again when it changes.
	WebConfigFile string `yaml:"web_config_file"`
}

// Log says what is logged, to stderr.
type Log struct {
	// Level is debug, info, warn or error.
	Level string `yaml:"level"`
	// Format is json or console.
	Format string `yaml:"format"`
}

// The defaults of what a file does not say.
const (
	defaultWebhookListen = "127.0.0.1:8443"
	defaultMetricsListen = "127.0.0.1:9464"
	defaultStoreDir      = "/var/lib/pullprint/nats"
)

// Load reads and checks a file. An error that wraps os.ErrNotExist says that
// there is none; any other is a strictyaml.Problems with everything that is
// wrong, and then what could be read comes with it, for looking further, not for
// use.
func Load(path string) (*Config, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return parse(path, src)
}

func parse(path string, src []byte) (*Config, error) {
	var c Config
	doc := strictyaml.Decode(path, src, &c, expand)
	v := checker{c: &c, doc: doc, name: path, dir: filepath.Dir(path), reported: map[string]bool{}}
	if v.begin() {
		c.fill(doc)
		v.written = c.resolve(v.dir)
		v.all()
	} else {
		c = Config{} // where its paths start is not known
	}
	if err := doc.Err(); err != nil {
		return &c, v.withHints(err)
	}
	return &c, nil
}

// variable is ${NAME}, closed or not; $${ stands for a literal ${.
var variable = regexp.MustCompile(`\$?\$\{[^}]*\}?`)

// expand puts environment variables into a value. The error names the
// variables, never a value.
func expand(text string) (string, error) {
	var unset []string
	open := false
	out := variable.ReplaceAllStringFunc(text, func(m string) string {
		if m[1] == '$' {
			return m[1:]
		}
		name, closed := strings.CutSuffix(m[2:], "}")
		if !closed {
			open = true
			return ""
		}
		value, ok := os.LookupEnv(name)
		if !ok {
			unset = append(unset, m)
		}
		return value
	})
	if open {
		return "", &expandError{"${ without its }", "close it, or write $${ for the text itself"}
	}
	if len(unset) > 0 {
		return "", &expandError{
			"not set in the environment: " + strings.Join(unset, ", "),
			"set it there, or write $" + unset[0] + " for the text itself",
		}
	}
	return out, nil
}

func (c *Config) fill(doc *strictyaml.Document) {
	or(&c.Cloud, "global")
	or(&c.Trigger.Definition, trigger.DefaultDefinition)
	or(&c.Webhook.Listen, defaultWebhookListen)
	or(&c.Metrics.Listen, defaultMetricsListen)
	or(&c.Log.Level, "info")
	or(&c.Log.Format, "json")
	for i := range c.Queues {
		if c.Queues[i].HoldFor == 0 && !doc.Has(fmt.Sprintf("queues[%d].hold_for", i)) {
			c.Queues[i].HoldFor = printer.DefaultHoldFor
		}
	}
	c.canonical()
	c.Documents.Fill()
	if c.SelfTest.Queue != "" && c.SelfTest.Every == 0 {
		c.SelfTest.Every = selftest.DefaultEvery
	}
	if c.Policy.GroupTTL == 0 {
		c.Policy.GroupTTL = evaluate.DefaultGroupTTL
	}
	if c.Badges.Normalise == nil {
		c.Badges.Normalise = slices.Clone(badge.DefaultNormalise)
	}
	or(&c.Station.Titles, display.Masked)
	if c.Station.Choices == nil && !doc.Has("station.choices") {
		c.Station.Choices = view.AllChoices()
	}
	if c.NATS.URL == "" && c.NATS.Embedded == nil {
		c.NATS.Embedded = &EmbeddedNATS{}
	}
	if c.NATS.Embedded != nil {
		or(&c.NATS.Embedded.StoreDir, defaultStoreDir)
	}
	c.LedgerExport.Fill()
	if c.SignIn.Configured() && c.SignIn.Session == 0 {
		c.SignIn.Session = access.DefaultSession
	}
	c.Notices.fill(doc)
}

func or(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

// resolve makes relative paths start at the folder of the file, and returns what each was before.
func (c *Config) resolve(dir string) (written map[string]string) {
	paths := []*string{
		&c.Auth.ClientSecretFile, &c.Auth.CertificateFile, &c.Auth.PrivateKeyFile, &c.Auth.CertificatePasswordFile,
		&c.Endpoints.CAFile, &c.Administrator.SignInFile, &c.Administrator.KeyFile, &c.Auth.FederatedTokenFile,
		&c.Webhook.TLS.CertFile, &c.Webhook.TLS.KeyFile, &c.Policy.File, &c.Policy.ShadowFile, &c.NATS.CredentialsFile,
		&c.NATS.NkeyFile, &c.NATS.TLS.CAFile, &c.NATS.TLS.CertFile, &c.NATS.TLS.KeyFile,
		&c.Badges.KeyFile, &c.Admin.TokenFile, &c.Admin.TLS.CertFile, &c.Admin.TLS.KeyFile, &c.Metrics.WebConfigFile,
		&c.LedgerExport.Dir, &c.Notices.Mail.SMTP.PasswordFile, &c.Notices.Templates,
	}
	for i := range c.Devices {
		paths = append(paths, &c.Devices[i].TokenFile)
	}
	for i := range c.Admin.Tokens {
		paths = append(paths, &c.Admin.Tokens[i].File)
	}
	for i := range c.Notices.Webhooks {
		paths = append(paths, &c.Notices.Webhooks[i].SecretFile)
	}
	if c.NATS.Embedded != nil {
		paths = append(paths, &c.NATS.Embedded.StoreDir, &c.NATS.Embedded.MarkFile)
	}
	written = map[string]string{}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			file := filepath.Join(dir, *p)
			written[file], *p = *p, file
		}
	}
	if e := c.NATS.Embedded; e != nil { // messages name the store, and its mark has its name
		e.StoreDir, e.MarkFile = absolute(e.StoreDir), absolute(e.MarkFile)
	}
	return written
}

// absolute is a path from the root; one that can't be told stays as it is.
func absolute(path string) string {
	if path == "" {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// canonical gives the ids of Entra and Graph the one form in which they are compared:
// the portal, scripts and people write GUIDs in any case.
func (c *Config) canonical() {
	ids := []*string{&c.TenantID, &c.Auth.ClientID}
	for i := range c.Queues {
		ids = append(ids, &c.Queues[i].PrinterID)
		for j := range c.Queues[i].ShareWith {
			ids = append(ids, &c.Queues[i].ShareWith[j])
		}
	}
	for i := range c.Devices {
		ids = append(ids, &c.Devices[i].PrinterID)
	}
	for _, id := range ids {
		*id = graph.Canonical(*id)
	}
}
