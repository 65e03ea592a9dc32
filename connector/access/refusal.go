package access

import (
	"context"
	"errors"
	"net/http"
	"time"

	"pullprint/trigger/graph/auth"
)

// Refusal says to a person why they are not signed in, and what to do. Its texts are keys of the catalog.
type Refusal struct {
	// Status is that of the page, What what happened, Do what the person can do next.
	Status   int
	What, Do string
	// Args are what stands in What, as fmt has it.
	Args []any
	// Again says that another sign-in may go better.
	Again bool
	// Cause is for the log; it has no token in it.
	Cause error
}

// Error implements error.
func (r *Refusal) Error() string { return "sign-in refused: " + r.Cause.Error() }

// Unwrap returns Cause.
func (r *Refusal) Unwrap() error { return r.Cause }

// Why a sign-in is refused here.
var (
	errOtherBrowser  = errors.New("the state is none of a sign-in that this browser has begun")
	errTooLate       = errors.New("the sign-in was begun too long ago")
	errUsed          = errors.New("the sign-in was finished before")
	errNoCode        = errors.New("entra sent neither a code nor an error")
	errBusy          = errors.New("too many sign-ins at once")
	errUnknownPerson = errors.New("graph does not know the person")
	errNoGroups      = errors.New("the groups of the person can't be read")
)

// What people are told in several cases, and what they can do.
const (
	noAnswer = "Microsoft does not answer at the moment."
	doAgain  = "Sign in again."
	doTell   = "Tell your administrator; the log of the print service has the reason."
	doWait   = "Try again in a minute; nothing is lost, and your badge works meanwhile."
)

// clockOff is from when the clock is named as the reason: those that NTP keeps differ by less
// than a second, and Entra's tokens allow for five minutes.
const clockOff = time.Minute

// told are the refusals by the codes of Entra
// (https://learn.microsoft.com/entra/identity-platform/reference-error-codes).
var told = map[string]Refusal{
	"AADSTS54005":          {What: "This sign-in was used already.", Do: doAgain, Again: true},
	"AADSTS70008":          {What: "The sign-in took too long.", Do: doAgain, Again: true},
	"AADSTS65004":          {What: "You canceled the sign-in.", Do: doAgain, Again: true},
	"access_denied":        {What: "The sign-in was canceled or refused at Microsoft.", Do: doAgain, Again: true},
	"login_required":       {What: "Microsoft wants you to sign in.", Do: doAgain, Again: true},
	"AADSTS65001":          noConsent,
	"AADSTS90094":          noConsent,
	"AADSTS90095":          noConsent,
	"consent_required":     noConsent,
	"AADSTS50057":          disabled,
	"AADSTS50034":          stranger,
	"AADSTS50020":          stranger,
	"AADSTS53000":          blocked,
	"AADSTS53001":          blocked,
	"AADSTS53002":          blocked,
	"AADSTS53003":          blocked,
	"AADSTS53004":          blocked,
	"AADSTS530032":         blocked,
	"AADSTS50105":          unassigned,
	"AADSTS50011":          {What: "Microsoft does not know the address of this site.", Do: doTell},
	"AADSTS50076":          moreProof,
	"AADSTS50079":          moreProof,
	"AADSTS501481":         {What: "The sign-in was begun in another browser.", Do: doAgain, Again: true},
	"interaction_required": moreProof,
}

var (
	disabled  = Refusal{What: "Your account is disabled.", Do: "Ask whoever looks after accounts in your organization."}
	moreProof = Refusal{What: "Microsoft wants another proof that it is you.", Do: doAgain, Again: true}
	stranger  = Refusal{
		What: "Your account does not belong to this organization.", Do: "Sign in with another account.", Again: true,
	}
	unassigned = Refusal{
		What: "You are not assigned to this application.",
		Do:   "Ask your administrator to assign you to it: Enterprise applications, Users and groups.",
	}
	noConsent = Refusal{
		What: "Your organization has not allowed this application to sign people in.",
		Do:   "Ask your administrator to grant admin consent to it.",
	}
	blocked = Refusal{
		What: "A Conditional Access policy of your organization refuses this sign-in.",
		Do:   "Try from a device or network that it allows, or ask whoever looks after these policies.", Again: true,
	}
)

// refusalOf is the refusal that an error means to a person.
func refusalOf(err error, ahead time.Duration) *Refusal {
	r := reasonOf(err, ahead)
	r.Cause = err
	if r.Status == 0 {
		r.Status = http.StatusForbidden
	}
	return &r
}

func reasonOf(err error, ahead time.Duration) Refusal {
	var entra *auth.Error
	switch {
	case errors.Is(err, errOtherBrowser):
		return Refusal{
			Status: http.StatusBadRequest, Again: true, Do: doAgain,
			What: "This browser has not begun this sign-in, or has finished it already.",
		}
	case errors.Is(err, errTooLate):
		return Refusal{Status: http.StatusBadRequest, What: "The sign-in took too long.", Do: doAgain, Again: true}
	case errors.Is(err, errUsed), errors.Is(err, errNoCode):
		return Refusal{Status: http.StatusBadRequest, What: "This sign-in was used already.", Do: doAgain, Again: true}
	case errors.Is(err, errBusy):
		return unavailable("Too many people sign in at once.")
	case errors.Is(err, errNoGroups):
		return unavailable("Microsoft does not tell at the moment which groups you are in.")
	case errors.Is(err, errUnknownPerson):
		return Refusal{
			What: "Your organization's directory does not know your account any more.", Do: "Ask your administrator.",
		}
	case errors.Is(err, auth.ErrTenant):
		return Refusal{
			What: "You signed in to another organization.", Do: "Sign in with your account of this one.", Again: true,
		}
	case errors.Is(err, auth.ErrClock) && ahead.Abs() >= clockOff:
		return Refusal{
			Status: http.StatusServiceUnavailable, Do: "Tell your administrator to synchronize it with NTP.",
			What: "The clock of the print service is wrong by %s.", Args: []any{ahead.Abs().Round(time.Second).String()},
		}
	case errors.As(err, &entra):
		return entraRefusal(entra)
	case errors.Is(err, context.DeadlineExceeded): // of waiting for who asks Entra already
		return unavailable(noAnswer)
	}
	return Refusal{What: "What Microsoft said about you could not be verified.", Do: doTell, Again: true}
}

func unavailable(what string) Refusal {
	return Refusal{Status: http.StatusServiceUnavailable, What: what, Do: doWait, Again: true}
}

func entraRefusal(e *auth.Error) Refusal {
	if r, ok := told[e.Code]; ok {
		return r
	}
	if !e.Permanent() {
		return unavailable(noAnswer)
	}
	return Refusal{What: "Microsoft refuses the sign-in (%s).", Args: []any{e.Code}, Do: doTell, Again: true}
}
