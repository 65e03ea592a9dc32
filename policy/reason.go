package policy

// The reason codes of the program itself. A policy can't use them.
const (
	ReasonQuotaExhausted = "quota.exhausted"
	// ReasonQuotaFull is of a job whose account has too many open reservations.
	ReasonQuotaFull         = "quota.full"
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
	// ReasonStoreUnavailable is of a job that stays held since nothing can be noted
	// down: without that, nothing is printed.
	ReasonStoreUnavailable = "store.unavailable"
	// ReasonSelfTest is of a page that pullprint printed to test itself.
	ReasonSelfTest = "selftest.passed"
	// ReasonDirectoryUnavailable and ReasonQuotaUnavailable are of a job that
	// waits, or ended, since what its decision needs was out of reach.
	ReasonDirectoryUnavailable = "directory.unavailable"
	ReasonQuotaUnavailable     = "quota.unavailable"
)

// own is what the owner of a job is told for each of them, and the IPP keyword
// that comes nearest.
var own = map[string]struct{ text, remedy, ipp string }{
	ReasonQuotaExhausted: {
		"Your print budget for this period does not cover this job.", "Print fewer pages, or wait for the next period.",
		"account-limit-reached",
	},
	ReasonQuotaFull: {
		"Too many jobs are open at once on the account that pays for this job.", "Try again in a few minutes.",
		"account-limit-reached",
	},
	ReasonHoldExpired: {
		"The job was not released in time.", "Print it again and release it before its time ends.",
		"job-canceled-after-timeout",
	},
	ReasonOwnerUnknown: {
		"It is not known whose job this is, so nobody could release it.",
		"Print it again from a device where you are signed in with your work or school account.", "account-info-needed",
	},
	ReasonBadgeUnknown: {
		"This card is not known.", "Ask your administrator to enrol it.", "account-authorization-failed",
	},
	ReasonDeviceUnavailable: {
		"This printer can't print at the moment.", "Go to another printer, or come back later: your job is still waiting.",
		"printer-stopped",
	},
	ReasonDeviceNotAllowed: {
		"This job can't be released at this printer.",
		"Go to a printer that is meant for its queue: your job is still waiting.", "job-release-wait",
	},
	ReasonCanceledByOwner: {
		"The job was canceled by its owner.", "Print it again if you still need it.", "job-canceled-by-user",
	},
	ReasonCanceledByAdmin: {
		"The job was canceled by an administrator.", "Ask your administrator why.", "job-canceled-by-operator",
	},
	ReasonPolicyError: {
		"A print rule could not be evaluated, so the job waits.", "Tell your administrator: the rule needs fixing.",
		"job-held-for-review",
	},
	ReasonGraphUnavailable: {
		"Universal Print does not answer at the moment.", "Try again in a minute: your job is still waiting.",
		"service-off-line",
	},
	ReasonStoreUnavailable: {
		"The print service can't note anything down at the moment.", "Try again in a minute: your job is still waiting.",
		"service-off-line",
	},
	ReasonReleasePending: {
		"It is not known yet whether the printer has taken this job.",
		"Wait a minute: either it prints here, or it waits for you again.", "job-outgoing",
	},
	ReasonDirectoryUnavailable: {
		"It can't be found out at the moment which groups you are in.",
		"Try again in a few minutes: your job is still waiting.", "service-off-line",
	},
	ReasonQuotaUnavailable: {
		"Your print budget can't be read at the moment.", "Try again in a few minutes: your job is still waiting.",
		"service-off-line",
	},
	ReasonSelfTest: {
		"This was a self-test of pullprint: it went all the way, and is not printed.", "There is nothing to do.",
		"aborted-by-system",
	},
	ReasonPagesUnknown: {
		"The number of pages of this job can't be determined.", "Print it as a PDF without a password.",
		"document-unprintable-error",
	},
}

// Own is the reason, text and remedy of one of the program's own codes; the
// caller sets point and verdict. An unknown code has no text: that is a bug.
func Own(code string) Decision {
	o := own[code]
	return Decision{Reason: code, Text: o.text, Remedy: o.remedy, IPP: o.ipp}
}

// ippKeywords are the job-state-reasons of IPP that a rule may name for its own
// reason, of those that the PWG has registered
// (https://www.iana.org/assignments/ipp-registrations).
var ippKeywords = []string{
	"aborted-by-system", "account-authorization-failed", "account-closed", "account-info-needed", "account-limit-reached",
	"conflicting-attributes", "document-format-error", "document-password-error", "document-permission-error",
	"document-security-error",
	"document-unprintable-error", "errors-detected", "job-canceled-after-timeout", "job-canceled-at-device",
	"job-canceled-by-operator",
	"job-canceled-by-user", "job-held-for-authorization", "job-held-for-review", "job-hold-until-specified",
	"job-outgoing",
	"job-release-wait", "printer-stopped", "resources-are-not-ready", "resources-are-not-supported", "service-off-line",
	"unsupported-attributes-or-values", "unsupported-document-format",
}

// IPP is the keyword for job-state-reasons that says in IPP's words why a job
// was decided so: that of the reason code when it is the program's own, or that
// of the rule, or the general one of the verdict. Empty when the job prints.
func (d Decision) ippKeyword(rule string) string {
	if o, ok := own[d.Reason]; ok {
		return o.ipp
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
