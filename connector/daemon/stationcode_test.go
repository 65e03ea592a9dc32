package daemon_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
)

// helpDeskCode is a code from the help desk for the student.
func (s *shift) helpDeskCode(what, validFor string) string {
	s.t.Helper()
	var issued struct{ Code string }
	body := fmt.Sprintf(`{"owner":%q,"for":%q,"valid_for":%q}`, studentID, what, validFor)
	if status := s.ask(adminToken, "POST", "/v1/badges/codes", body, &issued); status != http.StatusOK {
		s.t.Fatal(status)
	}
	return issued.Code
}

// code types a code, as the form of the page does.
func (c *screen) code(text string) {
	c.o.t.Helper()
	c.post("code", url.Values{"badge": {text, ""}})
}

const wrongCode = "That code is wrong, used already, or has expired."

// A code stands in for a forgotten badge, for one visit. A badge that is shown on the page for it is a badge.
func TestStationForgottenBadge(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		jobs := s.hold(2)
		c := s.screen()
		c.sees("I have a code from the help desk")
		c.get("/code")
		c.sees("The code you were given", "closes-60")
		code, late := s.helpDeskCode("visit", "1h"), s.helpDeskCode("visit", "1m")
		c.code(strings.ToLower(strings.ReplaceAll(code, "-", " ")))
		c.sees("Your jobs, Anna", "Print all 2")
		c.code(strings.ToLower(strings.ReplaceAll(code, "-", " "))) // pressed twice
		c.sees("Your jobs, Anna", "Print all 2")
		c.post("release", c.form(jobs[0]))
		c.sees("1 job is printing")
		c.post("leave", c.form())
		c.code(code)
		c.sees(wrongCode, "Show your badge")
		pass(2 * time.Minute)
		c.code(late)
		c.sees(wrongCode)

		// A badge is a badge there, also one that has the form of a code; it does not count as a wrong code.
		s.enrol(teacherID, "23456789")
		for range 6 {
			c.code(number)
			c.sees("Your jobs, Anna", "Print all 1")
			c.code("23456789")
			c.sees("No job")
		}
		// A PIN for other devices is set here too.
		pin := s.helpDeskCode("pin", "1h")
		c.post("code", url.Values{"code": {pin}, "pin": {"161803"}, "again": {"161803"}})
		c.sees("Your PIN is set.")

		// Wrong codes lock the reader as unknown badges do.
		for i := range 5 {
			c.code("BCDF-GHJ" + "KLMNP"[i:i+1])
		}
		c.code(s.helpDeskCode("visit", "1h"))
		c.sees("Too many tries")
	})
}

// Where a PIN is asked for besides, a code opens nothing without it.
func TestStationForgottenBadgeAndPIN(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := askingPINs(t, zap.NewNop(), "badge+pin")
		defer s.end()
		s.hold(1)
		c, code := s.screen(), s.helpDeskCode("visit", "1h")
		c.code(code)
		c.asked("I have a code from the help desk")
		c.pin(teachersPIN)
		c.asked()
		c.pin(studentsPIN)
		c.sees("Your jobs, Anna")
	})
}

// With a code a person sets a PIN at a device, once. A badge that is read in the place of one is a badge.
func TestStationSetPIN(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := askingPINs(t, zap.NewNop(), "badge+pin")
		defer s.end()
		s.hold(1)
		c, code := s.screen(), s.helpDeskCode("pin", "1h")
		set := func(code, pin, again string) {
			t.Helper()
			c.post("code", url.Values{"code": {code}, "pin": {pin}, "again": {again}, "badge": {""}})
			for _, never := range []string{studentsPIN, "161803"} {
				if strings.Contains(c.page, never) {
					t.Fatal("the page has the PIN")
				}
			}
		}
		c.code(code)
		c.sees("Set your PIN", `name="code"`, `id="again"`, "closes-60")
		set(code, "161803", "161804")
		c.sees("The two PINs differ", `name="code"`)
		set(code, "123456", "123456")
		c.sees("This PIN is easy to guess")
		set(code, "", "")
		c.sees("Set your PIN")
		set(code, digitsCard, digitsCard)
		c.asked()
		set(code, "04A21BC3F7E689", "")
		c.asked()
		for range 2 { // pressed twice
			set(code, "161803", "161803")
			c.sees("Your PIN is set.", "Show your badge")
		}
		set(code, "162534", "162534")
		c.sees(wrongCode)
		set(s.helpDeskCode("visit", "1h"), "162534", "162534")
		c.sees(wrongCode)
		c.badge(number)
		c.pin("161803")
		c.sees("Your jobs, Anna")

		// Numbers of badges can't be tried there.
		set(code, digitsCard, "no")
		c.sees("The two PINs differ")
		for i := range 5 {
			set("BCDF-GHJK", fmt.Sprint(16253400+i), fmt.Sprint(16253400+i))
		}
		c.badge(number)
		c.sees("Too many unknown badges")

		var audit struct {
			Actions []struct{ Action, Actor, Owner, Device, For string }
		}
		s.ask(adminToken, "GET", "/v1/audit", "", &audit)
		said := fmt.Sprintf("%+v", audit.Actions)
		for _, want := range []string{
			"{Action:set-pin Actor:code Owner:" + studentID + " Device:hq-2-west For:}", "For:pin}", "For:visit}",
		} {
			if !strings.Contains(said, want) {
				t.Errorf("the audit lacks %s: %s", want, said)
			}
		}
	})
}

// A device that takes no badges takes no code for a forgotten one, which stays good; it takes one for a PIN.
// A code for a badge leads to its page.
func TestStationCodeElsewhere(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := askingPINs(t, zap.NewNop(), "pin")
		defer s.end()
		s.hold(1)
		c, code := s.screen(), s.helpDeskCode("visit", "1h")
		c.sees("I have a code from the help desk")
		for range 2 {
			c.code(code)
			c.sees("Type who you are", `role="alert"`)
			if strings.Contains(c.page, wrongCode) {
				t.Error("the code was used up")
			}
		}
		c.code(s.helpDeskCode("pin", "1h"))
		c.sees("Set your PIN")
		c.code(s.helpDeskCode("badge", "1h"))
		c.sees("Now hold your badge to the reader")
		if status := s.ask(adminToken, "POST", "/v1/badges/codes", `{"owner":"`+studentID+`","for":"door"}`, nil); status != http.StatusBadRequest {
			t.Error(status)
		}
	})
}
