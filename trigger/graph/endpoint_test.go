package graph

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCloudsHaveTheirAddresses(t *testing.T) {
	for cloud, want := range map[string][3]string{
		"": {"https://graph.microsoft.com/v1.0", "https://login.microsoftonline.com/" + testTenant +
			"/oauth2/v2.0/token", "https://graph.microsoft.com/.default"},
		"global": {"https://graph.microsoft.com/v1.0", "https://login.microsoftonline.com/" + testTenant +
			"/oauth2/v2.0/token", "https://graph.microsoft.com/.default"},
		"us-l4": {"https://graph.microsoft.us/v1.0", "https://login.microsoftonline.us/" + testTenant +
			"/oauth2/v2.0/token", "https://graph.microsoft.us/.default"},
		"us-l5": {"https://dod-graph.microsoft.us/v1.0", "https://login.microsoftonline.us/" + testTenant +
			"/oauth2/v2.0/token", "https://dod-graph.microsoft.us/.default"},
	} {
		cfg := testConfig(t)
		cfg.Cloud = cloud
		at, err := cfg.resolve()
		if got := [3]string{at.graph.String(), at.token, at.resource + "/.default"}; err != nil || got != want {
			t.Errorf("%q: %v, %v", cloud, got, err)
		}
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, tt := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"cloud":              {func(c *Config) { c.Cloud = "china" }, "unknown cloud"},
		"no tenant":          {func(c *Config) { c.TenantID = "" }, "tenant_id"},
		"tenant with a path": {func(c *Config) { c.TenantID = "a/../b" }, "tenant_id"},
		"no client":          {func(c *Config) { c.Auth.ClientID = "" }, "auth.client_id"},
		"no secret file":     {func(c *Config) { c.Auth.ClientSecretFile = "" }, "auth.client_secret_file is not set"},
		"secret not there":   {func(c *Config) { c.Auth.ClientSecretFile = filepath.Join(dir, "none") }, "no such file"},
		"secret a folder":    {func(c *Config) { c.Auth.ClientSecretFile = dir }, "can't be read"},
		"secret empty":       {func(c *Config) { c.Auth.ClientSecretFile = file("empty", " \n") }, "is empty"},
		"secret of lines":    {func(c *Config) { c.Auth.ClientSecretFile = file("lines", "hidden\nhidden\n") }, "nothing else"},
		"secret too long":    {func(c *Config) { c.Auth.ClientSecretFile = file("long", strings.Repeat("hidden", 1000)) }, "nothing else"},
		"graph in clear":     {func(c *Config) { c.Endpoints.Graph = "http://graph.example/v1.0" }, "endpoints.graph must be https"},
		"authority in clear": {func(c *Config) { c.Endpoints.Authority = "http://10.0.0.1" }, "endpoints.authority must be https"},
		"in clear, alike":    {func(c *Config) { c.Endpoints.Graph = "http://127.0.0.1.example/v1.0" }, "must be https"},
		"another scheme":     {func(c *Config) { c.Endpoints.Graph = "ftp://127.0.0.1/v1.0" }, "must be https"},
		"with a user":        {func(c *Config) { c.Endpoints.Graph = "https://hidden@graph.example/v1.0" }, "plain URL"},
		"with a query":       {func(c *Config) { c.Endpoints.Graph = "https://graph.example/v1.0?hidden" }, "plain URL"},
		"no URL":             {func(c *Config) { c.Endpoints.Authority = "login.example" }, "plain URL"},
	} {
		cfg := testConfig(t)
		tt.change(&cfg)
		_, err := New(cfg, Options{})
		if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, clear := range []string{
		"http://localhost:9440/v1.0/", "http://127.0.0.1:9440/v1.0",
		"http://[::1]:9440/v1.0", "http://127.1.2.3",
	} {
		cfg := testConfig(t)
		cfg.Endpoints.Graph = clear
		c, err := New(cfg, Options{})
		if err != nil || strings.HasSuffix(c.base.String(), "/") {
			t.Errorf("%s: %v", clear, err)
		}
	}
}
