package station

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pullprint/connector/admin"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/catalog"
	"pullprint/connector/decision"
	"pullprint/connector/job/paper"
	"pullprint/connector/notice"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/policy/reasons"
)

var (
	textOfPage = regexp.MustCompile(`In\.Text "([^"]+)"`)
	sentence   = regexp.MustCompile(`^[A-Z][^ ]* .*\.$`)
	markup     = regexp.MustCompile(`<[^>]*>`)
)

// saidHere are the texts that the pages for people, notices and the Teams app can say: those of the templates, of the
// code, of messages, reasons and printers.
func saidHere(t *testing.T) map[string]bool {
	t.Helper()
	keys := map[string]bool{}
	templates, _ := filepath.Glob("../*/pages/*.html")
	console, _ := filepath.Glob("../pages/*.html")
	notices, _ := filepath.Glob("../../notify/templates/*")
	for _, name := range slices.Concat(templates, console, notices, []string{"../../phone/sheet.html"}) {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range textOfPage.FindAllStringSubmatch(string(src), -1) {
			keys[m[1]] = true
		}
	}
	code, _ := filepath.Glob("*.go")
	more, _ := filepath.Glob("../[^s]*/*.go") // these are here
	signIn, _ := filepath.Glob("../signin/*.go")
	desk, _ := filepath.Glob("../*.go")
	for _, name := range slices.Concat(code, more, signIn, desk, []string{
		"../../admin/problem.go", "../../catalog/language.go", "../../catalog/reason.go", "../../access/refusal.go",
		"../../../deploy/teams/package.go",
	}) {
		if !strings.HasSuffix(name, "_test.go") {
			saidInCode(t, name, keys)
		}
	}
	for _, m := range messages {
		keys[m.text] = true
	}
	for _, code := range reasons.Codes() {
		own, _ := reasons.Of(code)
		keys[own.Text], keys[own.Remedy] = true, true
	}
	for _, kind := range notice.Kinds {
		keys[notice.Description(kind)] = true
		if own, ok := notice.WordsOf(kind); ok {
			keys[own.Text], keys[own.Remedy] = true, true
		}
	}
	for _, cause := range printer.Causes() {
		keys[cause] = true
	}
	for _, state := range admin.States {
		keys[string(state)] = true
	}
	askedFor(keys)
	for _, more := range []string{
		string(paper.Failed), string(paper.Canceled), string(paper.Unknown),
		"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat",
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
	} {
		keys[more] = true
	}
	return keys
}

// askedFor adds what asked for a decision, with somebody who did and without.
func askedFor(keys map[string]bool) {
	for _, asked := range []decision.Origin{
		decision.AskedByArrival, decision.AskedByBadge, decision.AskedByPIN, decision.AskedByStation, decision.AskedByToken,
		decision.AskedByBadgeToken, decision.AskedByPINToken, decision.AskedBySignIn, decision.AskedByPhone,
		decision.AskedByRemote, decision.AskedByErasure, decision.AskedBySweep, "",
	} {
		for _, actor := range []string{"", "%s"} {
			e := apiclient.Event{Asked: asked, Actor: actor}
			if why := e.Why(); why != "" && !strings.HasSuffix(why, " ") { // what a token asks has its name
				keys[why] = true
			}
		}
	}
}

// saidInCode adds the texts of one file: arguments of Text, titles, sentences, and what stands
// in the table prints.
func saidInCode(t *testing.T, name string, keys map[string]bool) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	add := func(e ast.Expr, all bool) {
		if text, ok := literal(e); ok && text != "" && (all || sentence.MatchString(text)) {
			keys[text] = true
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			f, _ := n.Fun.(*ast.SelectorExpr)
			for _, a := range n.Args {
				add(a, f != nil && slices.Contains([]string{"Text", "Message", "page", "noSuch"}, f.Sel.Name))
				if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "failure" { // as the API tells it
					text, _ := literal(a)
					add(a, strings.Contains(text, " "))
				}
			}
		case *ast.KeyValueExpr:
			if k, ok := n.Key.(*ast.Ident); ok && slices.Contains([]string{"Title", "Text", "Detail", "What", "Do", "wrong"}, k.Name) {
				add(n.Value, true)
			}
			if _, ok := n.Key.(*ast.BasicLit); ok {
				add(n.Value, false)
			}
			if _, ok := n.Key.(*ast.SelectorExpr); ok { // a table of what something is in words
				add(n.Value, true)
				if pair, ok := n.Value.(*ast.CompositeLit); ok {
					for _, e := range pair.Elts {
						add(e, true)
					}
				}
			}
		case *ast.ValueSpec:
			if strings.HasPrefix(name, "../") {
				for _, v := range n.Values {
					add(v, false)
				}
			}
		case *ast.ReturnStmt:
			for _, r := range n.Results {
				add(r, false)
			}
		case *ast.AssignStmt:
			add(n.Rhs[0], false)
			for _, l := range n.Lhs {
				if id, ok := l.(*ast.Ident); ok && id.Name == "key" {
					add(n.Rhs[0], true)
				}
			}
		case *ast.CompositeLit:
			if strings.HasSuffix(name, "/words.go") {
				for _, e := range n.Elts {
					add(e, true)
				}
			}
		}
		return true
	})
}

// literal is the text of a constant, which may be written in parts.
func literal(e ast.Expr) (text string, ok bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, e.Kind == token.STRING && err == nil
	case *ast.BinaryExpr:
		x, first := literal(e.X)
		y, second := literal(e.Y)
		return x + y, first && second
	}
	return "", false
}

// Each text that a station or a notice can say is in each language, and the languages have no other.
func TestEveryTextInEveryLanguage(t *testing.T) {
	used := saidHere(t)
	src, err := os.ReadFile("../../catalog/texts/de.json")
	if err != nil {
		t.Fatal(err)
	}
	var there map[string]any // TestSameTexts says that the others have the same
	if err := json.Unmarshal(src, &there); err != nil {
		t.Fatal(err)
	}
	for key := range used {
		if _, ok := there[key]; !ok {
			t.Errorf("no language has %q", key)
		}
	}
	for key := range there {
		if !used[key] {
			t.Errorf("nothing says %q", key)
		}
	}
}

// No page of a station mixes English into another language.
func TestPagesInOneLanguage(t *testing.T) {
	p, said := newPages(t), saidHere(t)
	for _, code := range catalog.Languages() {
		if code == "en" {
			continue
		}
		in := p.Site.Words(code)
		for name, data := range stationPages() {
			template, _, _ := strings.Cut(name, " ")
			data.In, data.Title, data.Wrong = in, in.Text("Your jobs"), ""
			s, _ := data.Data.(stationPage)
			s.Printer = release.Readiness{Unavailable: true, Why: "paper jam, " + "unheard of"}
			s.Outcome, s.Refusals = nil, nil // of the policy, in a language of its own
			data.Data = s
			var page bytes.Buffer
			if err := p.Site.Execute(&page, template, data); err != nil {
				t.Fatal(err)
			}
			text := html.UnescapeString(markup.ReplaceAllString(page.String(), " "))
			if !strings.Contains(page.String(), `<html lang="`+code+`">`) {
				t.Errorf("%s, %s: not said to be in that language", code, name)
			}
			for key := range said {
				plain, _, _ := strings.Cut(key, "%")
				if plain = strings.TrimSpace(plain); len(plain) < 8 || slices.Contains([]string{"Questions"}, plain) {
					continue
				}
				if strings.Contains(text, plain) && !strings.Contains(in.Text(key), plain) {
					t.Errorf("%s, %s: %q is English", code, name, plain)
				}
			}
		}
	}
}
