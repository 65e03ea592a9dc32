package main

import (
	"encoding"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/arrival"
	"pullprint/connector/bus"
	"pullprint/connector/bus/backup"
	"pullprint/connector/daemon"
	"pullprint/connector/decision"
	"pullprint/connector/delegation"
	"pullprint/connector/doctor"
	"pullprint/connector/evaluate"
	"pullprint/connector/privacy"
	"pullprint/connector/release"
	"pullprint/connector/sweep"
	"pullprint/policy"
	"pullprint/policy/badge"
	"pullprint/policy/policyfile"
)

// printed are the values that verbs print as JSON, by the function that prints them.
var printed = map[string][]any{
	"printContents":        {backup.Contents{}},
	"printRestored":        {bus.Restored{}},
	"badgeEnrol":           {badge.Badge{}},
	"badgeList":            {[]badge.Badge{}},
	"badgeRevoke":          {[]badge.Badge{}},
	"badgeImport":          {apiclient.Imported{}},
	"badgeCode":            {apiclient.CodeIssued{}},
	"check":                {checked{}},
	"runDoctor":            {doctor.Report{}},
	"policyExplainCommand": {policy.Explanation{}},
	"policyReplayCommand":  {evaluate.Replayed{}},
	"policyTestCommand":    {policyfile.Report{}},
	"jobsList":             {[]apiclient.JobEntry{}, []arrival.DeadLetter{}},
	"jobsShow":             {apiclient.JobDetail{}.Job},
	"jobsTrace":            {apiclient.JobDetail{}.Trace},
	"jobsRelease":          {release.Outcome{}},
	"jobsCancel":           {release.Refused{}},
	"jobsDelegate":         {delegation.Delegation{}, []delegation.Delegation{}},
	"privacyExport":        {privacy.Person{}},
	"privacyErase":         {privacy.Erased{}},
	"pinVerb":              {apiclient.PINState{}},
	"sessionsEnd":          {apiclient.SessionsEnded{}},
	"devicesFailures":      {[]apiclient.PrinterFailures{}},
	"devicesList":          {[]apiclient.DeviceEntry{}},
	"writeSheets":          {[]deviceURL{}},   // of devices qr
	"print":                {[]countedFile{}}, // of pages
	"quotaShow":            {evaluate.AccountStatus{}},
	"quotaSet":             {evaluate.AccountStatus{}},
	"quotaAdjust":          {evaluate.AccountStatus{}},
	"quotaHistory":         {apiclient.EntryList{}},
	"quotaUsage":           {[]sweep.UsageDay{}},
	"show":                 {shownPlan{}},
	"versionCommand":       {daemon.Build{}},
}

// graphNames are keys in the words of Graph, as they stand in stored records.
var graphNames = []string{"colorMode", "duplexMode", "mediaSize", "pagesPerSheet"}

var snakeCase = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// What verbs print as JSON has names in snake_case.
func TestJSONNames(t *testing.T) {
	t.Parallel()
	found := slices.DeleteFunc(slices.Concat(callers(t, "printJSON"), callers(t, "output"), callers(t, "printAnswer")),
		func(name string) bool { return name == "output" || name == "printAnswer" })
	slices.Sort(found)
	if known := slices.Sorted(maps.Keys(printed)); !slices.Equal(found, known) {
		t.Errorf("functions that print JSON: %v; in the table are %v", found, known)
	}
	if outside := callers(t, "NewEncoder"); !slices.Equal(outside, []string{"printJSON", "printJUnit", "writeBOM"}) {
		t.Errorf("JSON is written without printJSON by one of %v", outside)
	}
	for name, values := range printed {
		for _, v := range values {
			names(reflect.TypeOf(v), map[reflect.Type]bool{}, func(at, key string) {
				if !snakeCase.MatchString(key) && !slices.Contains(graphNames, key) {
					t.Errorf("%s prints %s as %q", name, at, key)
				}
			})
		}
	}
	if at := reflect.TypeFor[decision.Settings](); at.NumField() != 6 {
		t.Errorf("%v has changed: its names are those of Graph, and stored", at)
	}
}

// What verbs print as JSON has the names, in the order, that it had.
func TestJSONOutputs(t *testing.T) {
	t.Parallel()
	var list []string
	for _, name := range slices.Sorted(maps.Keys(printed)) {
		for _, v := range printed[name] {
			list = append(list, outline(reflect.TypeOf(v), name+": ", 0)...)
		}
	}
	got, file := strings.Join(list, "\n")+"\n", filepath.Join("testdata", "json.txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("verbs print other JSON (- as it was, + now); -update writes %s anew if that is meant:\n%s", file, diff)
	}
}

// maxOutline is how deep an outline goes: what holds itself has no end.
const maxOutline = 8

// outline are the names in the JSON of a type, with their options and kinds.
func outline(t reflect.Type, at string, depth int) (list []string) {
	if depth > maxOutline {
		return nil
	}
	if t.Implements(reflect.TypeFor[json.Marshaler]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return []string{at + " " + t.Name()}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return outline(t.Elem(), at, depth+1)
	case reflect.Slice, reflect.Array, reflect.Map:
		return outline(t.Elem(), at+"[]", depth+1)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case key == "-" || !f.IsExported() && !f.Anonymous:
			case f.Anonymous && key == "":
				list = append(list, outline(f.Type, at, depth+1)...)
			case key == "":
				list = append(list, outline(f.Type, at+"."+f.Name, depth+1)...)
			default:
				list = append(list, outline(f.Type, at+"."+strings.TrimSuffix(key+"?"+options, "?"), depth+1)...)
			}
		}
		return list
	}
	return []string{at + " " + t.Kind().String()}
}

// callers are the functions that call one of that name.
func callers(t *testing.T, name string) (found []string) {
	t.Helper()
	eachFunction(t, func(_ string, f *ast.FuncDecl) {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			switch at := call.Fun.(type) {
			case *ast.Ident:
				ok = at.Name == name
			case *ast.SelectorExpr:
				ok = at.Sel.Name == name
			default:
				ok = false
			}
			if ok {
				found = append(found, f.Name.Name)
			}
			return true
		})
	})
	slices.Sort(found)
	return slices.Compact(found)
}

// eachFunction calls fn with each function of this package but its tests, and its file.
func eachFunction(t *testing.T, fn func(file string, f *ast.FuncDecl)) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				fn(file, f)
			}
		}
	}
}

// names calls fn with each name in the JSON of a type.
func names(t reflect.Type, seen map[reflect.Type]bool, fn func(at, key string)) {
	if seen[t] {
		return
	}
	seen[t] = true
	if t.Implements(reflect.TypeFor[json.Marshaler]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		names(t.Elem(), seen, fn)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case key == "-" || !f.IsExported() && !f.Anonymous:
				continue
			case f.Anonymous && key == "":
			case key == "":
				fn(t.String()+"."+f.Name, f.Name)
			default:
				fn(t.String()+"."+f.Name, key)
			}
			names(f.Type, seen, fn)
		}
	}
}
