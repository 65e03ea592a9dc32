package guards

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// The kinds of guards.
const (
	kindCAS      = "compare-and-set"
	kindSize     = "size"
	kindDeadline = "deadline"
	kindIdentity = "identity"
	kindLoop     = "loop"
)

// guard is one place of the product that can be taken out.
type guard struct {
	id   int
	kind string
	file string // slash path from the root of the module
	line int
	fn   string // function that it stands in
	text string // source of what is taken out

	at, end int    // offsets in the file
	before  string // call that it becomes the last argument of
}

func (g *guard) String() string {
	return fmt.Sprintf("%s:%d: %s, %s: %s", g.file, g.line, g.fn, g.kind, g.text)
}

// key names a guard for as long as its function and its text stay.
func (g *guard) key() string { return g.file + " " + g.fn + ": " + g.text }

// finder collects the guards of one file.
type finder struct {
	fset *token.FileSet
	src  []byte
	file string
	fn   string
	cas  map[string]bool // variables of the function that tell whether a compare-and-set was made
	list []*guard
	seen map[int]bool // offsets that have a guard
}

// findGuards returns the guards of the product files in a folder.
func findGuards(root, dir string) ([]*guard, error) {
	names, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var list []*guard
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		fset := token.NewFileSet()
		tree, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		f := &finder{fset: fset, src: src, file: filepath.ToSlash(filepath.Join(dir, filepath.Base(name))), seen: map[int]bool{}}
		for _, d := range tree.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				f.fn, f.cas = fn.Name.Name, map[string]bool{}
				ast.Inspect(fn.Body, f.results)
				ast.Inspect(fn.Body, f.visit)
			}
		}
		list = append(list, f.list...)
	}
	return list, nil
}

var casCall = regexp.MustCompile(`(?i)^(compareand\w*|cas|swap\w*|create\w*|update\w*|delete\w*|claim\w*|acquire\w*|` +
	`take\w*|renew\w*|transition\w*|save\w*|set\w*|move\w*|change\w*|put\w*|write\w*|store\w*|remove\w*|edit\w*|add\w*)$`)

// results notes the variables that a compare-and-set tells its result in.
func (f *finder) results(n ast.Node) bool {
	a, ok := n.(*ast.AssignStmt)
	if !ok || len(a.Rhs) != 1 || len(a.Lhs) < 2 {
		return true
	}
	call, ok := a.Rhs[0].(*ast.CallExpr)
	if !ok || !casCall.MatchString(lastName(call.Fun)) {
		return true
	}
	for _, l := range a.Lhs[:len(a.Lhs)-1] {
		if id, ok := l.(*ast.Ident); ok && id.Name != "_" && id.Name != "err" {
			f.cas[id.Name] = true
		}
	}
	return true
}

// lastName is the name of what is called.
func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.IndexExpr:
		return lastName(e.X)
	}
	return ""
}

func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		f.ifStmt(n)
	case *ast.SwitchStmt:
		if n.Tag == nil {
			for _, c := range n.Body.List {
				f.clause(c)
			}
		}
	case *ast.ReturnStmt:
		for _, r := range n.Results {
			f.returned(r)
		}
	case *ast.ForStmt:
		f.loop(n.Cond)
	case *ast.RangeStmt:
		if name := f.text(n.X); isNumber(n.X) || limitName.MatchString(name) && isName(n.X) {
			f.add(kindLoop, n.X, "guardMost(%d, ")
		}
	case *ast.CallExpr:
		f.call(n)
	case *ast.KeyValueExpr:
		if k, ok := n.Key.(*ast.Ident); ok && strings.HasSuffix(k.Name, "Timeout") {
			f.add(kindDeadline, n.Value, "guardTime(%d, ")
		}
	}
	return true
}

// clause looks at the conditions of a case.
func (f *finder) clause(s ast.Stmt) {
	if c, ok := s.(*ast.CaseClause); ok {
		for _, e := range c.List {
			f.operands(e)
		}
	}
}

// ifStmt takes an if for a guard when it leaves what it stands in.
func (f *finder) ifStmt(n *ast.IfStmt) {
	if a, ok := n.Init.(*ast.AssignStmt); ok && f.text(n.Cond) == "err != nil" && checks(a) {
		f.add(kindIdentity, n.Cond, "guardIs(%d, ")
	}
	if leaves(n.Body) {
		f.operands(n.Cond)
	} else if id, ok := n.Cond.(*ast.Ident); ok && f.cas[id.Name] {
		f.add(kindCAS, n.Cond, "guardOr(%d, ")
	}
}

var checkCall = regexp.MustCompile(`(?i)verify|check|authen|authori|valid|allow|refus|permit|prove|confine|usable`)

// checks reports whether what is assigned is what a check says.
func checks(a *ast.AssignStmt) bool {
	call, ok := a.Rhs[0].(*ast.CallExpr)
	return ok && checkCall.MatchString(lastName(call.Fun))
}

// leaves reports whether a block ends in a jump.
func leaves(b *ast.BlockStmt) bool {
	if len(b.List) == 0 {
		return false
	}
	switch s := b.List[len(b.List)-1].(type) {
	case *ast.ReturnStmt, *ast.BranchStmt:
		return true
	case *ast.ExprStmt:
		call, ok := s.X.(*ast.CallExpr)
		return ok && lastName(call.Fun) == "panic"
	}
	return false
}

// operands looks at each side of an "or" on its own.
func (f *finder) operands(e ast.Expr) {
	if p, ok := e.(*ast.ParenExpr); ok {
		f.operands(p.X)
		return
	}
	if b, ok := e.(*ast.BinaryExpr); ok && b.Op == token.LOR {
		f.operands(b.X)
		f.operands(b.Y)
		return
	}
	if id, ok := e.(*ast.Ident); ok && f.cas[id.Name] {
		f.add(kindCAS, e, "guardOr(%d, ")
	} else if kind := f.kind(e); kind != "" {
		f.add(kind, e, "guardIs(%d, ")
	}
}

// returned looks at a comparison whose result is returned: each side of an "and" must hold.
func (f *finder) returned(e ast.Expr) {
	b, ok := e.(*ast.BinaryExpr)
	switch {
	case !ok:
		return
	case b.Op == token.LAND:
		f.returned(b.X)
		f.returned(b.Y)
	case b.Op == token.EQL && f.kind(e) == kindIdentity:
		f.add(kindIdentity, e, "guardOr(%d, ")
	}
}

func (f *finder) loop(cond ast.Expr) {
	b, ok := cond.(*ast.BinaryExpr)
	switch {
	case !ok:
		return
	case b.Op == token.LAND:
		f.loop(b.X)
		f.loop(b.Y)
	case slices.Contains(order, b.Op) && (isNumber(b.Y) || limitName.MatchString(f.text(b))):
		f.add(kindLoop, cond, "guardOr(%d, ")
	}
}

var order = []token.Token{token.LSS, token.GTR, token.LEQ, token.GEQ}

func isNumber(e ast.Expr) bool {
	l, ok := e.(*ast.BasicLit)
	return ok && l.Kind == token.INT && l.Value != "0"
}

func isName(e ast.Expr) bool {
	switch e.(type) {
	case *ast.Ident, *ast.SelectorExpr:
		return true
	}
	return false
}

// call takes the limit out of calls that are given one.
func (f *finder) call(n *ast.CallExpr) {
	arg := func(i int) ast.Expr { return n.Args[min(i, len(n.Args)-1)] }
	switch lastName(n.Fun) {
	case "WithTimeout", "WithTimeoutCause", "withLimit":
		f.add(kindDeadline, arg(1), "guardTime(%d, ")
	case "LimitReader", "NewSectionReader":
		f.add(kindSize, arg(2), "guardMost[int64](%d, ")
	case "MaxBytesReader", "CopyN":
		f.add(kindSize, arg(2), "guardMost[int64](%d, ")
	case "WithDeadline", "WithDeadlineCause":
		f.add(kindDeadline, arg(1), "guardDay(%d, ")
	case "SetReadDeadline", "SetWriteDeadline", "SetDeadline":
		f.add(kindDeadline, arg(0), "guardDay(%d, ")
	}
}

var (
	limitName    = regexp.MustCompile(`(?i)(\b|_)(max|most|limit|least|ceiling)|[a-z](Max|Most|Limit|Size|Tries|Passes|Rounds)`)
	sizeName     = regexp.MustCompile(`(?i)\b(len|cap)\(|(\b|_)(max|most|limit|size|many|full|room)|[a-z](Max|Most|Limit|Size|Bytes)`)
	deadlineName = regexp.MustCompile(`\.(After|Before|Deadline|Compare)\(|time\.(Since|Until)\(|\.Sub\(|\.Err\(\)|[eE]xpire`)
	identityName = regexp.MustCompile(`(?i)owner|user|role|token|secret|person|identi|clientstate|csrf|origin|tenant|card|badge|` +
		`\bpin|visitor|principal|\bmay|allow|permit|scope|revoked|authori|subtle|hmac|equal|\bsame|\bmine|\bours|` +
		`createdby|device|printer|queue|lease|holder`)
)

// kind classifies a condition by the words in it.
func (f *finder) kind(e ast.Expr) string {
	text := f.text(e)
	if regexp.MustCompile(`^(\w*[eE]rr(or)?|found\[\w+\]) [!=]= nil$`).MatchString(text) {
		return ""
	}
	if f.mentionsCAS(e) {
		return kindCAS
	}
	b, _ := e.(*ast.BinaryExpr)
	ordered := b != nil && slices.Contains(order, b.Op) && f.text(b.Y) != "0"
	switch {
	case ordered && sizeName.MatchString(text), strings.Contains(text, ".TryAcquire("):
		return kindSize
	case deadlineName.MatchString(text):
		return kindDeadline
	case identityName.MatchString(text):
		return kindIdentity
	}
	return ""
}

// mentionsCAS reports whether a condition is of the result of a compare-and-set.
func (f *finder) mentionsCAS(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.UnaryExpr:
		id, ok := e.X.(*ast.Ident)
		return ok && e.Op == token.NOT && f.cas[id.Name]
	case *ast.BinaryExpr:
		if e.Op == token.LAND {
			return f.mentionsCAS(e.X) || f.mentionsCAS(e.Y)
		}
		id, ok := e.X.(*ast.Ident)
		return ok && f.cas[id.Name] && f.text(e.Y) == "0"
	}
	return false
}

func (f *finder) text(e ast.Expr) string {
	return strings.Join(strings.Fields(string(f.src[f.offset(e.Pos()):f.offset(e.End())])), " ")
}

func (f *finder) offset(p token.Pos) int { return f.fset.Position(p).Offset }

// add notes a guard, once for each place.
func (f *finder) add(kind string, e ast.Expr, before string) {
	at := f.offset(e.Pos())
	if f.seen[at] {
		return
	}
	f.seen[at] = true
	f.list = append(f.list, &guard{
		kind: kind, file: f.file, line: f.fset.Position(e.Pos()).Line, fn: f.fn, text: f.text(e),
		at: at, end: f.offset(e.End()), before: before,
	})
}
