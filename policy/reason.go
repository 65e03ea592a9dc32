package policy

// The reason codes of the program itself. A policy can't use them.
const (
	ReasonQuotaExhausted    = "quota.exhausted"
	ReasonHoldExpired       = "hold.expired"
	ReasonOwnerUnknown      = "owner.unknown"
	ReasonBadgeUnknown      = "badge.unknown"
	ReasonDeviceUnavailable = "device.unavailable"
	ReasonDeviceNotAllowed  = "device.not-allowed"
	ReasonCanceledByOwner   = "canceled.by-owner"
	ReasonCanceledByAdmin   = "canceled.by-admin"
	ReasonPolicyError       = "policy.error"
	ReasonPagesUnknown      = "pages.unknown"
	ReasonGraphUnavailable  = "graph.unavailable"
	ReasonReleasePending    = "release.pending"
)

// own is what the owner of a job is told for each of them.
var own = map[string]struct{ text, remedy string }{
	ReasonQuotaExhausted:    {"Your print budget for this period does not cover this job.", "Print fewer pages, or wait for the next period."},
	ReasonHoldExpired:       {"The job was not released in time.", "Print it again and release it before its time ends."},
	ReasonOwnerUnknown:      {"It is not known whose job this is, so nobody could release it.", "Print it again from a device where you are signed in with your work or school account."},
	ReasonBadgeUnknown:      {"This card is not known.", "Ask your administrator to enrol it."},
	ReasonDeviceUnavailable: {"This printer can't print at the moment.", "Go to another printer, or come back later: your job is still waiting."},
	ReasonDeviceNotAllowed:  {"This job can't be released at this printer.", "Go to a printer that is meant for its queue: your job is still waiting."},
	ReasonCanceledByOwner:   {"The job was canceled by its owner.", "Print it again if you still need it."},
	ReasonCanceledByAdmin:   {"The job was canceled by an administrator.", "Ask your administrator why."},
	ReasonPolicyError:       {"A print rule could not be evaluated, so the job waits.", "Tell your administrator: the rule has to be mended."},
	ReasonGraphUnavailable:  {"Universal Print does not answer at the moment.", "Try again in a minute: your job is still waiting."},
	ReasonReleasePending:    {"It is not known yet whether the printer has taken this job.", "Wait a minute: either it prints here, or it waits for you again."},
	ReasonPagesUnknown:      {"The number of pages of this job can't be determined.", "Print it as a PDF without a password."},
}

// Own is the reason, text and remedy of one of the program's own codes; the
// caller sets point and verdict. An unknown code has no text: that is a bug.
func Own(code string) Decision {
	o := own[code]
	return Decision{Reason: code, Text: o.text, Remedy: o.remedy}
}
