package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pullprint/connector/config"
)

func TestSimulatorStaysOnLoopback(t *testing.T) {
	for listen, ok := range map[string]bool{
		"127.0.0.1:0": true, "localhost:0": true, "[::1]:0": true,
		"0.0.0.0:0": false, ":0": false, "192.0.2.1:0": false, "example.com:0": false, "127.0.0.1": false,
	} {
		if err := (simulatorOptions{listen: listen}).check(); (err == nil) != ok {
			t.Errorf("--listen %s: %v", listen, err)
		}
	}
	if err := (simulatorOptions{listen: "127.0.0.1:0", smtp: "0.0.0.0:0"}).check(); err == nil {
		t.Error("other machines reach the mail server")
	}
	if err := (simulatorOptions{listen: "0.0.0.0:0", smtp: "0.0.0.0:0", allowRemote: true}).check(); err != nil {
		t.Error(err)
	}
}

// The simulator says what it needs to be used, works as it says, and ends when told.
func TestSimulatorRuns(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := runSimulator(ctx, simulatorOptions{
			listen: "127.0.0.1:0", calm: true, seed: 5, clientID: simulatorApp, secret: simulatorSecret, out: in,
		})
		in.Close()
		ended <- err
	}()
	var greeting strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(greeting.String(), "Ctrl-C") {
		n, err := out.Read(buf)
		if err != nil {
			t.Fatalf("it said only %q: %v", greeting.String(), err)
		}
		greeting.Write(buf[:n])
	}
	found := func(pattern string) string {
		m := regexp.MustCompile(pattern).FindStringSubmatch(greeting.String())
		if m == nil {
			t.Fatalf("%s not found in:\n%s", pattern, greeting.String())
		}
		return m[1]
	}
	checkShownConfig(t, greeting.String())
	res, err := http.PostForm(found(`authority: "([^"]+)"`)+"/"+found(`tenant_id: (\S+)`)+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {found(`client_id: (\S+),`)},
		"client_secret": {found(`printf %s '([^']+)'`)}, "scope": {"https://graph.microsoft.com/.default"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&token); err != nil || res.StatusCode != 200 {
		t.Fatalf("token: %d %v", res.StatusCode, err)
	}
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet,
		found(`graph: "([^"]+)"`)+"/print/printers/"+found(`printer_id: (\S+), name: Follow-Me`), http.NoBody)
	req.Header.Set("Authorization", "Bearer "+token.AccessToken)
	got, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if got.StatusCode != 200 {
		t.Errorf("printer: %d", got.StatusCode)
	}
	page, err := http.Get(found(`control page +(\S+)`))
	if err != nil {
		t.Fatal(err)
	}
	defer page.Body.Close()
	if page.StatusCode != 200 {
		t.Errorf("page: %d", page.StatusCode)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

// checkShownConfig checks the configuration that the simulator shows, and that its people have the roles in it.
func checkShownConfig(t *testing.T, greeting string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"client-secret", "badge-key", "admin-token"} {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 32)))
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, text, _ := strings.Cut(greeting, "config.yaml:\n")
	text = text[strings.Index(text, "  tenant_id"):strings.Index(text, "\nCtrl-C")]
	file := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "\n  ", "\n")[2:]), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatalf("the configuration that is shown: %v\n%s", err, text)
	}
	for _, role := range append(cfg.SignIn.Roles.Admin, cfg.SignIn.Roles.Operate...) {
		if !regexp.MustCompile(`app roles .* ` + regexp.QuoteMeta(role) + `\b`).MatchString(greeting) {
			t.Errorf("nobody is said to have the role %s", role)
		}
	}
}
