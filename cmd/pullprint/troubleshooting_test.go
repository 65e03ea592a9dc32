package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// spoken are the files whose texts the program can say, by their folders.
var spoken = []string{"cmd/pullprint", "connector", "policy", "trigger"}

// unspoken are those that tell made-up people's stories, or are for tests.
var unspoken = regexp.MustCompile(
	`_test\.go$|/(?:graphtest|bustest|quotatest|testdata)/|cmd/pullprint/(?:demo|demoscript|presenter|simulator)\.go$`)

// told is what the sources say to people: subjects of the doctor, events of the log
// by their levels, and fields and loggers of log lines.
type told struct {
	subjects, fields, loggers map[string]bool
	events                    map[string]string
}

// tells reads it out of the sources.
func tells(t *testing.T) told {
	t.Helper()
	out := told{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]string{}}
	for _, folder := range spoken {
		err := filepath.WalkDir(filepath.Join("..", "..", folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || unspoken.MatchString(filepath.ToSlash(path)) {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					out.call(call)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func (o told) call(call *ast.CallExpr) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) == 0 {
		return
	}
	text, ok := textOf(call.Args[0])
	if !ok {
		return
	}
	switch from, name := sel.X, sel.Sel.Name; {
	case name == "say":
		o.subjects[text] = true
	case isZap(from):
		o.fields[text] = true
	case name == "Named":
		o.loggers[text] = true
	case slices.Contains([]string{"Info", "Warn", "Error"}, name) && len(call.Args) >= 1 && isLogger(from):
		o.events[text] = name
	}
}

// textOf is the text of a literal, or of several that are joined by +.
func textOf(x ast.Expr) (string, bool) {
	switch x := x.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(x.Value)
		return text, err == nil && x.Kind == token.STRING
	case *ast.BinaryExpr:
		left, ok := textOf(x.X)
		right, also := textOf(x.Y)
		return left + right, ok && also && x.Op == token.ADD
	}
	return "", false
}

func isZap(x ast.Expr) bool {
	id, ok := x.(*ast.Ident)
	return ok && id.Name == "zap"
}

// isLogger reports whether an expression is named as loggers are here.
func isLogger(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name == "log"
	case *ast.SelectorExpr:
		return x.Sel.Name == "log"
	case *ast.CallExpr: // log.Named("…")
		sel, ok := x.Fun.(*ast.SelectorExpr)
		return ok && isLogger(sel.X)
	}
	return false
}

var quotedCell = regexp.MustCompile("`([^`]+)`")

// firstCells are what stands in backquotes in the first column of the tables below a
// heading.
func firstCells(page, heading string) []string { return cellsOf(page, heading, 0) }

// cellsOf is firstCells for any column.
func cellsOf(page, heading string, column int) []string {
	_, rest, _ := strings.Cut(page, "\n"+heading+"\n")
	if end := regexp.MustCompile(`\n#+ `).FindStringIndex(rest); end != nil {
		rest = rest[:end[0]]
	}
	var cells []string
	for line := range strings.Lines(rest) {
		row, ok := strings.CutPrefix(line, "| ")
		if list := strings.Split(row, " | "); ok && column < len(list) {
			for _, m := range quotedCell.FindAllStringSubmatch(list[column], -1) {
				cells = append(cells, m[1])
			}
		}
	}
	return cells
}

// The page names every line of the doctor, and events and fields of the log as they
// are; of warnings and errors it may lack a few that are new.
func TestTroubleshooting(t *testing.T) {
	src, err := os.ReadFile("../../deploy/docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	page, code := string(src), tells(t)
	lines := firstCells(page, "### Its lines")
	// These names are made from variables.
	for _, computed := range []string{"policy", "shadow policy", "graph", "authority", "queue", "device", "certificate"} {
		code.subjects[computed] = true
	}
	for s := range code.subjects {
		if !slices.Contains(lines, s) {
			t.Errorf("the page lacks the doctor's line %q", s)
		}
	}
	for _, l := range lines {
		if !code.subjects[l] {
			t.Errorf("the doctor has no line %q", l)
		}
	}
	events := slices.Concat(firstCells(page, "### Events of jobs"), firstCells(page, "### Warnings and errors"))
	for _, e := range events {
		if code.events[e] == "" {
			t.Errorf("no line of the log says %q", e)
		}
	}
	var missing []string
	for e, level := range code.events {
		if level != "Info" && !slices.Contains(events, e) {
			missing = append(missing, e)
		}
	}
	if len(missing) > 0 || len(code.events) < 60 {
		t.Errorf("of %d events, the page lacks %d warnings and errors: %q", len(code.events), len(missing), missing)
	}
	standard := []string{"time", "level", "logger", "msg", "error", "point"}
	for _, f := range firstCells(page, "## The log") {
		if !code.fields[f] && !slices.Contains(standard, f) {
			t.Errorf("no line of the log has the field %q", f)
		}
	}
}

// The page names every part that writes to the log, and no other.
func TestLoggers(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("../../deploy/docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	code := tells(t)
	loggers := firstCells(string(src), "### Parts")
	for l := range code.loggers {
		if !slices.Contains(loggers, l) {
			t.Errorf("the page lacks the logger %q", l)
		}
	}
	for _, l := range loggers {
		if !code.loggers[l] {
			t.Errorf("no part logs as %q", l)
		}
	}
}

// The page of changed log messages names none before that is still logged, and none now that is not.
func TestChangedLogMessages(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("../../deploy/docs/log-messages.md")
	if err != nil {
		t.Fatal(err)
	}
	page, code := string(src), tells(t)
	loggers := map[string]string{}
	for l := range code.loggers {
		loggers[l] = l
	}
	for heading, said := range map[string]map[string]string{"## Messages": code.events, "## Loggers": loggers} {
		before, now := cellsOf(page, heading, 0), cellsOf(page, heading, 1)
		if len(before) == 0 || len(before) != len(now) {
			t.Errorf("%s: %d before, %d now", heading, len(before), len(now))
		}
		for _, m := range before {
			if said[m] != "" {
				t.Errorf("%s: %q is still logged", heading, m)
			}
		}
		for _, m := range now {
			if said[m] == "" {
				t.Errorf("%s: %q is not logged", heading, m)
			}
		}
	}
}
