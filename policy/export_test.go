package policy

// What tests of the bounds look at.
const (
	MaxPages       = maxPages
	MaxJob         = maxJob
	ModePull       = modePull
	ModeDirect     = modeDirect
	OrdinaryGroups = ordinaryGroups
	OrdinaryString = ordinaryString
	CostLimit      = costLimit
)

// What tests of single steps call.
var (
	Ordinary  = ordinary
	EvalError = evalError
	ErrEval   = errEval
)

// IPPKeyword is the keyword of a decision whose rule names one.
func (d Decision) IPPKeyword(rule string) string { return d.ippKeyword(rule) }

// Break makes the first rule panic when it is evaluated.
func (p *Policy) Break() { p.rules[0].when.plain, p.rules[0].when.counted = nil, nil }
