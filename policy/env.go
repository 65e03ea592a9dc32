package policy

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // rules name time zones, also where the system has none

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
)

// What a rule can see. deploy/docs/policy.md has the same table for people, and
// a test compares the two.
type (
	jobVars struct {
		Queue       string    `cel:"queue"`
		Copies      int64     `cel:"copies"`
		Color       bool      `cel:"color"`
		Duplex      bool      `cel:"duplex"`
		MediaSize   string    `cel:"mediaSize"`
		Size        int64     `cel:"size"`
		ContentType string    `cel:"contentType"`
		Created     time.Time `cel:"created"`
	}
	userVars struct {
		ID     string   `cel:"id"`
		UPN    string   `cel:"upn"`
		Groups []string `cel:"groups"`
	}
	queueVars struct {
		Name string `cel:"name"`
		Mode string `cel:"mode"`
	}
)

// costLimit bounds one expression, in CEL's own units. A rule over a hundred
// groups costs a few hundred.
const costLimit = 100_000

// environment is the one CEL environment of the program.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		ext.NativeTypes(reflect.TypeFor[jobVars](), reflect.TypeFor[userVars](), reflect.TypeFor[queueVars](), ext.ParseStructTags(true)),
		ext.Strings(),
		cel.Variable("job", cel.ObjectType("policy.jobVars")),
		cel.Variable("user", cel.ObjectType("policy.userVars")),
		cel.Variable("queue", cel.ObjectType("policy.queueVars")),
		cel.Variable("now", cel.TimestampType),
	)
})

// Variables lists what a rule can see, as job.copies, with the CEL type of each.
func Variables() map[string]string {
	vars := map[string]string{"now": "timestamp"}
	for name, t := range map[string]reflect.Type{"job": reflect.TypeFor[jobVars](), "user": reflect.TypeFor[userVars](), "queue": reflect.TypeFor[queueVars]()} {
		for i := range t.NumField() {
			f := t.Field(i)
			vars[name+"."+f.Tag.Get("cel")] = celName(f.Type)
		}
	}
	return vars
}

func celName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "timestamp"
	case t.Kind() == reflect.Int64:
		return "int"
	case t.Kind() == reflect.Slice:
		return "list(" + celName(t.Elem()) + ")"
	}
	return t.Kind().String()
}

// input is a request as CEL sees it.
type input struct{ job, user, queue, now ref.Val }

func newInput(req Request) *input {
	env, err := environment()
	if err != nil {
		return &input{} // no program exists either
	}
	a := env.CELTypeAdapter()
	return &input{
		job: a.NativeToValue(&jobVars{
			Queue: req.Queue.Name, Copies: int64(req.Job.Copies), Color: req.Job.Color, Duplex: req.Job.Duplex, MediaSize: req.Job.MediaSize,
			Size: req.Job.Size, ContentType: req.Job.ContentType, Created: req.Job.Created,
		}),
		user:  a.NativeToValue(&userVars{ID: req.User.ID, UPN: req.User.UPN, Groups: req.User.Groups}),
		queue: a.NativeToValue(&queueVars{Name: req.Queue.Name, Mode: req.Queue.Mode}),
		now:   types.Timestamp{Time: req.Now},
	}
}

// ResolveName implements cel.Activation.
func (in *input) ResolveName(name string) (any, bool) {
	switch name {
	case "job":
		return in.job, true
	case "user":
		return in.user, true
	case "queue":
		return in.queue, true
	case "now":
		return in.now, true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (*input) Parent() cel.Activation { return nil }

var (
	errCompletePull = errors.New("complete is not possible in a pull queue")
	errNotBool      = errors.New("the expression gave no true or false")
	errPanic        = errors.New("the expression could not be evaluated")
	errEval         = errors.New("the expression failed")
)

// program is a compiled expression.
type program struct {
	cel  cel.Program
	uses bool // user.groups
}

// eval evaluates; an error never quotes what the expression saw.
func (p program) eval(in *input) (v ref.Val, err error) {
	defer func() {
		if recover() != nil {
			v, err = nil, errPanic
		}
	}()
	v, _, err = p.cel.Eval(in)
	if err != nil {
		return nil, evalError(err)
	}
	return v, nil
}

// evalError keeps of an error of CEL only what it says about the rule.
func evalError(err error) error {
	text := err.Error()
	for _, known := range []string{"no such overload", "divide by zero", "modulus by zero", "integer overflow", "index out of bounds", "no such key", "cost limit exceeded", "unknown time zone", "invalid argument", "type conversion error"} {
		if strings.Contains(text, known) {
			return fmt.Errorf("%w: %s", errEval, known)
		}
	}
	return errEval
}

func (p program) isTrue(in *input) (bool, error) {
	v, err := p.eval(in)
	if err != nil {
		return false, err
	}
	b, ok := v.(types.Bool)
	if !ok {
		return false, errNotBool
	}
	return bool(b), nil
}

// place is where in an expression something is wrong: line from 1, column from 0.
type place struct {
	line, column int
	message      string
}

// compile checks an expression that has to give one of the types in want; no
// want takes any that can be written out in words.
func compile(text string, want ...*cel.Type) (program, []place) {
	env, err := environment()
	if err != nil {
		return program{}, []place{{1, 0, "CEL is not available: " + err.Error()}}
	}
	checked, iss := env.Compile(text)
	if iss.Err() != nil {
		var places []place
		for _, e := range iss.Errors() {
			places = append(places, place{max(e.Location.Line(), 1), max(e.Location.Column(), 0), e.Message})
		}
		return program{}, places
	}
	if len(want) == 0 {
		want = []*cel.Type{cel.StringType, cel.IntType, cel.UintType, cel.DoubleType, cel.BoolType, cel.TimestampType}
	}
	ok := false
	for _, t := range want {
		ok = ok || checked.OutputType().IsExactType(t)
	}
	if !ok {
		return program{}, []place{{1, 0, fmt.Sprintf("the expression gives %s, expected %s", checked.OutputType(), want[0])}}
	}
	prg, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(costLimit))
	if err != nil {
		return program{}, []place{{1, 0, err.Error()}}
	}
	return program{cel: prg, uses: usesGroups(checked)}, nil
}

// usesGroups looks for user.groups in a checked expression; an expression that
// takes user as a whole may look at the groups too.
func usesGroups(checked *cel.Ast) bool {
	found := false
	var selected []int64
	ast.PostOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.SelectKind:
			s := e.AsSelect()
			if o := s.Operand(); o.Kind() == ast.IdentKind && o.AsIdent() == "user" {
				found = found || s.FieldName() == "groups"
				selected = append(selected, o.ID())
			}
		}
	}))
	ast.PostOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.IdentKind || e.AsIdent() != "user" {
			return
		}
		for _, id := range selected {
			if id == e.ID() {
				return
			}
		}
		found = true
	}))
	return found
}

// template is text with expressions in double braces.
type template struct {
	parts []part
}

type part struct {
	literal string
	expr    *program
}

// compileTemplate checks a template; a place is that within the text.
func compileTemplate(text string) (template, []place) {
	var t template
	var places []place
	offset := 0
	for {
		before, rest, ok := strings.Cut(text[offset:], "{{")
		t.parts = append(t.parts, part{literal: before})
		if !ok {
			return t, places
		}
		start := offset + len(before) + 2
		expr, _, closed := strings.Cut(rest, "}}")
		if !closed {
			return t, append(places, spot(text, start-2, "{{ without }}"))
		}
		p, wrong := compile(strings.TrimSpace(expr))
		if len(wrong) > 0 {
			skip := len(expr) - len(strings.TrimLeft(expr, " "))
			places = append(places, spot(text, start+skip+wrong[0].column, wrong[0].message))
		}
		t.parts = append(t.parts, part{expr: &p})
		offset = start + len(expr) + 2
	}
}

func spot(text string, offset int, message string) place {
	offset = min(offset, len(text))
	line := 1 + strings.Count(text[:offset], "\n")
	return place{line, len([]rune(text[strings.LastIndexByte(text[:offset], '\n')+1 : offset])), message}
}

// render writes the template; a hole that fails is left out.
func (t template) render(in *input) (string, error) {
	if len(t.parts) == 1 {
		return t.parts[0].literal, nil
	}
	var b strings.Builder
	var first error
	for _, p := range t.parts {
		if p.expr == nil {
			b.WriteString(p.literal)
			continue
		}
		v, err := p.expr.eval(in)
		if err != nil {
			first = errors.Join(first, err)
			continue
		}
		b.WriteString(words(v))
	}
	return b.String(), first
}

func words(v ref.Val) string {
	switch v := v.(type) {
	case types.String:
		return string(v)
	case types.Bool:
		return strconv.FormatBool(bool(v))
	case types.Double:
		return strconv.FormatFloat(float64(v), 'f', -1, 64)
	case types.Timestamp:
		return v.UTC().Format("2006-01-02 15:04 MST")
	}
	return fmt.Sprint(v.Value())
}
