package policyfile

import (
	"cmp"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pullprint/policy"
	"pullprint/policy/reasons"
	"pullprint/policy/strictyaml"
)

const (
	guide   = "../../deploy/docs/policy.md"
	example = "../../deploy/policy.example.yaml"
)

// section is the part of the guide below a heading.
func section(t *testing.T, heading string) string {
	t.Helper()
	src, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(src), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("the guide has no section %q", heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// table is the rows of the table in a section, without its head.
func table(t *testing.T, heading string) (rows [][]string) {
	t.Helper()
	for line := range strings.Lines(section(t, heading)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "| `") {
			rows = append(rows, strings.Split(strings.Trim(line, "| "), " | "))
		}
	}
	return rows
}

var (
	inCode = regexp.MustCompile("`([^`]+)`")
	fenced = regexp.MustCompile("(?s)```([a-z]*)[^\n]*\n(.*?)```")
)

// codes is what stands in code quotes.
func codes(cell string) (list []string) {
	for _, m := range inCode.FindAllStringSubmatch(cell, -1) {
		list = append(list, m[1])
	}
	return list
}

// blocks are the fenced blocks of a kind.
func blocks(text, kind string) (list []string) {
	for _, m := range fenced.FindAllStringSubmatch(text, -1) {
		if m[1] == kind {
			list = append(list, m[2])
		}
	}
	return list
}

// holds reports whether an expression is true of an ordinary job.
func holds(t *testing.T, when string) bool {
	t.Helper()
	src := fmt.Sprintf("rules: [{name: r, at: arrival, when: %q, verdict: hold}]", when)
	d := mustLoad(t, src).Decide(arriving())
	if d.Err != "" {
		t.Errorf("%s: %s", when, d.Err)
	}
	return d.Rule == "r"
}

// The guide's table of variables is what expressions see, no more and no less.
func TestGuideVariables(t *testing.T) {
	var found []string
	for _, row := range table(t, "What a rule can see") {
		if len(row) != 4 {
			t.Fatalf("%d cells: %q", len(row), row)
		}
		name, use, typ := codes(row[0])[0], codes(row[3])[0], codes(row[1])[0]
		found = append(found, name)
		if holds(t, use); !strings.Contains(use, name) {
			t.Errorf("%s is not in its example %s", name, use)
		}
		of := map[string]string{"timestamp": "google.protobuf.Timestamp", "list(string)": "list"}
		if !holds(t, "type("+name+") == "+cmp.Or(of[typ], typ)) {
			t.Errorf("%s is not of the type %s", name, typ)
		}
	}
	slices.Sort(found)
	want, _ := policy.Vocabulary()
	if slices.Sort(want); !slices.Equal(found, want) {
		t.Errorf("the guide says %v, the code %v", found, want)
	}
}

// The guide's list of functions is all there are, and its examples are true.
func TestGuideFunctions(t *testing.T) {
	var names []string
	for _, row := range table(t, "Expressions") {
		names = append(names, codes(row[0])...)
		for _, use := range codes(row[2]) {
			if !holds(t, use) {
				t.Errorf("%s is not true", use)
			}
		}
	}
	slices.Sort(names)
	if _, want := policy.Vocabulary(); !slices.Equal(names, want) {
		t.Errorf("the guide has %v, the language %v", names, want)
	}
}

// The guide's table of keys is what a file can have.
func TestGuideKeys(t *testing.T) {
	var names, want []string
	for _, row := range table(t, "The file, key by key") {
		names = append(names, codes(row[0])[0])
	}
	for _, k := range strictyaml.Keys(reflect.TypeFor[defaultsFile]()) {
		want = append(want, "default."+k)
	}
	parts := map[string]reflect.Type{
		"unknown": reflect.TypeFor[unknownFile](), "allowances": reflect.TypeFor[allowanceFile](), "prices": reflect.TypeFor[pricesFile](),
		"refunds": reflect.TypeFor[refundsFile](), "rules": reflect.TypeFor[ruleFile](),
	}
	for _, key := range strictyaml.Keys(reflect.TypeFor[file]()) {
		switch part, ok := parts[key]; {
		case key == "default" || key == "tests":
		case !ok:
			want = append(want, key)
		default:
			for _, k := range strictyaml.Keys(part) {
				want = append(want, key+"."+k)
			}
		}
	}
	if !slices.Equal(names, want) {
		t.Errorf("the guide has %v, a file %v", names, want)
	}
	if !strings.Contains(section(t, "The file, key by key"), keptText) {
		t.Errorf("the guide does not say %q", keptText)
	}
}

// What the example has as a comment loads, too, when it is taken in.
func TestExampleBudget(t *testing.T) {
	src, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(src), "#\n# zone: ")
	text, _, ok2 := strings.Cut(text, "\n\n")
	if !ok || !ok2 {
		t.Fatal("the example has no budget")
	}
	budget := strings.ReplaceAll("# zone: "+text, "\n# ", "\n")[2:]
	if p := mustLoad(t, budget+"\n"+string(src)); len(p.Parts()) < 2 {
		t.Errorf("%d allowances:\n%s", len(p.Parts()), budget)
	}
}

// Each policy in the guide loads.
func TestGuideLoads(t *testing.T) {
	src, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, text := range blocks(string(src), "yaml") {
		n++
		if _, err := Load("guide", []byte(text)); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
	if n < 10 {
		t.Errorf("only %d policies", n)
	}
}

// The guide's table of the keys of a test is what a test can have.
func TestGuideTests(t *testing.T) {
	parts := map[string]reflect.Type{
		"tests.job": reflect.TypeFor[testJob](), "tests.user": reflect.TypeFor[testUser](), "tests.queue": reflect.TypeFor[testQueue](),
		"tests.expect": reflect.TypeFor[testExpect](), "tests.account": reflect.TypeFor[testAccount](),
	}
	var names, want []string
	for _, row := range table(t, "Tests of a policy") {
		name := codes(row[0])[0]
		names = append(names, name)
		if part, ok := parts[name]; ok && !slices.Equal(codes(row[2]), strictyaml.Keys(part)) {
			t.Errorf("%s: the guide has %v, a test %v", name, codes(row[2]), strictyaml.Keys(part))
		}
	}
	for _, k := range strictyaml.Keys(reflect.TypeFor[testFile]()) {
		want = append(want, "tests."+k)
	}
	if !slices.Equal(names, want) {
		t.Errorf("the guide has %v, a test %v", names, want)
	}
	if !strings.Contains(section(t, "Tests of a policy"), testNow.Format(time.RFC3339)) {
		t.Error("the guide has another time")
	}
}

// The guide's table of verdicts is what a rule may say at each point.
func TestGuideVerdicts(t *testing.T) {
	found := map[policy.Point][]policy.Verdict{"": verdicts[""]}
	for _, row := range table(t, "How a decision is made") {
		if len(row) == 3 {
			at := policy.Point(codes(row[0])[0])
			for _, v := range codes(row[2]) {
				found[at] = append(found[at], policy.Verdict(v))
			}
		}
	}
	if !reflect.DeepEqual(found, verdicts) {
		t.Errorf("the guide says %v", found)
	}
}

// The guide's table of the program's own reasons is what owners are told.
func TestGuideReasons(t *testing.T) {
	keywords := map[string]string{}
	for _, row := range table(t, "Reasons in IPP") {
		keywords[codes(row[0])[0]] = codes(row[1])[0]
		if !slices.Contains(ippKeywords, codes(row[1])[0]) {
			t.Errorf("%s is no keyword", row[1])
		}
	}
	var found []string
	for _, row := range table(t, "Reasons of the program itself") {
		if len(row) == 3 {
			code := codes(row[0])[0]
			found = append(found, code)
			if got, _ := reasons.Of(code); got != (reasons.Reason{Text: row[1], Remedy: row[2], IPP: keywords[code]}) {
				t.Errorf("the guide says %q, the code %+v", row, got)
			}
		}
	}
	slices.Sort(found)
	if want := reasons.Codes(); !slices.Equal(found, want) {
		t.Errorf("the guide has %v, the code %v", found, want)
	}
}

// The guide's limits are those of the code.
func TestGuideLimits(t *testing.T) {
	text := section(t, "Limits")
	for _, want := range []string{
		fmt.Sprintf("%d MiB, %s rules", maxFile>>20, thousands(maxRules)),
		fmt.Sprintf("| a reason | %d characters |", maxReason),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %s", want)
		}
	}
	if a := strings.Repeat("a", 64); !ruleName.MatchString(a) || ruleName.MatchString(a+"a") ||
		!strings.Contains(text, "| a name | 64 characters |") {
		t.Error("a name has another limit")
	}
}

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// The guide shows what a mistake looks like as it really looks.
func TestGuideMistake(t *testing.T) {
	shown := blocks(section(t, "What a mistake looks like"), "text")
	if len(shown) != 2 {
		t.Fatalf("%d blocks", len(shown))
	}
	if _, err := Load("policy.yaml", []byte(shown[0])); err == nil || err.Error() != shown[1] {
		t.Errorf("the guide says\n%s\nit is\n%v", shown[1], err)
	}
}

// Each policy in the guide loads and decides as the text above it says: one
// job that it is about, by its last rule, and one that it is not about.
func TestGuideExamples(t *testing.T) {
	type jobs struct {
		hit, miss policy.Request
		want      policy.Verdict
	}
	saturday := func(r *policy.Request) { r.Now = noon.AddDate(0, 0, 4) }
	exams := func(r *policy.Request) { r.Now = time.Date(2026, 12, 8, 9, 0, 0, 0, zurich) }
	known := map[string]jobs{
		"colour":             {arriving(color), arriving(color, groups("Marketing")), policy.Abort},
		"weekend":            {arriving(direct, saturday), arriving(direct), policy.Abort},
		"many-copies-duplex": {arriving(copies(11)), arriving(copies(10)), policy.Abort},
		"paper":              {arriving(func(r *policy.Request) { r.Job.MediaSize = "Letter" }), arriving(), policy.Abort},
		"invited": {
			arriving(color, func(r *policy.Request) { r.User.UPN = "ada_example.org#EXT#@example.com" }), arriving(color),
			policy.Abort,
		},
		"night":     {arriving(release, at(3)), arriving(release, at(6)), policy.Keep},
		"exam-week": {arriving(release, large, exams, groups("Students")), arriving(release, large, groups("Students")), policy.Keep},
		"stale": {
			arriving(release, func(r *policy.Request) { r.Job.Created = noon.AddDate(0, 0, -1) }), arriving(release),
			policy.Abort,
		},
		"pilot": {arriving(direct, groups("Pilot")), arriving(direct), policy.Complete},
	}
	for _, src := range blocks(section(t, "Worked examples"), "yaml") {
		p := mustLoad(t, src)
		parts := p.Parts()
		name := parts[len(parts)-1].Name
		c, ok := known[name]
		if !ok {
			t.Errorf("no jobs for %s", name)
			continue
		}
		if d := p.Decide(c.hit); d.Rule != name || d.Verdict != c.want || d.Err != "" {
			t.Errorf("%s: %+v", name, d)
		}
		if d := p.Decide(c.miss); d.Rule != "" || d.Err != "" {
			t.Errorf("%s, not about it: %+v", name, d)
		}
		delete(known, name)
	}
	for name := range known {
		t.Errorf("the guide has no example %s", name)
	}
	d := mustLoad(t, blocks(section(t, "The file, key by key"), "yaml")[0]).Decide(arriving(color, copies(40)))
	said := strings.Join(strings.Fields(section(t, "How a decision is made")), " ")
	if !strings.Contains(said, d.Sentence()) {
		t.Errorf("not in the guide: %s", d.Sentence())
	}
}

// The example that people copy decides as its comments say.
func TestExample(t *testing.T) {
	src, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	p := mustLoad(t, string(src))
	hit := map[string]bool{}
	for _, c := range []struct {
		name string
		req  policy.Request
		rule string
		want policy.Verdict
	}{
		{"an ordinary job", arriving(), "", policy.Hold},
		{"an ordinary poster", arriving(direct, groups("Staff")), "", policy.Complete},
		{"a poster of a student", arriving(direct), "posters-for-staff", policy.Abort},
		{"a guest in colour", arriving(color, groups("Guests"), copies(40)), "guests-in-colour", policy.Abort},
		{"a guest in black and white", arriving(groups("Guests")), "", policy.Hold},
		{"much colour", arriving(color, copies(21)), "too-much-colour", policy.Abort},
		{"enough colour", arriving(color, copies(20)), "", policy.Hold},
		{"large", arriving(large), "too-large", policy.Abort},
		{"at six", arriving(release, at(6)), "", policy.Redirect},
		{"at night", arriving(release, at(5)), "night", policy.Keep},
		{"late", arriving(release, at(22)), "night", policy.Keep},
		{"the night shift", arriving(release, at(5), groups("Night shift")), "night-shift", policy.Redirect},
		{"a long run at noon", arriving(release, at(12), copies(51)), "long-run-at-noon", policy.Keep},
		{"a long run later", arriving(release, at(13), copies(51)), "", policy.Redirect},
	} {
		d := p.Decide(c.req)
		if d.Rule != c.rule || d.Verdict != c.want || d.Err != "" {
			t.Errorf("%s: %+v", c.name, d)
		}
		hit[d.Rule] = true
	}
	for _, r := range p.Parts() {
		if !hit[r.Name] {
			t.Errorf("nothing asks for %s", r.Name)
		}
	}
	const text = "The job has 600 MB, more than the 500 MB we print."
	if d := p.Decide(arriving(large)); d.Text != text {
		t.Errorf("%q, want %q", d.Text, text)
	}
}
