package daemon_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// visitOver is longer than a visit at a station lasts, by more than the store takes to forget it.
const visitOver = time.Minute + 3*time.Second

// The button for all jobs says how many of them print, and is there when any does.
func TestStationPrintsWhatItSays(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.write("policy.yaml", officePolicy+`
prices: {page: 1}
allowances: [{name: students, when: '"students" in user.groups', pages: 30, every: week}]
unmatched: free
`)
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		s.enrol(studentID, number)
		c := s.screen()
		sends := func(pages int) {
			t.Helper()
			before := len(s.all())
			s.print(graphtest.JobSpec{Printer: pullID, Pages: pages})
			s.await("one more job", 10*time.Second, func() bool { return len(s.all()) == before+1 })
		}
		sends(31)
		c.badge(number)
		c.sees("Your jobs", "This job costs 31 pages, and you have 30 pages left")
		if strings.Contains(c.page, "/release") {
			t.Errorf("it offers to print what is over the budget:\n%s", c.page)
		}
		sends(20)
		sends(20)
		pass(visitOver)
		c.badge(number)
		c.sees("Your jobs", "Print 1 of 3")
		c.post("release", c.form())
		c.sees("1 job is printing")
		sends(5)
		pass(visitOver)
		c.badge(number)
		c.sees("Print 1 of 3")
	})
}

// A number without a code on the page for enrolling is told that the code comes first,
// whichever field it is in; somebody whose jobs wait gets them.
func TestStationEnrolWithoutCode(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s, _, _ := two(t, 2)
		defer func() { s.end() }()
		c := s.screen()
		for _, field := range []string{"badge", "code"} {
			form := url.Values{"badge": {""}, "code": {""}}
			form.Set(field, "998877665544")
			c.get("/enrol")
			c.post("enrol", form)
			c.sees("To enrol it, type the code that you were given first", "The code you were given", `name="code"`)
			pass(visitOver)
			form.Set(field, number)
			c.get("/enrol")
			c.post("enrol", form)
			c.sees("Your jobs", "Print all 2")
			pass(visitOver)
		}
	})
}
