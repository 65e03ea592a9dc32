package policy

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/interpreter"
)

// The bounds of one expression.
const (
	maxExpression  = 2000 // characters
	maxNodes       = 2000
	maxLoopsInLoop = 2
	maxRegex       = 1000 // instructions
)

// environment is the one CEL environment of the program. It has no clock, no
// I/O and no functions but CEL's own and those on strings.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	base, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	opts := append(
		stdlib(),
		cel.CustomTypeAdapter(base),
		cel.CustomTypeProvider(provider{base}),
		ext.Strings(ext.StringsVersion(5)),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ExpressionNodeLimit(maxNodes),
		cel.RegexProgramSizeLimit(maxRegex),
		cel.ExtendedValidations(),
		cel.ASTValidators(cel.ValidateComprehensionNestingLimit(maxLoopsInLoop), zoneLiterals{}, excluded{}),
	)
	for i, name := range objects {
		opts = append(opts, cel.Variable(name, objectTypes[i]))
	}
	for _, v := range variables {
		if v.object == "" {
			opts = append(opts, cel.Variable(v.name, v.typ))
		}
	}
	return cel.NewCustomEnv(opts...)
})

var (
	errCompletePull = errors.New("complete is not possible in a pull queue")
	errNotBool      = errors.New("the expression gave no true or false")
	errEval         = errors.New("the expression failed")
)

// expression is a compiled expression.
type expression struct {
	// plain does not count what it costs; nil when that has no small bound.
	plain   cel.Program
	counted cel.Program
	uses    variableSet
}

// evaluation is the evaluation of some expressions over one request. It has to
// be closed.
type evaluation struct {
	in       *input
	ordinary bool
	plain    *interpreter.ExecutionFrame
	counted  *interpreter.ExecutionFrame // one for all, so one limit for all
}

func evaluate(req Request) *evaluation {
	in := newInput(req)
	return &evaluation{in: in, ordinary: ordinary(&in.req)}
}

// missing is what the newest expression needed and was out of reach, or empty.
func (ev *evaluation) missing() Dependency { return ev.in.missing }

// rewrite makes expressions see the job as a rule rewrote it.
func (ev *evaluation) rewrite(s Settings) {
	s.Apply(&ev.in.req.Job)
	clear(ev.in.values[:])
	ev.ordinary = ordinary(&ev.in.req)
}

func (ev *evaluation) close() {
	for _, frame := range []*interpreter.ExecutionFrame{ev.plain, ev.counted} {
		if frame != nil {
			frame.Close()
		}
	}
}

// value evaluates; an error never quotes what the expression saw. A panic
// within CEL is such an error.
func (ev *evaluation) value(x *expression) (v ref.Val, err error) {
	defer func() {
		if recover() != nil {
			v, err = nil, errEval
		}
	}()
	ev.in.missing = ""
	prg, frame := x.plain, &ev.plain
	if prg == nil || !ev.ordinary {
		prg, frame = x.counted, &ev.counted
	}
	if *frame == nil {
		if *frame, err = interpreter.NewExecutionFrame(ev.in); err != nil {
			return nil, errEval
		}
	}
	v, _, err = prg.Eval(*frame)
	if err != nil {
		return nil, evalError(err)
	}
	return v, nil
}

func (ev *evaluation) isTrue(x *expression) (bool, error) {
	v, err := ev.value(x)
	if err != nil {
		return false, err
	}
	b, ok := v.(types.Bool)
	if !ok {
		return false, errNotBool
	}
	return bool(b), nil
}

// ruleErrors are the errors of CEL that are about the rule and quote nothing. The rest of
// their text, and any other error, may quote the job and is dropped.
var ruleErrors = []string{
	"no such overload", "division by zero", "modulus by zero", "integer overflow", "return error for overflow",
	"index out of bounds", "index out of range", "no such key",
	"cost limit exceeded", "unknown time zone", "type conversion error", "timestamp overflow", "duration overflow",
}

func evalError(err error) error {
	if errors.Is(err, errMissing) {
		return errMissing
	}
	text := err.Error()
	for _, known := range ruleErrors {
		if strings.Contains(text, known) {
			return fmt.Errorf("%w: %s", errEval, known)
		}
	}
	return errEval
}

// whole is a fault of a text as a whole, told at its beginning.
func whole(hint, format string, args ...any) []Fault {
	return []Fault{{Line: 1, Message: fmt.Sprintf(format, args...), Hint: hint}}
}

// faultsOf are what CEL found wrong. After an error of syntax the others are mostly its
// consequences, so only the first is kept.
func faultsOf(errs []*common.Error) (faults []Fault) {
	for _, e := range errs {
		f := Fault{Line: max(e.Location.Line(), 1), Column: max(e.Location.Column(), 0), Message: firstLine(e.Message)}
		faults = append(faults, f)
		if strings.HasPrefix(f.Message, syntaxError) {
			break
		}
	}
	return faults
}

// syntaxError begins CEL's messages about the syntax.
const syntaxError = "Syntax error"

// inWords are the types that can be written out for a person.
var inWords = []*cel.Type{cel.StringType, cel.IntType, cel.UintType, cel.DoubleType, cel.BoolType, cel.TimestampType}

// compile checks an expression that has to give one of the types in want, which
// needs calls.
func compile(text, needs string, want ...*cel.Type) (expression, []Fault) {
	env, err := environment()
	if err != nil {
		return expression{}, whole("", "CEL is not available: %s", err)
	}
	checked, iss := env.Compile(text)
	if iss.Err() != nil {
		return expression{}, faultsOf(iss.Errors())
	}
	given := checked.OutputType()
	if !slices.ContainsFunc(want, given.IsExactType) {
		hint := ""
		if given.IsExactType(cel.ListType(cel.StringType)) && len(want) > 1 {
			hint = `a list is written with .join(", ")`
		} else if len(want) == 1 {
			hint = "compare it with something, as job.copies > 10"
		}
		return expression{}, whole(hint, "the expression gives %s, expected %s", given, needs)
	}
	return program(env, checked)
}

// program makes a checked expression ready to run.
func program(env *cel.Env, checked *cel.Ast) (expression, []Fault) {
	worst, err := worstCase(env, checked)
	if err != nil {
		return expression{}, whole("", "what the expression costs can't be worked out")
	}
	if worst > refused && worst != math.MaxUint64 {
		return expression{}, whole("write it without a loop in a loop, or a chain of replace",
			"the expression can cost too much: %d units, allowed are %d", worst, refused)
	}
	x := expression{uses: variablesIn(checked)}
	if worst <= uncounted {
		x.plain, err = env.Program(checked, cel.EvalOptions(cel.OptOptimize))
	}
	if err == nil {
		x.counted, err = env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(costLimit))
	}
	if err != nil {
		return expression{}, whole("", "%s", firstLine(err.Error()))
	}
	return x, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// Sees reports whether anything in the file looks at a variable, as user.upn.
func (p *Policy) Sees(path string) bool {
	object, name, _ := strings.Cut(path, ".")
	i := indexOf(object, name)
	var uses variableSet
	for _, r := range p.rules {
		uses |= r.uses()
	}
	for i := range p.allowances {
		uses |= p.allowances[i].when.uses
	}
	return i >= 0 && uses&(1<<i) != 0
}

// variablesIn finds the variables of a checked expression; one that takes an
// object as a whole may look at all its fields.
func variablesIn(checked *cel.Ast) (set variableSet) {
	fields := map[int64]bool{} // those objects of which a field is taken
	ast.PreOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.SelectKind:
			s := e.AsSelect()
			if o := s.Operand(); o.Kind() == ast.IdentKind {
				if i := indexOf(o.AsIdent(), s.FieldName()); i >= 0 {
					fields[o.ID()] = true
					set |= 1 << i
				}
			}
		case ast.IdentKind:
			for i, v := range variables {
				if !fields[e.ID()] && (v.object == e.AsIdent() || (v.object == "" && v.name == e.AsIdent())) {
					set |= 1 << i
				}
			}
		}
	}))
	return set
}

// functions are the names of all functions and macros that a rule can use and
// that are no operators.
func functions() []string {
	list := []string{"all", "exists", "exists_one", "filter", "has", "map"}
	env, err := environment()
	if err != nil {
		return list
	}
	for name := range env.Functions() {
		if _, out := excludedFunctions[name]; !out && name != "in" && !strings.ContainsAny(name, "_@!-") {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}
