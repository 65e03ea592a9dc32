package graph

import (
	"encoding/json"
	"strings"
	"testing"

	"pullprint/trigger/fuzztest"
)

func TestValidID(t *testing.T) {
	for _, s := range []string{"a", "5182", ref.Printer, "A_b-9", strings.Repeat("x", 64)} {
		if !ValidID(s) {
			t.Errorf("%q refused", s)
		}
	}
	for _, s := range []string{"", ".", "..", "a/b", "a%2Fb", "a b", "a'b", "a?b", "a#b", "ä", "a\n", "a\x00", "a\xff", strings.Repeat("x",
		65)} {
		if ValidID(s) {
			t.Errorf("%q accepted", s)
		}
	}
}

var jobURLs = map[string]Ref{
	"https://graph.microsoft.com/v1.0/print/printers/c05f3726-0d4b-4aa1-8fe9-2eb981bb26fb/jobs/5182": ref,
	"HTTPS://GRAPH.microsoft.com/V1.0/Print/PRINTERS/p/JOBS/7":                                       {"p", "7"},
	"https://graph.microsoft.com/beta/print/printers/p/jobs/7":                                       {"p", "7"},
	"https://graph.microsoft.com/v1.0/print/printers('p')/jobs('7')":                                 {"p", "7"},
	"https://graph.microsoft.com/v1.0/print/printers('p')/jobs/7":                                    {"p", "7"},
	"http://127.0.0.1:9440/v2.13/print/printers/p/jobs/7":                                            {"p", "7"},
	"https://[::1]:8443/v1.0/print/printers/p/jobs/7":                                                {"p", "7"},
}

var notJobURLs = []string{
	"", "/", "https://", "https:///v1.0/print/printers/p/jobs/7", "ftp://h/v1.0/print/printers/p/jobs/7",
	"//h/v1.0/print/printers/p/jobs/7", "/v1.0/print/printers/p/jobs/7", "print/printers/p/jobs/7",
	"https://user@h/v1.0/print/printers/p/jobs/7", "https://h\\@x/v1.0/print/printers/p/jobs/7", "https://h h/v1.0/print/printers/p/jobs/7",
	"https://h/print/printers/p/jobs/7", "https://h/v1/print/printers/p/jobs/7", "https://h/v1.0.0/print/printers/p/jobs/7",
	"https://h/v1.0//print/printers/p/jobs/7", "https://h/v1.0/print/shares/p/jobs/7", "https://h/v1.0/print/printersx/p/jobs/7",
	"https://h/v1.0/print/printers/p/jobs", "https://h/v1.0/print/printers/p/jobs/", "https://h/v1.0/print/printers/p/jobs/7/",
	"https://h/v1.0/print/printers/p/jobs/7/abort", "https://h/v1.0/print/printers/p/jobs/7?x=1",
	"https://h/v1.0/print/printers/p/jobs/7#x",
	"https://h/v1.0/print/printers/p%2Fq/jobs/7", "https://h/v1.0/print/printers/../jobs/7", "https://h/v1.0/print/printers//jobs/7",
	"https://h/v1.0/print/printers('p'/jobs/7", "https://h/v1.0/print/printers('p')x/jobs/7", "https://h/v1.0/print/printers(p)/jobs(7)",
	"https://h/v1.0/print/printers('')/jobs('7')", "https://h/v1.0/print/printers/p/jobs/7 ", " https://h/v1.0/print/printers/p/jobs/7",
	"https://h/v1.0/print/printers/p/jobs/7\n", "https://h/x/v1.0/print/printers/p/jobs/7",
}

func TestParseJobURL(t *testing.T) {
	for s, want := range jobURLs {
		if got, err := ParseJobURL(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range notJobURLs {
		if got, err := ParseJobURL(s); err == nil || got != (Ref{}) {
			t.Errorf("%q: accepted as %v", s, got)
		}
	}
}

func FuzzJobRef(f *testing.F) {
	for s := range jobURLs {
		f.Add(s)
	}
	for _, s := range notJobURLs {
		f.Add(s)
	}
	watch := fuzztest.New(f, fuzztest.Small)
	f.Fuzz(func(t *testing.T, s string) {
		defer watch.Input(t)()
		got, err := ParseJobURL(s)
		if err != nil {
			if got != (Ref{}) {
				t.Errorf("%q: %v and an error", s, got)
			}
			return
		}
		if !ValidID(got.Printer) || !ValidID(got.Job) {
			t.Errorf("%q: ids %q, %q", s, got.Printer, got.Job)
		}
		if strings.ContainsAny(s, "?#%@\\ \n\x00") {
			t.Errorf("%q accepted", s)
		}
		again, err := ParseJobURL("https://graph.microsoft.com/v1.0" + "/print/printers/" + got.Printer + "/jobs/" + got.Job)
		if err != nil || again != got {
			t.Errorf("%q: our own address of it reads %v, %v", s, again, err)
		}
		if other, err := ParseJobURL(strings.ToUpper(s)); err != nil || !strings.EqualFold(other.Printer, got.Printer) ||
			!strings.EqualFold(other.Job, got.Job) {
			t.Errorf("%q in capitals: %v, %v", s, other, err)
		}
	})
}

func FuzzNextLink(f *testing.F) {
	for _, s := range append(nextLinks, foreignLinks...) {
		f.Add(s)
	}
	c := &Client{}
	base, err := endpoint("", "https://graph.microsoft.com/v1.0", "")
	if err != nil {
		f.Fatal(err)
	}
	c.base = base
	watch := fuzztest.New(f, fuzztest.Small)
	f.Fuzz(func(t *testing.T, s string) {
		defer watch.Input(t)()
		u, ok := c.nextLink(s)
		if !ok {
			return
		}
		if u.Scheme != "https" || u.Host != "graph.microsoft.com" || u.User != nil || !strings.HasPrefix(u.EscapedPath(), "/v1.0/") ||
			strings.Contains(u.Path, "/../") {
			t.Errorf("%q leads to %v", s, u)
		}
	})
}

func TestParseResource(t *testing.T) {
	long := strings.Repeat("x", 64)
	for in, want := range map[string]string{
		"print/taskDefinitions/a/tasks/b":                             "a b",
		"/print/taskdefinitions/a/TASKS/b":                            "a b",
		"print/taskDefinitions('a')/tasks('b')":                       "a b",
		"print/taskDefinitions/a/tasks('b')":                          "a b",
		"print/taskDefinitions/" + long + "/tasks/" + long:            long + " " + long,
		"print/taskDefinitions/" + long + "x/tasks/b":                 "",
		"print/taskDefinitions/tasks/tasks/tasks":                     "tasks tasks",
		"//print/taskDefinitions/a/tasks/b":                           "",
		"print/taskDefinitions/a/tasks/b/":                            "",
		"print/taskDefinitions/a/tasks/":                              "",
		"print/taskDefinitions/a/tasks":                               "",
		"print/taskDefinitions//tasks/b":                              "",
		"print/taskDefinitions/../tasks/b":                            "",
		"print/taskDefinitions/%61/tasks/b":                           "",
		"print/taskDefinitions/a/tasks/b?c":                           "",
		"print/taskDefinitions/a/tasks/b#c":                           "",
		"print/taskDefinitions/a b/tasks/c":                           "",
		"print/taskDefinitions(a)/tasks(b)":                           "",
		"print/taskDefinitions('a)/tasks('b')":                        "",
		"print/taskDefinitions('a'')/tasks('b')":                      "",
		"print/taskDefinitions/a/tasks/ü":                             "",
		"print/taskDefinıtions/a/tasks/b":                             "",
		"https://graph.microsoft.com/print/taskDefinitions/a/tasks/b": "",
		"": "",
	} {
		d, task, ok := ParseTaskResource(in)
		if got := d + " " + task; ok != (want != "") || (ok && got != want) {
			t.Errorf("%q: %q, %v", in, got, ok)
		}
	}
}

// What is taken for a task's resource is the canonical form, but for case, the
// slash and the key form.
func FuzzResource(f *testing.F) {
	for _, s := range []string{
		"print/taskDefinitions/a/tasks/b", "/Print/taskDefinitions('a')/tasks('b')", "print/taskDefinitions/a/tasks/../b",
		"print/taskDefinitions('a/tasks('b')", "https://x/print/taskDefinitions/a/tasks/b", "print/taskDefinitions/a%2f/tasks/b",
	} {
		f.Add(s)
	}
	watch := fuzztest.New(f, fuzztest.Small)
	f.Fuzz(func(t *testing.T, s string) {
		defer watch.Input(t)()
		d, task, ok := ParseTaskResource(s)
		if !ok {
			return
		}
		if !ValidID(d) || !ValidID(task) {
			t.Fatalf("%q gives %q and %q", s, d, task)
		}
		plain := strings.NewReplacer("('", "/", "')", "").Replace(strings.TrimPrefix(s, "/"))
		if !strings.EqualFold(plain, "print/taskDefinitions/"+d+"/tasks/"+task) {
			t.Fatalf("%q gives %q and %q", s, d, task)
		}
		if d2, t2, ok := ParseTaskResource("print/taskDefinitions/" + d + "/tasks/" + task); !ok || d2 != d || t2 != task {
			t.Fatalf("%q is not stable", s)
		}
	})
}

// Records of earlier versions hold these names.
func TestRefJSON(t *testing.T) {
	for _, tt := range []struct {
		ref  Ref
		json string
	}{
		{Ref{}, `{}`},
		{Ref{Printer: "p"}, `{"printer":"p"}`},
		{Ref{Printer: "p", Job: "1"}, `{"printer":"p","job":"1"}`},
	} {
		got, err := json.Marshal(tt.ref)
		if err != nil || string(got) != tt.json {
			t.Errorf("Marshal(%+v) = %s, %v; want %s", tt.ref, got, err, tt.json)
		}
		var back Ref
		if err := json.Unmarshal(got, &back); err != nil || back != tt.ref {
			t.Errorf("Unmarshal(%s) = %+v, %v", got, back, err)
		}
	}
}

func TestRefName(t *testing.T) {
	ref := Ref{Printer: "p", Job: "1"}
	if got := ref.Name(); got != "p/1" || RefOf(got) != ref {
		t.Errorf("Name() = %q, RefOf of it = %+v", got, RefOf(got))
	}
	if got := RefOf("p"); got != (Ref{Printer: "p"}) {
		t.Errorf("RefOf(p) = %+v", got)
	}
}
