package daemon_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// The PINs of the tests, and a card of digits alone, as long as a PIN may be.
const (
	studentsPIN = "271828"
	teachersPIN = "314159"
	digitsCard  = "0077732803"
)

// askingPINs is an office whose west device asks for PINs, with cards and PINs of a student and a teacher.
func askingPINs(t *testing.T, log *zap.Logger, factors string) *shift {
	t.Helper()
	o := newOffice(t, graphtest.Calm())
	o.located = ", factors: [" + factors + "]"
	o.install("embedded: {store_dir: nats, max_store: 256MiB}")
	o.peopleSignIn("http://" + o.admin())
	s := o.start(log)
	s.register()
	s.enrol(studentID, number)
	s.enrol(teacherID, digitsCard)
	for id, pin := range map[string]string{studentID: studentsPIN, teacherID: teachersPIN} {
		person := o.surfer()
		person.says(person.signIn(id, "/me"), []string{"You have none yet", "Set your PIN"}, nil)
		_, text := person.load("/me/pin", url.Values{"pin": {pin}, "again": {pin}})
		person.says(text, []string{"Your PIN is set."}, nil)
	}
	return s
}

// pin types a PIN, as the form of the page does.
func (c *screen) pin(text string) {
	c.o.t.Helper()
	c.post("pin", url.Values{"pin": {text}, "visit": {c.ticket()}})
}

// asked fails unless the page asks for a PIN, and tells nothing of anybody.
func (c *screen) asked(texts ...string) {
	c.o.t.Helper()
	c.sees(append(texts, "Type your PIN", `id="pin"`, "http://"+c.o.admin()+"/me/pin")...)
	for _, never := range []string{"Anna", "Print", "Follow-Me", studentsPIN, teachersPIN} {
		if strings.Contains(c.page, never) {
			c.o.t.Fatalf("the page that asks for a PIN has %q:\n%s", never, c.page)
		}
	}
}

// After the card the station asks for the PIN, of an unknown card too. The PIN acts for the card that was
// shown last, and opens its visit alone.
func TestStationPIN(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.DebugLevel)
		s := askingPINs(t, zap.New(core), "badge+pin")
		defer func() { s.end() }()
		jobs := s.hold(2)
		c := s.screen()
		c.badge(number)
		c.asked()
		before := c.form()
		for _, to := range []string{"release", "cancel", "options", "jobs"} {
			c.post(to, before)
			if strings.Contains(c.page, "Print all") || s.applied(jobs...) != 0 {
				t.Fatalf("%s without a PIN:\n%s", to, c.page)
			}
		}
		c.badge(number)
		c.pin("141421")
		c.asked("That PIN is wrong", `role="alert"`)
		c.pin("")
		c.asked()
		c.pin(studentsPIN)
		c.sees("Your jobs, Anna", "Print all 2")
		c.post("release", c.form(jobs[0]))
		c.sees("1 job is printing")

		// A card in the middle is a card: its owner is asked, and the PIN of the one before is wrong.
		c.badge(number)
		old := url.Values{"pin": {studentsPIN}, "visit": {c.ticket()}}
		c.pin(digitsCard)
		c.asked()
		if strings.Contains(c.page, "wrong") {
			t.Error("a card was taken for a PIN")
		}
		c.pin(studentsPIN)
		c.asked("That PIN is wrong")
		teachers := *c
		c.post("pin", old) // of the page that was left, in another tab
		c.sees("Please show your badge again")
		teachers.pin(teachersPIN)
		teachers.sees("No job of your own is waiting")

		// An unknown card has the same pages; so has a page that comes late, or after it was left.
		c.badge("4711 4711")
		c.asked()
		c.pin(studentsPIN)
		c.asked("That PIN is wrong")
		c.badge(number)
		left := *c
		left.post("leave", left.form())
		c.pin(studentsPIN)
		c.sees("Please show your badge again")
		c.badge(number)
		pass(61 * time.Second)
		c.pin(studentsPIN)
		c.sees("Please show your badge again")

		// It outlives the process, and is done once.
		c.badge(number)
		s.end()
		s = s.start(zap.New(core))
		s.await("ready", time.Minute, func() bool { code, _ := s.get("/readyz"); return code == http.StatusOK })
		again := url.Values{"pin": {studentsPIN}, "visit": {c.ticket()}}
		c.pin(studentsPIN)
		c.sees("Print all 1")
		c.post("pin", again)
		c.sees("Print all 1")
		for _, e := range logs.All() {
			if line := fmt.Sprint(e.Message, e.ContextMap()); strings.Contains(line, studentsPIN) || strings.Contains(line, digitsCard) {
				t.Errorf("logged: %s", line)
			}
		}
	})
}

// A browser keeps no PIN: its form is answered with an address that has none, and works once.
func TestStationPINLeavesNoTrace(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := askingPINs(t, zap.NewNop(), "badge+pin")
		defer s.end()
		s.hold(1)
		c := s.screen()
		send := func(to string, form url.Values) string {
			t.Helper()
			req, err := http.NewRequest(http.MethodPost, c.base()+"/"+to, strings.NewReader(form.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Accept", "text/html")
			res, err := c.client.Do(req)
			c.take(res, err)
			if q := res.Request.URL.String(); strings.Contains(q, studentsPIN) || strings.Contains(q, "141421") {
				t.Errorf("at %s", q)
			}
			return strings.TrimPrefix(res.Request.URL.String(), c.base())
		}
		asked := send("jobs", url.Values{"badge": {number}})
		c.asked()
		wrong := send("pin", url.Values{"pin": {"141421"}, "visit": {c.ticket()}})
		c.asked("That PIN is wrong")
		there := send("pin", url.Values{"pin": {studentsPIN}, "visit": {c.ticket()}})
		c.sees("Print all 1")
		for _, back := range []string{asked, wrong, there} {
			c.get(back)
			c.sees("Hold it to the reader")
			if strings.Contains(c.page, "Print all") {
				t.Errorf("going back to %s", back)
			}
		}
		for _, cookie := range c.client.Jar.Cookies(&url.URL{Scheme: "http", Host: s.admin(), Path: "/station/hq-2-west"}) {
			if strings.Contains(cookie.Value, studentsPIN) {
				t.Error("a cookie has the PIN")
			}
		}
	})
}

// Five wrong PINs lock for 15 minutes, without telling what; then the right one opens.
func TestStationPINLocks(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := askingPINs(t, zap.NewNop(), "badge+pin")
		defer s.end()
		s.hold(1)
		c := s.screen()
		c.badge(number)
		for range 5 {
			c.pin("141421")
			c.asked("That PIN is wrong")
		}
		for _, card := range []string{number, digitsCard, "4711 4711"} {
			c.pin(studentsPIN)
			if c.status != http.StatusTooManyRequests {
				t.Errorf("before %s: %d", card, c.status)
			}
			c.sees("Too many wrong PINs. Please wait 15 minutes")
			c.badge(card)
			c.asked()
		}
		person := s.surfer()
		person.says(person.signIn(studentID, "/me"), []string{"Locked after too many wrong tries, until", "A new PIN unlocks it."}, nil)
		pass(16 * time.Minute)
		c.badge(number)
		c.pin(studentsPIN)
		c.sees("Print all 1")
		person.says(person.signIn(studentID, "/me"), []string{"Set on"}, []string{"Locked"})
	})
}

// A PIN of which a key was missed is wrong, and no card of somebody else: typed once more it opens. Short
// numbers can't be tried there either.
func TestStationShortPIN(t *testing.T) {
	for _, factors := range []string{"badge+pin", "pin", "badge, pin"} {
		t.Run(factors, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				s := askingPINs(t, zap.NewNop(), factors)
				defer s.end()
				s.enrol(studentID, "4711")
				s.hold(1)
				c := s.screen()
				begin := func() {
					t.Helper()
					if factors == "badge+pin" {
						c.badge(number)
					} else {
						c.post("name", url.Values{"badge": {"student@contoso.com"}})
					}
					c.asked()
				}
				begin()
				for range 4 {
					c.pin("27182")
					c.asked("After five wrong")
				}
				c.pin(studentsPIN)
				c.sees("Print all 1")
				if factors == "pin" {
					return
				}
				begin()
				c.pin("4712")
				c.pin("4711")
				if strings.Contains(c.page, "Print all") {
					t.Error("a reader that has shown five unknown numbers takes a sixth")
				}
			})
		})
	}
}

// A PIN typed where digits need Shift, as on French and Czech keyboards, is wrong, no card and no try at the PIN.
func TestStationPINMistyped(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := askingPINs(t, zap.NewNop(), "badge+pin")
		defer s.end()
		s.hold(1)
		c := s.screen()
		c.badge(number)
		for _, typed := range []string{"éè&_é_", "ěý+áěá", "éè&_é", "éè&_é_éè&_é_", "141421", "141422", "141423", "141424"} {
			c.pin(typed)
			c.asked("That PIN is wrong")
		}
		c.pin(studentsPIN)
		c.sees("Print all 1")
	})
}

// Without badges the station asks who somebody is, and then for the PIN: the same of whoever is not known.
func TestStationName(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := askingPINs(t, zap.NewNop(), "pin")
		defer s.end()
		jobs := s.hold(2)
		c := s.screen()
		name := func(text string) { t.Helper(); c.post("name", url.Values{"badge": {text}}) }
		c.sees("Type who you are", "User name or employee number")
		for _, unknown := range []string{"nobody@contoso.com", "E99", "not a name", digitsCard} {
			name(unknown)
			c.asked()
			c.pin(studentsPIN)
			c.asked("This name and this PIN do not belong together")
		}
		pass(16 * time.Minute)
		name("Student@contoso.com")
		c.asked()
		c.pin(studentsPIN)
		c.sees("Your jobs, Anna", "Print all 2", "Next person: type who you are")
		c.post("release", c.form(jobs[0]))
		c.sees("1 job is printing")
		name("E77")
		c.asked()
		c.pin(teachersPIN)
		c.sees("No job of your own is waiting")
		name("")
		c.sees("Type who you are")
	})
}

// Where both count, a badge opens at once, and who has none with them types a name and a PIN.
func TestStationBadgeOrPIN(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := askingPINs(t, zap.NewNop(), "badge, pin")
		defer s.end()
		s.hold(1)
		c := s.screen()
		c.sees("Show your badge", "I have no badge with me")
		c.get("/name")
		c.sees("Type who you are")
		c.post("name", url.Values{"badge": {"student@contoso.com"}})
		c.pin(studentsPIN)
		c.sees("Print all 1", "Next person: show your badge")
		c.post("name", url.Values{"badge": {number}}) // a card, on the page for a name
		c.sees("Print all 1")
	})
}

// The page for a name is no place to try numbers of badges at: those that nobody has count as at the first
// page, also as the employee number of somebody.
func TestStationNameGuesses(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := askingPINs(t, zap.NewNop(), "badge, pin")
		defer s.end()
		s.hold(1)
		c := s.screen()
		for _, guess := range []string{"E77", "0077732801", "0077732802", "777328", "777328"} {
			c.post("name", url.Values{"badge": {guess}})
			c.asked()
		}
		c.post("name", url.Values{"badge": {number}})
		if c.status != http.StatusTooManyRequests || strings.Contains(c.page, "Print all") {
			t.Errorf("after five numbers that nobody has: %d\n%s", c.status, c.page)
		}
		c.post("name", url.Values{"badge": {"student@contoso.com"}})
		c.sees("Too many unknown badges. Please wait a minute.")
		pass(time.Minute)
		for range 6 {
			c.post("name", url.Values{"badge": {"nobody@contoso.com"}}) // no badge has such a number
			c.asked()
		}
		for i := range 24 { // each is looked up at Graph, until a device has asked 30 times in a minute
			c.post("name", url.Values{"badge": {fmt.Sprintf("nobody%d@contoso.com", i)}})
			c.asked()
		}
		c.post("name", url.Values{"badge": {"student@contoso.com"}})
		if c.sees("Please try again in a few seconds."); c.status != http.StatusTooManyRequests {
			t.Error("the name after 30:", c.status)
		}
		pass(time.Minute)
		c.post("name", url.Values{"badge": {"student@contoso.com"}})
		c.asked()
	})
}
