package daemon_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/delegation"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/connector/store"
	"pullprint/connector/tap"
	"pullprint/policy/badge"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// A card that nobody has enrolled lies on the reader for minutes: it is one
// strike, and everybody else is served all the time.
func TestForgottenCard(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		for range 60 {
			if _, status := s.tap("left-behind"); status != http.StatusOK {
				t.Fatalf("the card: %d", status)
			}
			pass(6 * time.Second)
		}
		s.hold(1)
		if out, status := s.tap(number); status != http.StatusOK || len(out.Released) != 1 {
			t.Errorf("somebody else: %d %+v", status, out)
		}
		for i := range 4 { // with the one above it is five
			s.tap(fmt.Sprint("guess-", i))
		}
		if _, status := s.tap(number); status != http.StatusOK {
			t.Errorf("after four guesses within a minute: %d", status)
		}
		s.tap("guess-4")
		if _, status := s.tap(number); status != http.StatusTooManyRequests {
			t.Errorf("after five guesses within a minute: %d", status)
		}
	})
}

// On the day that badges are introduced fifty people show a card that is not
// enrolled, and again whenever they hope that it is by now. Whoever has a badge
// waits a minute at most, and not at all once the fifty are known.
func TestRollOut(t *testing.T) {
	racetest.Skip(t, "one card after the other")
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		locked := 0
		for round := range 5 {
			for i := range 50 {
				if _, status := s.tap(fmt.Sprint("card-", i)); status == http.StatusTooManyRequests && round > 3 {
					locked++
				}
				pass(5 * time.Second)
				if i%10 != 0 {
					continue
				}
				start := time.Now()
				for _, status := s.tap(number); status != http.StatusOK; _, status = s.tap(number) {
					pass(time.Second)
				}
				if waited := time.Since(start); waited > time.Minute {
					t.Errorf("round %d: somebody with a badge waited %s", round, waited)
				}
			}
		}
		if locked > 0 {
			t.Errorf("locked %d times when all cards were known", locked)
		}
	})
}

// Whoever tries numbers, as fast as the reader lets, tries five a minute; also
// after a pause, and with cards in between that are known or were tried before.
func TestGuessing(t *testing.T) {
	racetest.Skip(t, "one guess after the other")
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		var tried []time.Time
		for start := time.Now(); time.Since(start) < 6*time.Minute; {
			at := time.Now()
			if _, status := s.tap(fmt.Sprint("guess-", len(tried))); status == http.StatusOK {
				tried = append(tried, at)
			} else {
				pass(time.Second)
			}
			if len(tried)%3 == 0 {
				s.tap(number)
				s.tap("guess-0")
			}
		}
		for i := 5; i < len(tried); i++ {
			if within := tried[i].Sub(tried[i-5]); within < time.Minute {
				t.Fatalf("six guesses within %s", within)
			}
		}
		if len(tried) < 18 {
			t.Errorf("%d guesses in 6 minutes: it is locked for longer than needed", len(tried))
		}
	})
}

// A store that does not answer is nobody's guess, nor is a directory that does
// not; a wrong code is one, however often it is tried.
func TestNobodysGuess(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.badges = ", normalise: [trim], entra_attribute: employeeId"
		o.install("embedded: {store_dir: nats, max_store: 256MiB}")
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		o.enrol(studentID, number)
		o.refuse(http.StatusServiceUnavailable, "users.list", true)
		for i := range 10 {
			if _, status := s.tap(fmt.Sprint("E10", i)); status != http.StatusServiceUnavailable {
				t.Errorf("without a directory: %d", status)
			}
		}
		o.back()
		if _, status := s.tap(number); status != http.StatusOK {
			t.Errorf("afterwards: %d", status)
		}
	})
}

// What fails at an enrolment counts only if somebody may be guessing.
func TestEnrolmentStrikes(t *testing.T) {
	keys, err := badge.ParseKeys([]byte(base64.StdEncoding.EncodeToString(make([]byte, 32))))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		why   error
		same  bool
		locks bool
	}{
		{store.ErrUnavailable, false, false},
		{badge.ErrConflict, false, false},
		{badge.ErrNumber, false, false},
		{errors.New("anything"), false, false},
		{badge.ErrCode, true, false},
		{badge.ErrCode, false, true},
		{badge.ErrTaken, false, true},
	} {
		bustest.Virtual(t, func(t *testing.T) {
			taps := tap.New(release.New(release.Options{
				Devices: []printer.Device{{ID: "west"}}, Delegations: delegation.New(nil), Logger: zap.NewNop(),
			}), tap.NewBadgeOwners(badge.NewRegistry(nil, keys, nil), nil, zap.NewNop()), nil, zap.NewNop())
			for i := range 6 {
				guess := strings.Repeat("x", i)
				if c.same {
					guess = "x"
				}
				err := taps.Enrol(t.Context(), "west", guess, func(time.Time) error { return fmt.Errorf("enrol: %w", c.why) })
				var locked *tap.LockedError
				if errors.As(err, &locked) != (c.locks && i == 5) {
					t.Errorf("%v, the same %t, try %d: %v", c.why, c.same, i, err)
				}
			}
		})
	}
}
