// Package reasons has the reason codes of the program itself, with what the owner of a
// job is told for each. The codes are stable: scripts, dashboards and records name them.
package reasons

import (
	"maps"
	"slices"
)

// The codes. A policy can't use them.
const (
	QuotaExhausted = "quota.exhausted"
	// QuotaFull is of a job whose account has too many open reservations.
	QuotaFull         = "quota.full"
	HoldExpired       = "hold.expired"
	OwnerUnknown      = "owner.unknown"
	BadgeUnknown      = "badge.unknown"
	DeviceUnavailable = "device.unavailable"
	// DeviceUnsuitable is of a job that the device can't print as it was sent.
	DeviceUnsuitable = "device.unsuitable"
	DeviceNotAllowed = "device.not-allowed"
	CanceledByOwner  = "canceled.by-owner"
	CanceledByAdmin  = "canceled.by-admin"
	PolicyError      = "policy.error"
	PagesUnknown     = "pages.unknown"
	GraphUnavailable = "graph.unavailable"
	ReleasePending   = "release.pending"
	// StoreUnavailable is of a job that stays held since nothing can be noted
	// down: without that, nothing is printed.
	StoreUnavailable = "store.unavailable"
	// SelfTest is of a page that pullprint printed to test itself.
	SelfTest = "selftest.passed"
	// DirectoryUnavailable and QuotaUnavailable are of a job that
	// waits, or ended, since what its decision needs was out of reach.
	DirectoryUnavailable = "directory.unavailable"
	QuotaUnavailable     = "quota.unavailable"
)

// Reason is what goes with a code.
type Reason struct {
	// Text says why, Remedy what the owner can do next.
	Text, Remedy string
	// IPP is the keyword for job-state-reasons that comes nearest.
	IPP string
}

// Waits reports whether a job that was decided with a reason is to be decided again, since
// what was out of reach may be there by now.
func Waits(code string) bool { return code == DirectoryUnavailable || code == QuotaUnavailable }

// Codes are all of them, in the order of the alphabet.
func Codes() []string { return slices.Sorted(maps.Keys(table)) }

// Of is what goes with a code; ok is false when it is not one of the program's own.
func Of(code string) (r Reason, ok bool) {
	r, ok = table[code]
	return r, ok
}

var table = map[string]Reason{
	QuotaExhausted: {
		"Your print budget for this period does not cover this job.", "Print fewer pages, or wait for the next period.",
		"account-limit-reached",
	},
	QuotaFull: {
		"Too many jobs are open at once on the account that pays for this job.", "Try again in a few minutes.",
		"account-limit-reached",
	},
	HoldExpired: {
		"The job was not released in time.", "Print it again and release it before its time ends.",
		"job-canceled-after-timeout",
	},
	OwnerUnknown: {
		"It is not known whose job this is, so nobody could release it.",
		"Print it again from a device where you are signed in with your work or school account.", "account-info-needed",
	},
	BadgeUnknown: {
		"This card is not known.", "Ask your administrator to enrol it.", "account-authorization-failed",
	},
	DeviceUnavailable: {
		"This printer can't print at the moment.", "Go to another printer, or come back later: your job is still waiting.",
		"printer-stopped",
	},
	DeviceUnsuitable: {
		"This printer can't print this job as it was sent.",
		"Go to another printer, or print it again with other settings: your job is still waiting.", "resources-are-not-ready",
	},
	DeviceNotAllowed: {
		"This job can't be released at this printer.",
		"Go to a printer that is meant for its queue: your job is still waiting.", "job-release-wait",
	},
	CanceledByOwner: {
		"The job was canceled by its owner.", "Print it again if you still need it.", "job-canceled-by-user",
	},
	CanceledByAdmin: {
		"The job was canceled by an administrator.", "Ask your administrator why.", "job-canceled-by-operator",
	},
	PolicyError: {
		"A print rule could not be evaluated, so the job waits.", "Tell your administrator: the rule needs fixing.",
		"job-held-for-review",
	},
	GraphUnavailable: {
		"Universal Print does not answer at the moment.", "Try again in a minute: your job is still waiting.",
		"service-off-line",
	},
	StoreUnavailable: {
		"The print service can't note anything down at the moment.", "Try again in a minute: your job is still waiting.",
		"service-off-line",
	},
	ReleasePending: {
		"It is not known yet whether the printer has taken this job.",
		"Wait a minute: either it prints here, or it waits for you again.", "job-outgoing",
	},
	DirectoryUnavailable: {
		"It can't be found out at the moment which groups you are in.",
		"Try again in a few minutes: your job is still waiting.", "service-off-line",
	},
	QuotaUnavailable: {
		"Your print budget can't be read at the moment.", "Try again in a few minutes: your job is still waiting.",
		"service-off-line",
	},
	SelfTest: {
		"This was a self-test of pullprint: it went all the way, and is not printed.", "There is nothing to do.",
		"aborted-by-system",
	},
	PagesUnknown: {
		"The number of pages of this job can't be determined.", "Print it as a PDF without a password.",
		"document-unprintable-error",
	},
}
