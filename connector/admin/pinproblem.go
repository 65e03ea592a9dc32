package admin

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/tap"
	"pullprint/policy/pin"
)

// pinProblem is the answer for an error about a PIN, or about what a device asks for; nil for others.
// A person who is not known has the same answers as any.
func pinProblem(err error) *apiclient.Problem {
	var locked *pin.LockedError
	switch {
	case errors.As(err, &locked):
		return retryIn(time.Until(locked.Until), failure(http.StatusTooManyRequests, "pin-locked", "Too many wrong PINs",
			"Wait 15 minutes. If that does not help, ask the help desk to unlock the PIN, or set it anew."))
	case errors.Is(err, pin.ErrWrong):
		return failure(http.StatusForbidden, "wrong-pin", "The PIN is wrong",
			"Or the badge is not valid, nobody has the name, or no PIN is set: it is set on one's own page, or with a code "+
				"from the help desk.")
	case errors.Is(err, tap.ErrNeedsPIN):
		return failure(http.StatusForbidden, "pin-needed", "The device asks for a PIN",
			"A reader with a keypad sends it as pin. Without one, people release their jobs at the station of the device.")
	case errors.Is(err, tap.ErrNoBadges):
		return failure(http.StatusForbidden, "no-badges-here", "The device takes no badges",
			"People type their name and their PIN there; devices[].factors says so.")
	case errors.Is(err, tap.ErrNoNames):
		return failure(http.StatusForbidden, "no-names-here", "The device takes no names",
			"People show a badge there; devices[].factors says so.")
	case errors.Is(err, pin.ErrBusy), errors.Is(err, pin.ErrConflict):
		return retryIn(tryAgainAfter, failure(http.StatusServiceUnavailable, "busy", "Too many PINs at once",
			"Try again in a few seconds."))
	case errors.Is(err, pin.ErrWeak):
		return failure(http.StatusUnprocessableEntity, "weak-pin", "The PIN can't be taken",
			strings.TrimPrefix(err.Error(), pin.ErrWeak.Error()+": "))
	}
	return nil
}
