package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"pullprint/connector/config"
	"pullprint/connector/daemon"
)

// manual writes the manual pages as whoever packages the program does.
func manual(t *testing.T) map[string]string {
	t.Helper()
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	dir := t.TempDir()
	var out bytes.Buffer
	args := []string{"man", "--dir", dir, "--config-example", filepath.Join("..", "..", "config.example.yaml")}
	if code := execute(context.Background(), args, stdio{strings.NewReader(""), &out, &out}); code != exitDone {
		t.Fatalf("man: %d %s", code, out.String())
	}
	pages := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		page, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		pages[e.Name()] = string(page)
	}
	return pages
}

// Each verb that is shown has a page, with all that it takes; the man verb has none.
func TestManual(t *testing.T) {
	pages := manual(t)
	for _, c := range []struct {
		page  string
		wants []string
	}{
		{"pullprint.1", []string{
			`.TH "PULLPRINT" "1" "2023-11-14" pullprint pullprint`, `.B "register"`, `.BI "\-\-config" " FILE"`,
			`pullprint\-config(5)`,
			".SH \"EXIT STATUS\"",
		}},
		{"pullprint-run.1", []string{".SH \"DESCRIPTION\"\nRun the daemon until SIGTERM"}},
		{"pullprint-register.1", []string{
			`.SH "pullprint register apply"`, `.B "\-\-yes"`,
			`.SH "pullprint register remove"`,
		}},
		{"pullprint-simulator.1", []string{
			".EX\n  pullprint simulator \\-\\-listen 127.0.0.1:9440",
			"Default: 127.0.0.1:9440.",
		}},
		{"pullprint-config.5", []string{"pullprint\\-config \\- configuration of pullprint(1)", `.SH "queues"`}},
	} {
		for _, want := range c.wants {
			if !strings.Contains(pages[c.page], want) {
				t.Errorf("%s lacks %q", c.page, want)
			}
		}
	}
	for _, page := range []string{"pullprint-man.1", "pullprint-help.1"} {
		if _, ok := pages[page]; ok {
			t.Errorf("there is a %s", page)
		}
	}
}

// Text is text, whatever it begins with, and what is indented stays as it is.
func TestRoff(t *testing.T) {
	r := &roff{}
	r.prose(".profile and 'x' \\d\n\n  a  b\n\n  .c\nlast", false)
	want := `\&.profile and \(aqx\(aq \ed
.EX
  a  b
  .c
.EE
last
`
	if r.String() != want {
		t.Errorf("got\n%swant\n%s", r, want)
	}
	r.Reset()
	r.prose("one\n\n--two", true)
	r.macro("BI", `a "b"`, "-c")
	if want := "one\n.IP\n\\-\\-two\n.BI \"a \\(dqb\\(dq\" \"\\-c\"\n"; r.String() != want {
		t.Errorf("got\n%swant\n%s", r, want)
	}
}

// yamlKeys are the paths of all keys of a struct.
func yamlKeys(prefix string, typ reflect.Type, found map[string]bool) {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ.Kind() == reflect.Slice {
		yamlKeys(prefix+"[]", typ.Elem(), found)
		return
	}
	if typ.Kind() != reflect.Struct {
		return
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if tag == "" || tag == "-" {
			continue
		}
		path := strings.TrimPrefix(prefix+"."+tag, ".")
		found[path] = true
		yamlKeys(path, f.Type, found)
	}
}

// The page of the configuration has every key there is, and none that is not.
func TestConfigPageHasEveryKey(t *testing.T) {
	src, err := os.ReadFile(filepath.Join("..", "..", "config.example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r := exampleReader{seen: map[string]bool{}}
	for line := range strings.Lines(string(src)) {
		r.line(strings.TrimRight(line, "\n"))
	}
	keys := map[string]bool{}
	yamlKeys("", reflect.TypeFor[config.Config](), keys)
	if len(keys) < 60 {
		t.Fatalf("%d keys found only", len(keys))
	}
	for key := range keys {
		if !r.seen[key] {
			t.Errorf("the page lacks %s", key)
		}
	}
	for key := range r.seen {
		if !keys[key] {
			t.Errorf("the page has %s, which is no key", key)
		}
	}
	if page := manual(t)["pullprint-config.5"]; strings.Count(page, ".TP") != len(r.settings) {
		t.Errorf("%d paragraphs for %d settings", strings.Count(page, ".TP"), len(r.settings))
	}
}

// The SBOM fits the parts of the CycloneDX schema that it uses, and names what is in the
// program, once each.
func TestSBOM(t *testing.T) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		t.Fatal("no build info")
	}
	var out bytes.Buffer
	if err := writeBOM(&out, daemon.ReadBuild(), info); err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.NewCompiler().Compile("testdata/cyclonedx-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(doc); err != nil {
		t.Error(err)
	}
	var b bom
	if err := json.Unmarshal(out.Bytes(), &b); err != nil {
		t.Fatal(err)
	}
	var refs []string
	for _, c := range b.Components {
		refs = append(refs, c.Ref)
	}
	for _, want := range []string{"github.com/nats-io/nats-server/v2", "github.com/spf13/cobra"} {
		i := slices.IndexFunc(b.Components, func(c bomComponent) bool { return c.Name == want })
		if i < 0 || len(b.Components[i].Properties) != 1 || !strings.HasPrefix(b.Components[i].Properties[0].Value, "h1:") {
			t.Errorf("%s is not in it, with its sum", want)
		}
	}
	if !slices.Equal(refs, b.Dependencies[0].DependsOn) ||
		len(refs) != len(slices.Compact(slices.Sorted(slices.Values(refs)))) {
		t.Errorf("components %v, depends on %v", refs, b.Dependencies)
	}
}
