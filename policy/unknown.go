package policy

import (
	"errors"
	"slices"

	"pullprint/policy/reasons"
)

// Dependency is something that a decision may need and that can be out of reach.
type Dependency string

// The dependencies.
const (
	// Directory tells the groups of the owner.
	Directory Dependency = "directory"
	// Ledger tells what is left on an account.
	Ledger Dependency = "quota"
	// Device tells whether a printer can take a job.
	Device Dependency = "device"
	// Document tells how many pages a job has.
	Document Dependency = "pages"
)

// Dependencies are all of them.
var Dependencies = []Dependency{Directory, Ledger, Device, Document}

// FailMode is what becomes of a job whose decision needs what is out of reach.
type FailMode string

// The fail modes.
const (
	// FailHold leaves the job where it is, to be decided later.
	FailHold FailMode = "hold"
	// FailAllow goes on as if the rules and allowances that need it weren't there.
	FailAllow FailMode = "allow"
	// FailAbort ends the job.
	FailAbort FailMode = "abort"
)

// Unknown is a dependency that was out of reach when it was needed, and the mode
// by which the decision was made.
type Unknown struct {
	Dependency Dependency `json:"dependency"`
	Mode       FailMode   `json:"mode"`
}

// unknownReason is the code of a job that waits or ends for want of a dependency.
var unknownReason = map[Dependency]string{
	Directory: reasons.DirectoryUnavailable,
	Ledger:    reasons.QuotaUnavailable,
	Device:    reasons.DeviceUnavailable,
	Document:  reasons.PagesUnknown,
}

// errMissing is what an expression fails with that looks at what is out of reach.
var errMissing = errors.New("what the expression looks at is not known")

// failMode is what the policy says of a dependency that is out of reach.
func (p *Policy) failMode(d Dependency) FailMode {
	if m, ok := p.def.Unknown[d]; ok {
		return m
	}
	return FailHold
}

// Without is the decision on a job for want of a dependency, by the fail mode;
// nil when the job goes on. The note is for the record, either way.
func (p *Policy) Without(at Point, dep Dependency) (d *Decision, note Unknown) {
	return p.unknown(at, "", dep)
}

// lacks reports whether a dependency of the request is out of reach.
func (r *Request) lacks(d Dependency) bool { return d != "" && slices.Contains(r.Missing, d) }

// unknown is the decision on a job for want of a dependency, by the mode; nil
// when the job goes on.
func (p *Policy) unknown(at Point, rule string, dep Dependency) (d *Decision, note Unknown) {
	mode := p.failMode(dep)
	note = Unknown{dep, mode}
	if mode == FailAllow {
		return nil, note
	}
	own := Own(unknownReason[dep])
	own.Point, own.Rule, own.PolicyHash, own.Verdict = at, rule, p.hash, Abort
	if mode != FailAbort {
		own.Verdict = stayVerdict(at)
	}
	return &own, note
}

// stayVerdict is the verdict that leaves a job where it is.
func stayVerdict(at Point) Verdict {
	if at == Release {
		return Keep
	}
	return Hold
}
