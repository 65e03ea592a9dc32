package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pullprint/connector/access"
	"pullprint/connector/admin"
	"pullprint/connector/printer"
	"pullprint/policy/badge"
)

// office is a configuration with all that taps need; its files are beside it.
const office = minimal + `devices:
  - {id: west, printer_id: 9a3b3956-5a0e-4c5b-9d1a-61a1c2d3e4f5, queues: [Follow-Me], token_file: west-token}
badges: {key_file: badge-key}
admin:
  listen: 127.0.0.1:8080
  token_file: admin-token
  tokens: [{name: helpdesk, role: operate, file: helpdesk-token}]
`

// writeOffice also writes the files that office names, and returns where it is.
func writeOffice(t *testing.T, src string) string {
	t.Helper()
	path := write(t, src)
	for name, text := range map[string]string{
		"west-token": "west-0123456789abcdef", "admin-token": "admin-0123456789abcdef\n", "helpdesk-token": "helpdesk-0123456789abcdef",
		"badge-key": "# new\n" + strings.Repeat("5a", 32) + "\n" + strings.Repeat("6b", 32) + "\n",
	} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestOffice(t *testing.T) {
	path := writeOffice(t, strings.Replace(office, "mode: pull", "mode: pull, hold_for: 2h, expiry_warning: 10m", 1))
	dir := filepath.Dir(path)
	t.Chdir(t.TempDir()) // not where the process is
	c := load(t, path)
	if len(c.Warnings) != 0 {
		t.Errorf("warnings %v", c.Warnings)
	}
	if d := c.Devices[0]; d.ID != "west" || d.TokenFile != filepath.Join(dir, "west-token") ||
		!slices.Equal(d.Queues, []string{"Follow-Me"}) {
		t.Errorf("%+v", d)
	}
	want := admin.Config{Listen: "127.0.0.1:8080", TokenFile: filepath.Join(dir, "admin-token")}
	if got := c.Admin; got.Listen != want.Listen || got.TokenFile != want.TokenFile || len(got.Tokens) != 1 ||
		got.Tokens[0] != (admin.Token{Name: "helpdesk", Role: access.RoleOperate, File: filepath.Join(dir, "helpdesk-token")}) {
		t.Errorf("%+v", got)
	}
	if b := c.Badges; b.KeyFile != filepath.Join(dir, "badge-key") || !slices.Equal(b.Normalise, badge.DefaultNormalise) ||
		b.EntraAttribute != "" {
		t.Errorf("%+v", b)
	}
	if q := c.Queues[0]; q.ExpiryWarning != 10*time.Minute || q.HoldFor != 2*time.Hour {
		t.Errorf("%+v", q)
	}
	if c := load(t, write(t, minimal)); c.Admin.Listen != "" || c.Devices != nil || !reflect.DeepEqual(c.Queues[0],
		printer.Queue{PrinterID: c.Queues[0].PrinterID, Name: "Follow-Me", Mode: "pull", HoldFor: printer.DefaultHoldFor}) {
		t.Errorf("without any of it: %+v, %+v, %+v", c.Admin, c.Devices, c.Queues)
	}
	// An empty chain is a chain: numbers count as they are told.
	if c := load(t, writeOffice(t, strings.Replace(office, "key_file: badge-key", "key_file: badge-key, normalise: []",
		1))); len(c.Badges.Normalise) != 0 {
		t.Errorf("%v", c.Badges.Normalise)
	}
}

// What works and is still worth a word.
func TestOfficeWarnings(t *testing.T) {
	listen := "  listen: 127.0.0.1:8080\n"
	for name, c := range map[string]struct {
		src  string
		open string // a file that others can read
		key  string // of the one warning; none if empty
	}{
		"as it should be":       {src: office},
		"http to everybody":     {src: strings.Replace(office, listen, "  listen: \":8080\"\n", 1), key: "admin.listen"},
		"http to the network":   {src: strings.Replace(office, listen, "  listen: 192.0.2.1:8080\n", 1), key: "admin.listen"},
		"http to this machine":  {src: strings.Replace(office, listen, "  listen: \"[::1]:8080\"\n", 1)},
		"localhost":             {src: strings.Replace(office, listen, "  listen: localhost:8080\n", 1)},
		"no way in":             {src: office[:strings.Index(office, "admin:")], key: "devices"},
		"only NATS":             {src: office[:strings.Index(office, "admin:")] + "nats: {url: nats://nats-1:4222}\n"},
		"token of the reader":   {src: office, open: "west-token", key: "devices[0].token_file"},
		"token of the helpdesk": {src: office, open: "helpdesk-token", key: "admin.tokens[0].file"},
		"token of the admin":    {src: office, open: "admin-token", key: "admin.token_file"},
		"key of badges":         {src: office, open: "badge-key", key: "badges.key_file"},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeOffice(t, c.src)
			if c.open != "" {
				if err := os.Chmod(filepath.Join(filepath.Dir(path), c.open), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			ws := load(t, path).Warnings
			switch {
			case c.key == "" && len(ws) != 0:
				t.Errorf("%v", ws)
			case c.key != "" && (len(ws) != 1 || ws[0].Key != c.key || ws[0].Message == "" || ws[0].Hint == ""):
				t.Errorf("%v, want one of %s", ws, c.key)
			}
		})
	}
}

// A key or a token that stands where the name of its file belongs isn't shown.
func TestOfficeSecretNotShown(t *testing.T) {
	const secret = "PLANTED/Q8aZ0123456789abcdefghijklmnopqrstuv="
	for _, file := range []string{"west-token", "badge-key", "admin-token", "helpdesk-token"} {
		_, err := Load(writeOffice(t, strings.Replace(office, "file: "+file, "file: "+secret, 1)))
		if err == nil {
			t.Errorf("%s: accepted", file)
		} else if strings.Contains(err.Error(), "PLANTED") {
			t.Errorf("%s: shown\n%v", file, err)
		}
	}
	path := writeOffice(t, office)
	for _, file := range []string{"west-token", "badge-key", "admin-token"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), file), []byte("PLANTED too"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Load(path); err == nil || strings.Count(err.Error(), "openssl rand") != 3 || strings.Contains(err.Error(), "PLANTED") {
		t.Errorf("what the files hold is shown, or not all is told:\n%v", err)
	}
}

// stepExample is a line of the steps of a chain: a step, a number and what
// becomes of it.
var stepExample = regexp.MustCompile(`^  #   ([a-z:0-9A-Z-]+)(?:, [a-z]+)? +("[^"]*"|\S+(?: \S+)*) -> ("[^"]*"|\S+)(?: .*)?$`)

// The steps that the example explains do what it says, and it explains all.
func TestStepsOfTheExample(t *testing.T) {
	src, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{"lower": strings.Contains(string(src), "upper, lower ")}
	for line := range strings.Lines(string(src)) {
		m := stepExample.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			continue
		}
		chain, err := badge.ParseChain([]string{m[1]})
		if err != nil {
			t.Error(err)
			continue
		}
		if got, err := chain.Apply(strings.Trim(m[2], `"`)); err != nil || got != strings.Trim(m[3], `"`) {
			t.Errorf("%s of %s = %s, %v; the example says %s", m[1], m[2], got, err, m[3])
		}
		name, _, _ := strings.Cut(m[1], ":")
		shown[name] = true
	}
	for _, step := range names(badge.Steps()) {
		if !shown[step] {
			t.Errorf("the example does not explain %s", step)
		}
	}
}
