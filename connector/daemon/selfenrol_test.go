package daemon_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

var claimCode = regexp.MustCompile(`>([0-9A-Z]{4}-[0-9A-Z]{4})<`)

// shownCode is the code that a station shows of an unknown card.
func (c *screen) shownCode() string {
	c.o.t.Helper()
	m := claimCode.FindStringSubmatch(c.page)
	if m == nil {
		c.o.t.Fatalf("%d, no code:\n%s", c.status, c.page)
	}
	return m[1]
}

// claim types a code on a person's own page and says that the card is theirs.
func (s *surfer) claim(code string) string {
	_, text := s.load("/me/badge", url.Values{"code": {code}})
	s.says(text, []string{"HQ, 2nd floor (hq-2-west)", "Was that you"}, nil)
	_, text = s.load("/me/badge", url.Values{"code": {code}, "mine": {"1"}})
	return text
}

// selfEnrolling is an office where people enrol their own cards.
func selfEnrolling(t *testing.T) *office {
	t.Helper()
	o := newOffice(t, graphtest.Calm())
	o.badges, o.located = ", self_enrol: true", `, location: "HQ, 2nd floor"`
	o.install("embedded: {store_dir: nats, max_store: 256MiB}")
	o.peopleSignIn("http://" + o.admin())
	return o
}

// The owner of an unknown card gets a code at the station, types it on their own page, and the card
// opens their jobs: theirs alone, once, and within ten minutes.
func TestSelfEnrol(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := selfEnrolling(t)
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		s.hold(1)
		c := s.screen()
		c.badge("0077732803")
		c.sees("Nobody has enrolled this badge", "/me")
		code := c.shownCode()
		if strings.Contains(c.page, "77732803") {
			t.Error("the page has the number")
		}
		c.badge("0077732803")
		if c.shownCode() != code {
			t.Error("the same card has another code")
		}
		student, teacher := o.surfer(), o.surfer()
		student.says(student.signIn(studentID, "/me"), []string{"Enrol your badge"}, nil)
		student.says(student.claim(strings.ToLower(code)), []string{"Your badge is enrolled"}, nil)
		teacher.signIn(teacherID, "/me/badge")
		_, text := teacher.load("/me/badge", url.Values{"code": {code}, "mine": {"1"}})
		teacher.says(text, []string{"wrong, used already, or has expired"}, nil)
		c.badge("0077732803")
		c.sees("Print all 1")
		var list apiclient.BadgeList
		s.ask(adminToken, "GET", "/v1/badges", "", &list)
		if len(list.Badges) != 1 || list.Badges[0].Owner != studentID || list.Badges[0].By != "self" {
			t.Errorf("%+v", list)
		}
		var actions apiclient.ActionList
		s.ask(adminToken, "GET", "/v1/audit", "", &actions)
		said := false
		for _, a := range actions.Actions {
			said = said || a.Action == "self-enrol" && a.Actor == studentID && a.Device == "hq-2-west" && a.Badge == list.Badges[0].ID
		}
		if !said {
			t.Errorf("not in the audit: %+v", actions)
		}
		c.badge("0077732999")
		code = c.shownCode()
		pass(10 * time.Minute)
		_, text = teacher.load("/me/badge", url.Values{"code": {code}})
		teacher.says(text, []string{"wrong, used already, or has expired"}, []string{"Was that you"})
	})
}

// Nobody tries codes: five wrong ones close the page for an hour, also for a right one.
func TestSelfEnrolGuesses(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := selfEnrolling(t)
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		c := s.screen()
		student, teacher := o.surfer(), o.surfer()
		student.signIn(studentID, "/me")
		teacher.signIn(teacherID, "/me")
		for i := range 5 {
			_, text := student.load("/me/badge", url.Values{"code": {fmt.Sprintf("0000-000%d", i)}})
			student.says(text, []string{"wrong, used already"}, nil)
		}
		c.badge("0077732803")
		code := c.shownCode()
		_, text := student.load("/me/badge", url.Values{"code": {code}, "mine": {"1"}})
		student.says(text, []string{"Too many wrong codes"}, nil)
		teacher.says(teacher.claim(code), []string{"Your badge is enrolled"}, nil)
		pass(time.Hour)
		c.badge("0077732804")
		student.signIn(studentID, "/me")
		student.says(student.claim(c.shownCode()), []string{"Your badge is enrolled"}, nil)
	})
}

// On the day that badges are introduced, fifty people with new cards at one reader lock nobody out;
// whoever tries numbers is locked out after sixty.
func TestRollOutDay(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := selfEnrolling(t)
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		s.ask(adminToken, "PUT", "/v1/badges", fmt.Sprintf(`{"badge":"0055500001","owner":%q}`, studentID), nil)
		s.hold(1)
		c := s.screen()
		codes := map[string]bool{}
		for i := range 50 {
			c.badge(fmt.Sprintf("00777%05d", i))
			codes[c.shownCode()] = true
		}
		if len(codes) != 50 {
			t.Errorf("%d codes for 50 cards", len(codes))
		}
		c.badge("0055500001")
		c.sees("Print all 1")
		for i := range 10 {
			c.badge(fmt.Sprintf("00888%05d", i))
		}
		c.badge("0055500001")
		if c.status != http.StatusTooManyRequests {
			t.Errorf("after 60 unknown cards: %d", c.status)
		}
		pass(10 * time.Minute)
		c.badge("0055500001")
		c.sees("Print all 1")
	})
}

// The second reading of an unknown card, cut by the page that came between, shows the same code again;
// the page with the code is shown once by its address, so that going back shows nothing.
func TestClaimReadTwice(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := selfEnrolling(t)
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		c := s.screen()
		c.badge("0077732803")
		code := c.shownCode()
		for _, rest := range []string{"732803", ""} {
			c.badge(rest)
			if got := c.shownCode(); got != code {
				t.Errorf("after %q: another code", rest)
			}
		}
		ticket := c.ticket()
		c.get("/claim?visit=" + ticket)
		if c.shownCode() != code {
			t.Error("another code by the address")
		}
		c.get("/claim?visit=" + ticket)
		c.sees("Show your badge")
		if claimCode.MatchString(c.page) {
			t.Error("going back shows the code")
		}
	})
}
