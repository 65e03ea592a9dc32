package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pullprint/connector/directory"
	"pullprint/connector/index"
	"pullprint/connector/job"
	"pullprint/connector/privacy"
	"pullprint/connector/release"
	"pullprint/connector/store"
	"pullprint/connector/tap"
	"pullprint/policy/badge"
	"pullprint/policy/pin"
	"pullprint/policy/quota"
)

// What each error is to a caller: its status and kind, whether trying again helps, and whether
// its cause is only in the log. What the caller may not see is in no detail.
func TestProblems(t *testing.T) {
	for _, c := range []struct {
		err           error
		status        int
		kind          string
		retry, logged bool
	}{
		{release.ErrNoDevice, 404, "no-such-device", false, false},
		{release.ErrNoJob, 404, "no-such-job", false, false},
		{privacy.ErrUnknownPerson, 404, "no-such-person", false, false},
		{directory.ErrDirectory, 503, "no-directory", false, true},
		{tap.ErrNumberDirectory, 503, "no-directory", true, true},
		{privacy.ErrLeft, 409, "left-over", false, false},
		{privacy.ErrUnfinished, 409, "unfinished", false, false},
		{release.ErrNotHeld, 409, "not-held", false, false},
		{job.ErrInvalid, 422, "invalid", false, false},
		{badge.ErrEnrolment, 422, "invalid", false, false},
		{badge.ErrNumber, 422, "invalid", false, false},
		{quota.ErrOverflow, 422, "invalid", false, false},
		{badge.ErrDamaged, 409, "badge-damaged", false, false},
		{badge.ErrTaken, 409, "badge-taken", false, false},
		{badge.ErrConflict, 409, "badge-taken", false, false},
		{badge.ErrNotValid, 404, "no-such-badge", false, false},
		{badge.ErrCode, 422, "bad-code", false, false},
		{badge.ImportError{{Line: 2, Message: "no owner"}}, 422, "bad-rows", false, false},
		{ErrNoBadges, 404, "no-badges", false, false},
		{index.ErrReading, 503, "starting", true, true},
		{tap.ErrNeedsPIN, 403, "pin-needed", false, false},
		{tap.ErrNoBadges, 403, "no-badges-here", false, false},
		{tap.ErrNoNames, 403, "no-names-here", false, false},
		{pin.ErrWrong, 403, "wrong-pin", false, false},
		{&pin.LockedError{Until: time.Now().Add(time.Minute)}, 429, "pin-locked", true, false},
		{&pin.LockedError{}, 429, "pin-locked", false, false}, // until somebody unlocks it
		{pin.ErrBusy, 503, "busy", true, true},
		{pin.CheckNew("123456"), 422, "weak-pin", false, false},
		{store.ErrUnavailable, 503, "store-unavailable", true, true},
		{errors.New("dial tcp 10.0.0.7:4222"), 503, "unavailable", true, true},
		{context.Canceled, 503, "unavailable", true, false}, // whoever asked is gone
	} {
		p, logged := ProblemOf(fmt.Errorf("%w", c.err))
		if p.Status != c.status || p.Type != "urn:pullprint:problem:"+c.kind || logged != c.logged ||
			(p.RetryAfter > 0) != c.retry || p.Title == "" || p.Detail == "" {
			t.Errorf("%v: %+v, logged %t", c.err, p, logged)
		}
		if (c.kind == "unavailable" || c.kind == "store-unavailable") && strings.Contains(p.Detail, c.err.Error()) {
			t.Errorf("%v is shown to the caller", c.err)
		}
	}
	// One that says what to do in spite of the store counts as what it says.
	p, _ := ProblemOf(fmt.Errorf("%w: %w", directory.ErrDirectory, store.ErrUnavailable))
	if !strings.HasSuffix(p.Type, "no-directory") {
		t.Errorf("%+v", p)
	}
	p, _ = ProblemOf(fmt.Errorf("%w: it is released", release.ErrNotHeld))
	if p.Status != http.StatusConflict || p.Detail != "it is released" {
		t.Errorf("%+v", p)
	}
}
