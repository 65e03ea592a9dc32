package policy

import "pullprint/policy/reasons"

// Own is the reason, text and remedy of one of the program's own codes; the
// caller sets point and verdict. An unknown code has no text: that is a bug.
func Own(code string) Decision {
	r, _ := reasons.Of(code)
	return Decision{Reason: code, Text: r.Text, Remedy: r.Remedy, IPP: r.IPP}
}

// ippKeyword is the keyword for job-state-reasons that says in IPP's words why a job
// was decided so: that of the reason code when it is the program's own, or that
// of the rule, or the general one of the verdict. Empty when the job prints.
func (d Decision) ippKeyword(rule string) string {
	if r, ok := reasons.Of(d.Reason); ok {
		return r.IPP
	}
	switch {
	case rule != "":
		return rule
	case d.Verdict == Abort:
		return "aborted-by-system"
	case d.Verdict == Keep || (d.Verdict == Hold && d.Reason != ""):
		return "job-held-for-review"
	case d.Verdict == Hold:
		return "job-release-wait"
	}
	return ""
}
