package config

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var exampleFile = filepath.Join("..", "..", "config.example.yaml")

// The example is a configuration that works once its files are there.
func TestExampleLoads(t *testing.T) {
	src, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(write(t, string(src)))
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Warnings) != 0 {
		t.Errorf("warnings %v", cfg.Warnings)
	}
	if len(cfg.Queues) != 2 || cfg.NATS.Embedded == nil {
		t.Errorf("read %+v", cfg)
	}
}

// What the example says is a default is one: a file without it loads the same.
func TestExampleDefaults(t *testing.T) {
	src, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, string(src))
	full, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for line := range strings.Lines(string(src)) {
		key, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		if !slices.Contains([]string{
			"cloud", "trigger", "definition", "hold_for", "metrics", "listen", "log", "level", "format", "nats", "embedded", "store_dir",
			"max_store", "normalise",
		}, key) || strings.Contains(line, "127.0.0.1:8080") {
			kept = append(kept, line)
		}
	}
	if err := os.WriteFile(path, []byte(strings.Join(kept, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	short, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	full.NATS.Embedded.MaxStore = 0      // filled in by the bus
	if !reflect.DeepEqual(full, short) { //nolint:govet // both were loaded, so their errors are nil
		t.Errorf("with the defaults written out\n%+v\nwithout\n%+v", full, short)
	}
}

// Every key of the structs is in the example, and no other.
func TestExampleIsComplete(t *testing.T) {
	src, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	known, shown := keysOf(reflect.TypeFor[Config](), ""), keysIn(string(src))
	if len(known) < 30 {
		t.Fatalf("only %d keys found in the structs", len(known))
	}
	for _, k := range known {
		if !slices.Contains(shown, k) {
			t.Errorf("config.example.yaml does not show %s", k)
		}
	}
	for _, k := range shown {
		if !slices.Contains(known, k) {
			t.Errorf("config.example.yaml shows %s, which is no key", k)
		}
	}
}

// A key of the example has a comment in the lines above it.
func TestExampleExplains(t *testing.T) {
	src, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	before, seen := "", map[string]bool{}
	for i, line := range strings.Split(string(src), "\n") {
		if m := exampleKey.FindStringSubmatch(line); m != nil && !seen[m[3]] {
			prose := strings.TrimLeft(before, " #")
			commented := strings.HasPrefix(strings.TrimSpace(before), "#") && prose != "" && !exampleKey.MatchString(before)
			// cert_file and key_file are told together, in the lines above tls.
			if !commented && m[3] != "cert_file" && m[3] != "key_file" {
				t.Errorf("line %d: %s has no comment", i+1, m[3])
			}
			seen[m[3]] = true
		}
		before = line
	}
}

// exampleKey is a line with a key, commented out or not: its indentation, its
// dash and its name. A line of prose has none: there, after the word and its
// colon, more words follow or it begins with a capital letter.
var exampleKey = regexp.MustCompile(`^( *(?:# )?(?:  )*)(- )?([a-z_]+):(?: \S+)?$`)

// keysIn are the paths of the keys of an example, commented-out ones too, [] for
// a list.
func keysIn(src string) []string {
	type level struct {
		indent int
		path   string
	}
	var out []string
	var stack []level
	for line := range strings.Lines(src) {
		m := exampleKey.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			continue
		}
		indent := len(strings.Replace(m[1], "# ", "", 1)) + len(m[2])
		for len(stack) > 0 && stack[len(stack)-1].indent >= indent {
			stack = stack[:len(stack)-1]
		}
		path := m[3]
		if len(stack) > 0 {
			path = stack[len(stack)-1].path + "." + path
		}
		stack = append(stack, level{indent, path})
		if !slices.Contains(out, path) {
			out = append(out, path)
		}
	}
	return out
}

// keysOf are the paths of the keys of a struct.
func keysOf(typ reflect.Type, prefix string) []string {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct {
		return nil
	}
	var out []string
	for i := range typ.NumField() {
		key, _, _ := strings.Cut(typ.Field(i).Tag.Get("yaml"), ",")
		if key == "-" {
			continue
		}
		out = append(out, prefix+key)
		out = append(out, keysOf(typ.Field(i).Type, prefix+key+".")...)
	}
	return out
}

// write puts a configuration with the files that it names into a folder of its
// own.
func write(t *testing.T, src string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"config.yaml": src, "client-secret": planted[0] + "\n", "policy.yaml": "rules: []\n",
		"badge-key":   base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32))) + "\n",
		"admin-token": "admin-" + planted[0] + "\n", "reader-token": "reader-" + planted[0] + "\n",
		"readers/hq-2-west": "west-" + planted[0] + "\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "config.yaml")
}
