package policy

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
)

// Counting what an expression costs while it runs takes more time than most
// expressions. So its worst case is worked out when it is loaded: one that is
// small for every request of ordinary size runs uncounted. The others, and all
// of them for a larger request, are counted and stopped.
const (
	// What a request of ordinary size has at most; each group counts twice, by
	// name and by id.
	ordinaryGroups = 5000
	ordinaryString = 1000 // bytes

	// uncounted is the worst case up to which an expression is not counted.
	uncounted = 100_000
	// costLimit is what the counted expressions of a decision may cost together.
	costLimit = 5_000_000
	// refused is the worst case from which an expression is not loaded.
	refused = 10_000_000
)

// ordinary reports whether the worst cases hold for a request.
func ordinary(r *Request) bool {
	for _, s := range [...]string{
		r.Job.MediaSize, r.Job.ContentType, r.User.ID, r.User.UPN, r.Queue.Name, r.Queue.Mode, r.Device,
	} {
		if len(s) > ordinaryString {
			return false
		}
	}
	if len(r.User.Groups) > ordinaryGroups {
		return false
	}
	for _, g := range r.User.Groups {
		if len(g) > ordinaryString {
			return false
		}
	}
	return true
}

// sizes is a cost.Estimator that knows the sizes of an ordinary request.
type sizes struct{}

// EstimateSize implements cost.Estimator.
func (sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	switch {
	case len(n.Path()) == 0:
		return nil
	case n.Type().IsExactType(cel.StringType):
		return &cost.SizeEstimate{Max: ordinaryString}
	case n.Type().IsExactType(cel.ListType(cel.StringType)):
		return &cost.SizeEstimate{Max: ordinaryGroups}
	}
	return nil
}

// EstimateCallCost implements cost.Estimator.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// worstCase is what a checked expression costs at most for an ordinary request.
func worstCase(env *cel.Env, checked *cel.Ast) (uint64, error) {
	estimate, err := env.EstimateCost(checked, sizes{})
	return estimate.Max, err
}

// excludedFunctions are not part of the language, each with the message about it: the size
// of what they give has no bound that can be worked out.
var excludedFunctions = map[string]string{
	"dyn":    "dyn is not part of this language: every variable has a type",
	"format": "format is not part of this language: text and remedy are templates",
}

// excluded is a cel.ASTValidator that refuses the excluded functions.
type excluded struct{}

// Name implements cel.ASTValidator.
func (excluded) Name() string { return "pullprint.excluded" }

// Validate implements cel.ASTValidator.
func (excluded) Validate(_ *cel.Env, _ cel.ValidatorConfig, a *ast.AST, iss *cel.Issues) {
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind {
			return
		}
		if why, out := excludedFunctions[e.AsCall().FunctionName()]; out {
			iss.ReportErrorAtID(e.ID(), "%s", why)
		}
	}))
}
