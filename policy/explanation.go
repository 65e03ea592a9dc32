package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"pullprint/policy/quota"
)

// Explanation is how a decision came about.
type Explanation struct {
	Decision Decision `json:"decision"`
	// Rules are those of the point, in the order in which they were tried; those
	// after the one that decided were not.
	Rules []Tried `json:"rules"`
	// Balances are those of the accounts that pay.
	Balances []quota.Balance `json:"balances"`
	// Changes are single changes of the request with which the outcome would be
	// another.
	Changes []Change `json:"changes"`
}

// Tried is one rule of an explanation.
type Tried struct {
	Rule string `json:"rule"`
	// Line is where it stands in the file.
	Line int    `json:"line"`
	When string `json:"when"`
	// Result is true, false, an error, or "not tried".
	Result string `json:"result"`
	// Decided is true of the rule that decided, Set of one that rewrote the job.
	Decided bool `json:"decided"`
	Set     bool `json:"set"`
	// Values are those of the parts of when, from the smallest.
	Values []Value `json:"values,omitempty"`
}

// Value is what a part of an expression gave.
type Value struct {
	Expression string `json:"expression"`
	Value      string `json:"value"`
}

// Change is one change of a request and what the decision would be with it.
type Change struct {
	What    string  `json:"what"`
	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason"`
	Rule    string  `json:"rule"`
}

// notTried is the result of a rule after the one that decided.
const notTried = "not tried"

// Explain decides as Decide does, but for shadow, and tells how. The values it
// quotes are those of the job: they are for the administrator.
func (p *Policy) Explain(req Request) Explanation {
	ev := p.evaluate(req)
	defer ev.close()
	e := Explanation{Rules: []Tried{}, Balances: []quota.Balance{}, Changes: []Change{}}
	e.Decision = p.trace(ev, func(r *rule, yes bool, err error) {
		t := Tried{Rule: r.Name, Line: r.Line, When: r.When, Result: fmt.Sprint(yes), Set: r.Set != nil && yes}
		if err != nil {
			t.Result = "error: " + err.Error()
			if dep := ev.missing(); dep != "" {
				t.Result = fmt.Sprintf("unknown: the %s can't be told", dep)
			}
		}
		t.Values = values(r.When, ev.in)
		e.Rules = append(e.Rules, t)
	})
	tried := len(e.Rules)
	for i, n := 0, 0; i < len(p.rules); i++ {
		if r := &p.rules[i]; r.At == req.Point {
			if n++; n > tried {
				e.Rules = append(e.Rules, Tried{Rule: r.Name, Line: r.Line, When: r.When, Result: notTried})
			}
		}
	}
	for i := range e.Rules {
		e.Rules[i].Decided = e.Rules[i].Rule == e.Decision.Rule
	}
	e.Balances = append(e.Balances, req.Budget.Balances...)
	e.Changes = p.changes(req, e.Decision)
	return e
}

// values are what the parts of an expression give, but for those that are
// written out: each part, also those that need not be looked at for the result.
func values(source string, in *input) (list []Value) {
	defer func() {
		if recover() != nil { // CEL's, of a part that would not be looked at
			list = nil
		}
	}()
	env, checked := compiled(source)
	if checked == nil {
		return nil
	}
	prg, err := env.Program(checked, cel.EvalOptions(cel.OptExhaustiveEval), cel.CostLimit(costLimit))
	if err != nil {
		return nil
	}
	_, details, _ := prg.Eval(in)
	if details == nil {
		return nil
	}
	info, seen := checked.NativeRep().SourceInfo(), map[string]bool{}
	ast.PostOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.SelectKind && e.Kind() != ast.CallKind && e.Kind() != ast.IdentKind &&
			e.Kind() != ast.ComprehensionKind {
			return
		}
		v, ok := details.State().Value(e.ID())
		if _, whole := v.(*object); !ok || whole {
			return
		}
		text, err := cel.ExprToString(e, info)
		if err != nil || seen[text] || strings.HasPrefix(text, "@") || strings.HasPrefix(text, "__") {
			return
		}
		seen[text] = true
		list = append(list, Value{text, valueText(v)})
	}))
	return list
}

// compiled is an expression of the policy once more, as what ran keeps no syntax; nil when it can't
// be compiled.
func compiled(source string) (*cel.Env, *cel.Ast) {
	env, err := environment()
	if err != nil {
		return nil, nil
	}
	checked, iss := env.Compile(source)
	if iss.Err() != nil {
		return nil, nil
	}
	return env, checked
}

// valueText is a value as an administrator reads it.
func valueText(v ref.Val) string {
	switch v := v.(type) {
	case types.String:
		return fmt.Sprintf("%q", oneLine(string(v)))
	case *types.Err:
		return "error: " + evalError(v).Error()
	case types.Duration:
		return v.Duration.String()
	case names:
		quoted := make([]string, min(len(v.list), 10))
		for i := range quoted {
			quoted[i] = fmt.Sprintf("%q", oneLine(v.list[i]))
		}
		if len(v.list) > len(quoted) {
			quoted = append(quoted, fmt.Sprintf("and %d more", len(v.list)-len(quoted)))
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	if types.IsUnknown(v) {
		return "unknown"
	}
	if text := textOf(v); text != "" {
		return text
	}
	return v.Type().TypeName()
}

// change is one that is tried.
type change struct {
	what string
	do   func(*Request)
}

// changes finds single changes of a request with which its outcome would be
// another: of the job, of the hour, of the owner's groups, of what is left.
func (p *Policy) changes(req Request, d Decision) (list []Change) {
	for _, c := range p.candidates(req) {
		other := req
		other.User.Groups = slices.Clone(req.User.Groups)
		c.do(&other)
		known := other.Budget.Balances
		other.Budget = p.Budget(other)
		for _, claim := range other.Budget.Claims {
			other.Budget.Balances = append(other.Budget.Balances, balanceOf(claim, known, other.Now))
		}
		if o := p.decide(other); o.Verdict != d.Verdict || o.Reason != d.Reason {
			list = append(list, Change{c.what, o.Verdict, o.Reason, o.Rule})
		}
	}
	return p.firstHour(list)
}

// hourPrefix begins the words of a change of the hour.
const hourPrefix = "at "

// firstHour leaves of several hours with one outcome the first.
func (p *Policy) firstHour(list []Change) []Change {
	seen := map[Change]bool{}
	return slices.DeleteFunc(list, func(c Change) bool {
		if !strings.HasPrefix(c.What, hourPrefix) {
			return false
		}
		c.What = ""
		twice := seen[c]
		seen[c] = true
		return twice
	})
}

// balanceOf is the balance of a claim, or that of an account nobody has used.
func balanceOf(c quota.Claim, known []quota.Balance, now time.Time) quota.Balance {
	if i := slices.IndexFunc(known, func(b quota.Balance) bool {
		return b.Account == c.Account && slices.Equal(b.Names, c.Names)
	}); i >= 0 {
		return known[i]
	}
	return c.Untouched(now)
}

// candidates are the changes that are tried.
func (p *Policy) candidates(req Request) (list []change) {
	add := func(what string, do func(*Request)) { list = append(list, change{what, do}) }
	for _, v := range variants {
		job := req.Job
		v.set.Apply(&job)
		if job.Color != req.Job.Color || job.Duplex != req.Job.Duplex || job.Copies != req.Job.Copies {
			add(strings.ToLower(v.words[:1])+v.words[1:], func(r *Request) { v.set.Apply(&r.Job) })
		}
	}
	if !req.Job.Color {
		add("in colour", func(r *Request) { r.Job.Color = true })
	}
	if req.Job.Pages > 1 {
		add("with one page", func(r *Request) { r.Job.Pages = 1 })
	}
	for i, b := range req.Budget.Balances {
		add(fmt.Sprintf("with the whole limit left on %s", b.Account.Key()), func(r *Request) {
			r.Budget.Balances = slices.Clone(req.Budget.Balances)
			r.Budget.Balances[i].Left = b.Limit
		})
	}
	for h := 1; h < 24; h++ {
		then := req.Now.Truncate(time.Hour).Add(time.Duration(h) * time.Hour)
		add(hourPrefix+then.In(p.def.Zone).Format("Mon 15:04"), func(r *Request) { r.Now = then })
	}
	for _, g := range p.groupsNamed() {
		if i := slices.Index(req.User.Groups, g); i >= 0 {
			add(fmt.Sprintf("if the owner were not in %q", g), func(r *Request) {
				r.User.Groups = slices.DeleteFunc(r.User.Groups, func(name string) bool { return name == g })
			})
		} else {
			add(fmt.Sprintf("if the owner were in %q", g), func(r *Request) { r.User.Groups = append(r.User.Groups, g) })
		}
	}
	for _, dep := range req.Missing {
		add(fmt.Sprintf("if the %s could be told", dep), func(r *Request) {
			r.Missing = slices.DeleteFunc(slices.Clone(r.Missing), func(d Dependency) bool { return d == dep })
		})
	}
	return list
}

// groupsNamed are the groups that expressions of the file name, as in
// "Staff" in user.groups.
func (p *Policy) groupsNamed() []string {
	named := map[string]bool{}
	sources := make([]string, 0, len(p.rules)+len(p.allowances))
	for i := range p.rules {
		sources = append(sources, p.rules[i].When)
	}
	for i := range p.allowances {
		sources = append(sources, p.allowances[i].When)
	}
	for _, source := range sources {
		_, checked := compiled(source)
		if checked == nil {
			continue
		}
		ast.PreOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
			if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 2 {
				return
			}
			args := e.AsCall().Args()
			if args[0].Kind() == ast.LiteralKind && args[1].Kind() == ast.SelectKind &&
				args[1].AsSelect().FieldName() == "groups" {
				if name, ok := args[0].AsLiteral().(types.String); ok {
					named[string(name)] = true
				}
			}
		}))
	}
	return slices.Sorted(maps.Keys(named))
}
