package connector_test

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/connector/store"
	"pullprint/connector/tap"
	"pullprint/policy/badge"
	"pullprint/policy/pin"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

const (
	rightPIN = "271828" // planted: nothing may show it
	wrongPIN = "314159"
)

// namedPeople are the people that a directory knows, by user name and employee id.
type namedPeople struct {
	ids map[string]string
	err error
}

func (s *namedPeople) User(_ context.Context, name string) (graph.User, bool, error) {
	id := s.ids[strings.ToLower(name)]
	return graph.User{ID: id}, id != "", s.err
}

func (s *namedPeople) UserByEmployeeID(ctx context.Context, id string) (graph.User, bool, error) {
	return s.User(ctx, id)
}

// keypads are the taps at devices with factors, where the student has a badge, a name and a PIN.
type keypads struct {
	*world
	*life
	taps   *tap.Taps
	pins   *pin.PINs
	badges *badge.Registry
	people *namedPeople
	away   atomic.Bool // of the store of PINs
	log    *observer.ObservedLogs
}

// awayKV is a store that does not answer while away is set.
type awayKV struct {
	pin.KV
	away *atomic.Bool
}

func (kv awayKV) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if kv.away.Load() {
		return nil, 0, store.ErrUnavailable
	}
	return kv.KV.Get(ctx, key)
}

func openKeypads(t *testing.T, factors ...printer.Factor) *keypads {
	t.Helper()
	k := &keypads{world: newWorld(t, bustest.Open(t), graphtest.Calm())}
	k.people = &namedPeople{ids: map[string]string{"student@contoso.com": strings.ToUpper(studentID), "e42": studentID}}
	k.badges = badgeBook(t, k.bus, badgeKey(1))
	enrolled := badgeOf(studentID)
	for _, number := range []string{"1001", "1002"} {
		if _, err := k.badges.Enrol(t.Context(), number, enrolled); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.badges.Enrol(t.Context(), "2001", badgeOf(stayerID)); err != nil {
		t.Fatal(err)
	}
	if _, err := k.badges.Revoke(t.Context(), badge.Which{Number: "1002"}, "helpdesk", time.Now()); err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.DebugLevel)
	k.log = logs
	k.pins = pin.New(awayKV{k.bus.Badges(), &k.away}, []pin.Pepper{{ID: "k1", Secret: []byte(badgeKey(1))}}, rand.Reader)
	if err := k.pins.Set(t.Context(), studentID, rightPIN, studentID, time.Now()); err != nil {
		t.Fatal(err)
	}
	k.life = k.live("")
	k.taps = tap.New(k.release, tap.NewBadgeOwners(k.badges, nil, zap.New(core)), nil, zap.New(core))
	with := slices.Clone(devices)
	for i := range with {
		with[i].Factors = factors
	}
	k.taps.AskPINs(with, k.pins, k.people)
	return k
}

// A station is told who is there by the same factors: nobody has Owner before the PIN was right, and a
// visit lasts while badge and PIN do.
func TestVisitorByFactors(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		k := openKeypads(t, printer.ByBadgeAndPIN, printer.ByPIN)
		const device = "hq-2-west"
		who, err := k.taps.Visitor(t.Context(), device, "1001")
		if err != nil || who.Owner != "" || who.Claims == nil || who.Claims.Owner != studentID {
			t.Fatalf("%+v, %v", who, err)
		}
		unknown, err := k.taps.Visitor(t.Context(), device, "90019001")
		if err != nil || unknown.Owner != "" || unknown.Claims == nil || unknown.Claims.Owner != "" {
			t.Errorf("unknown: %+v, %v", unknown, err)
		}
		alone := tap.Visitor{Owner: studentID, Badge: who.Claims.Badge}
		if err := k.taps.StillValid(t.Context(), device, alone); !errors.Is(err, tap.ErrBadgeInvalid) {
			t.Error("a badge without its PIN opens a visit:", err)
		}
		if _, err := k.taps.EnteredPIN(t.Context(), device, *who.Claims, wrongPIN); !errors.Is(err, pin.ErrWrong) {
			t.Error(err)
		}
		byBadge, err := k.taps.EnteredPIN(t.Context(), device, *who.Claims, rightPIN)
		if err != nil || byBadge.Owner != studentID || k.taps.StillValid(t.Context(), device, byBadge) != nil {
			t.Fatalf("%+v, %v", byBadge, err)
		}
		claim, err := k.taps.Claimant(t.Context(), device, "student@contoso.com")
		if err != nil {
			t.Fatal(err)
		}
		byName, err := k.taps.EnteredPIN(t.Context(), device, claim, rightPIN)
		if err != nil || byName.Owner != studentID || k.taps.StillValid(t.Context(), device, byName) != nil {
			t.Fatalf("%+v, %v", byName, err)
		}
		time.Sleep(time.Second)
		if err := k.pins.Set(t.Context(), studentID, wrongPIN, studentID, time.Now()); err != nil {
			t.Fatal(err)
		}
		for _, v := range []tap.Visitor{byBadge, byName} {
			if err := k.taps.StillValid(t.Context(), device, v); !errors.Is(err, tap.ErrBadgeInvalid) {
				t.Error("a visit outlives its PIN:", err)
			}
		}
		if _, err := k.taps.Claimant(t.Context(), "hq-3", "student@contoso.com"); !errors.Is(err, release.ErrNoDevice) {
			t.Error(err)
		}
	})
}

// A badge that is shown where a PIN is asked for is no PIN, also one with its form; neither locks.
func TestBadgeInPlaceOfPIN(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		k := openKeypads(t, printer.ByBadgeAndPIN)
		if _, err := k.badges.Enrol(t.Context(), "0077732803", badgeOf(stayerID)); err != nil {
			t.Fatal(err)
		}
		who, err := k.taps.Visitor(t.Context(), "hq-2-west", "1001")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 12 {
			card := []string{"04A21BC3F7E689", "0077732803"}[i%2]
			if _, err := k.taps.EnteredPIN(t.Context(), "hq-2-west", *who.Claims, card); !errors.Is(err, tap.ErrCard) {
				t.Fatal(i, err)
			}
		}
		if _, err := k.taps.EnteredPIN(t.Context(), "hq-2-west", *who.Claims, rightPIN); err != nil {
			t.Error(err)
		}
	})
}

// A code stands for the badge, no more: where a PIN is asked for besides, it still is.
func TestForgottenBadge(t *testing.T) {
	for list, want := range map[string]string{"badge": "visit", "badge+pin": "claim", "pin": "refused"} {
		t.Run(list, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				k := openKeypads(t, factorsOf(list)...)
				code := k.code(t, badge.ForVisit)
				var who tap.Visitor
				visits := func(v tap.Visitor) error {
					who = v
					return nil
				}
				if err := k.taps.Forgot(t.Context(), "hq-2-west", k.code(t, badge.ForPIN), visits); err == nil {
					t.Error("a code for a PIN opens a visit")
				}
				err := k.taps.Forgot(t.Context(), "hq-2-west", code, visits)
				got := "visit"
				switch {
				case errors.Is(err, tap.ErrNoBadges):
					got = "refused"
				case err != nil:
					t.Fatal(err)
				case who.Claims != nil && who.Owner == "" && who.Claims.Owner == studentID:
					got = "claim"
					if who, err = k.taps.EnteredPIN(t.Context(), "hq-2-west", *who.Claims, rightPIN); err != nil {
						t.Error(err)
					}
				}
				if got != want {
					t.Errorf("%s, want %s", got, want)
				}
				if got != "refused" && (who.Owner != studentID || k.taps.StillValid(t.Context(), "hq-2-west", who) != nil) {
					t.Errorf("%+v", who)
				}
				if err := k.taps.Forgot(t.Context(), "hq-2-west", code, visits); err == nil {
					t.Error("a code is good twice")
				}
			})
		})
	}
}

// Of two devices at which a code is typed at once one opens a visit; where it can't be shown, the code stays good.
func TestForgottenBadgeAtOnce(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		k := openKeypads(t, printer.ByBadge)
		code, failed := k.code(t, badge.ForVisit), errors.New("Graph is away")
		if err := k.taps.Forgot(t.Context(), "hq-2-west", code, func(tap.Visitor) error { return failed }); !errors.Is(err, failed) {
			t.Fatal(err)
		}
		var opened, wrong atomic.Int32
		var both sync.WaitGroup
		for _, device := range []string{"hq-2-west", "hq-2-east"} {
			both.Go(func() {
				err := k.taps.Forgot(t.Context(), device, code, func(tap.Visitor) error {
					opened.Add(1)
					return nil
				})
				if errors.Is(err, badge.ErrCode) {
					wrong.Add(1)
				}
			})
		}
		both.Wait()
		if opened.Load() != 1 || wrong.Load() != 1 {
			t.Errorf("opened at %d devices, wrong at %d", opened.Load(), wrong.Load())
		}
	})
}

func (k *keypads) code(t *testing.T, purpose badge.Purpose) string {
	t.Helper()
	e := badgeOf(studentID)
	e.Code = purpose
	code, err := k.badges.IssueCode(t.Context(), e, time.Hour, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// With a code from the help desk a person sets a PIN at a device, once; a weak one leaves it good.
func TestSetPINByCode(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		k := openKeypads(t, printer.ByPIN)
		code := k.code(t, badge.ForPIN)
		audited := ""
		audit := func(owner string) error {
			audited += owner
			return nil
		}
		if err := k.taps.SetPIN(t.Context(), "hq-2-west", code, "123456", audit); !errors.Is(err, pin.ErrWeak) || audited != "" {
			t.Error(err)
		}
		failed := errors.New("the store is away")
		if err := k.taps.SetPIN(t.Context(), "hq-2-west", code, wrongPIN, func(string) error { return failed }); !errors.Is(err, failed) {
			t.Fatal(err)
		}
		if err := k.taps.SetPIN(t.Context(), "hq-2-west", code, wrongPIN, audit); err != nil || audited != studentID {
			t.Fatal(audited, err)
		}
		if err := k.taps.SetPIN(t.Context(), "hq-2-west", code, rightPIN, audit); !errors.Is(err, badge.ErrCode) {
			t.Error(err)
		}
		k.hold()
		out, err := k.taps.Tap(t.Context(), tap.Shown{Device: "hq-2-west", User: "e42", PIN: wrongPIN})
		if got := outcomeOf(out, err); got != "prints" {
			t.Error(got)
		}
	})
}

// Five wrong PINs lock the person at every device, and the device for every person, with one answer.
func TestPINLocks(t *testing.T) {
	var locked *pin.LockedError
	for name, c := range map[string]struct{ guesses, right tap.Shown }{
		"a person": {
			tap.Shown{Device: "hq-2-west", User: "e42", PIN: wrongPIN}, tap.Shown{Device: "hq-2-east", Number: "1001", PIN: rightPIN},
		},
		"a device": {
			tap.Shown{Device: "hq-2-west", User: "nobody@contoso.com", PIN: wrongPIN},
			tap.Shown{Device: "hq-2-west", Number: "1001", PIN: rightPIN},
		},
	} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				k := openKeypads(t, printer.ByPIN, printer.ByBadgeAndPIN)
				k.hold()
				for range 5 {
					if _, err := k.taps.Tap(t.Context(), c.guesses); !errors.Is(err, pin.ErrWrong) {
						t.Fatal(err)
					}
				}
				if _, err := k.taps.Tap(t.Context(), c.right); !errors.As(err, &locked) {
					t.Error("not locked:", err)
				}
				time.Sleep(15 * time.Minute)
				if got := outcomeOf(k.taps.Tap(t.Context(), c.right)); got != "prints" {
					t.Error("after the lock:", got)
				}
			})
		})
	}
}

// A device that is locked for PINs still takes badges, where a badge is enough.
func TestPINLocksNoBadges(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		k := openKeypads(t, printer.ByBadge, printer.ByPIN)
		k.hold()
		for range 5 {
			_, _ = k.taps.Tap(t.Context(), tap.Shown{Device: "hq-2-west", User: "nobody@contoso.com", PIN: wrongPIN})
		}
		var locked *pin.LockedError
		if _, err := k.taps.Tap(t.Context(), tap.Shown{Device: "hq-2-west", User: "e42", PIN: rightPIN}); !errors.As(err, &locked) {
			t.Error("not locked:", err)
		}
		if got := outcomeOf(k.taps.Tap(t.Context(), tap.Shown{Device: "hq-2-west", Number: "1001"})); got != "prints" {
			t.Error(got)
		}
	})
}

// A badge that is given to somebody else while its PIN is looked at prints nothing of theirs.
func TestBadgeChangesHands(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		k := openKeypads(t, printer.ByBadgeAndPIN)
		k.hold()
		// The student's jobs, by a badge that is the stayer's while their PIN is looked at.
		const stayersPIN = "161803" // else it would be right also once the badge is the student's
		if err := k.pins.Set(t.Context(), stayerID, stayersPIN, stayerID, time.Now()); err != nil {
			t.Fatal(err)
		}
		done := make(chan string, 1)
		go func() {
			done <- outcomeOf(k.taps.Tap(t.Context(), tap.Shown{Device: "hq-2-west", Number: "2001", PIN: stayersPIN}))
		}()
		e := badgeOf(studentID)
		e.Replace = true
		if _, err := k.badges.Enrol(t.Context(), "2001", e); err != nil {
			t.Fatal(err)
		}
		if got := <-done; got == "prints" {
			t.Error("one's PIN prints another's jobs")
		}
	})
}

// Where the store or the directory does not answer, nobody is let in.
func TestPINStoreDown(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		k := openKeypads(t, printer.ByPIN)
		k.hold()
		s := tap.Shown{Device: "hq-2-west", User: "e42", PIN: rightPIN}
		k.people.err = errors.New("the directory is away")
		if _, err := k.taps.Tap(t.Context(), s); !errors.Is(err, k.people.err) {
			t.Error(err)
		}
		k.people.err = nil
		k.away.Store(true)
		if _, err := k.taps.Tap(t.Context(), s); !errors.Is(err, store.ErrUnavailable) {
			t.Error(err)
		}
	})
}
