package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dashboard is what Grafana reads of a file, as far as we use it.
type dashboard struct {
	UID           string  `json:"uid"`
	Title         string  `json:"title"`
	SchemaVersion int     `json:"schemaVersion"`
	Panels        []panel `json:"panels"`
	Annotations   struct {
		List []struct {
			Expr string `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
	Templating struct {
		List []struct {
			Name string `json:"name"`
			Type string `json:"type"`
		} `json:"list"`
	} `json:"templating"`

	file string
}

type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	GridPos     struct{ X, Y, W, H int }
	FieldConfig struct {
		Defaults struct {
			Unit       string `json:"unit"`
			Thresholds struct {
				Steps []json.RawMessage `json:"steps"`
			} `json:"thresholds"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Targets []struct {
		Expr         string `json:"expr"`
		LegendFormat string `json:"legendFormat"`
		Datasource   struct {
			UID string `json:"uid"`
		} `json:"datasource"`
	} `json:"targets"`
}

func dashboards(t *testing.T) []dashboard {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("grafana", "*.json"))
	if err != nil || len(files) != 2 {
		t.Fatalf("dashboards %v, %v", files, err)
	}
	var all []dashboard
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d := dashboard{file: file}
		if err := json.Unmarshal(src, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, d)
	}
	return all
}

// filled is an expression of a panel as Grafana would send it.
func filled(expr string) string {
	return strings.NewReplacer("$__rate_interval", "1m", "$__range", "5m", "$job", "pullprint", "$instance", ".*",
		"$queue",
		".*").Replace(expr)
}

// expressions are those of all panels, filled in, with what asks them.
func expressions(t *testing.T) (list []struct{ what, expr string }) {
	t.Helper()
	for _, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				list = append(list, struct{ what, expr string }{d.file + ": " + p.Title, filled(q.Expr)})
			}
		}
	}
	if len(list) < 60 {
		t.Fatalf("only %d expressions found", len(list))
	}
	return list
}

// Grafana itself is not asked: a dashboard has what it needs, no panel lies on
// another, and each says what it shows, in which unit.
func TestDashboards(t *testing.T) {
	uids := map[string]bool{}
	for _, d := range dashboards(t) {
		if d.UID == "" || uids[d.UID] || d.Title == "" || d.SchemaVersion < 36 {
			t.Errorf("%s: uid %q, title %q, schema %d", d.file, d.UID, d.Title, d.SchemaVersion)
		}
		uids[d.UID] = true
		var names []string
		for _, v := range d.Templating.List {
			names = append(names, v.Name)
		}
		if want := []string{"datasource", "job", "instance", "queue"}; !slices.Equal(names, want) {
			t.Errorf("%s: variables %v, want %v", d.file, names, want)
		}
		ids, taken := map[int]bool{}, map[[2]int]string{}
		for _, p := range d.Panels {
			if p.ID == 0 || ids[p.ID] {
				t.Errorf("%s: %s: id %d is not its own", d.file, p.Title, p.ID)
			}
			ids[p.ID] = true
			if g := p.GridPos; g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
				t.Errorf("%s: %s: lies at %+v", d.file, p.Title, g)
			}
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other, ok := taken[[2]int{x, y}]; ok {
						t.Fatalf("%s: %s lies on %s", d.file, p.Title, other)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
			if p.Type != "row" {
				checkPanel(t, d, p)
			}
		}
	}
}

// variableUsed is a variable of a dashboard in an expression.
var variableUsed = regexp.MustCompile(`\$\{?(\w+)`)

func checkPanel(t *testing.T, d dashboard, p panel) {
	t.Helper()
	if p.Title == "" || len(p.Description) < 20 || p.FieldConfig.Defaults.Unit == "" ||
		len(p.FieldConfig.Defaults.Thresholds.Steps) == 0 ||
		len(p.Targets) == 0 {
		t.Errorf("%s: %s lacks a description, a unit, thresholds or a query", d.file, p.Title)
	}
	for _, q := range p.Targets {
		if q.Datasource.UID != "${datasource}" {
			t.Errorf("%s: %s asks the data source %q", d.file, p.Title, q.Datasource.UID)
		}
		if !strings.Contains(q.Expr, "$job") {
			t.Errorf("%s: %s mixes installations: %s", d.file, p.Title, q.Expr)
		}
		for _, m := range variableUsed.FindAllStringSubmatch(q.Expr, -1) {
			if !slices.Contains([]string{"job", "instance", "queue", "__rate_interval", "__range"}, m[1]) {
				t.Errorf("%s: %s: there is no variable $%s", d.file, p.Title, m[1])
			}
		}
	}
	for name := range alertsOf(p.Description) {
		if !alertExists(t, name) {
			t.Errorf("%s: %s names the alert %s, which there is not", d.file, p.Title, name)
		}
	}
}

// alertsOf are the names of alerts in a text.
func alertsOf(text string) map[string]bool {
	names := map[string]bool{}
	for _, n := range regexp.MustCompile(`Pullprint[A-Z]\w+`).FindAllString(text, -1) {
		names[n] = true
	}
	return names
}

func alertExists(t *testing.T, name string) bool {
	t.Helper()
	return slices.ContainsFunc(ruleFiles(t), func(r rule) bool { return r.Alert == name })
}

// promtool parses every expression of the panels.
func TestDashboardsParse(t *testing.T) {
	var b strings.Builder
	b.WriteString("groups:\n  - name: panels\n    rules:\n")
	list := expressions(t)
	for _, d := range dashboards(t) {
		for _, a := range d.Annotations.List {
			list = append(list, struct{ what, expr string }{d.file + ": annotation", filled(a.Expr)})
		}
	}
	for i, e := range list {
		fmt.Fprintf(&b, "      # %s\n      - record: panel_%d\n        expr: |\n          %s\n", e.what, i, e.expr)
	}
	file := filepath.Join(t.TempDir(), "panels.yml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "promtool", "check", "rules", "--lint=none", file)
}
