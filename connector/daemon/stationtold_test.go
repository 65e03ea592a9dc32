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

// While Graph does not answer, a job that is deleted is deleted as soon as it does: that is
// what the station and the API say, however often they are asked.
func TestDeletedWhileGraphIsOut(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s, student, _ := two(t, 3)
		defer s.end()
		c, other := s.screen(), s.screen()
		c.badge(number)
		s.sim.Outage(true)
		c.post("cancel", c.form(student[0]))
		c.sees("It will be deleted as soon as possible", "Print all 2")
		other.page = c.page
		c.post("cancel", other.form(student[0]))
		c.sees("It will be deleted as soon as possible")

		path := "/v1/jobs/" + student[1].Printer + "/" + student[1].Job
		for range 2 {
			var out struct{ Pending bool }
			if code := s.ask(adminToken, "POST", path+"/cancel", `{"reason":"again"}`, &out); code != http.StatusOK || !out.Pending {
				t.Errorf("%d %+v", code, out)
			}
		}
		var why struct{ Detail string }
		if code := s.ask(adminToken, "POST", path+"/release", `{"device":"hq-2-west"}`, &why); code != http.StatusConflict ||
			!strings.Contains(why.Detail, "is being canceled") {
			t.Errorf("%d %s", code, why.Detail)
		}
		s.back()
		s.await("both are deleted", 5*time.Minute, func() bool { return s.applied(student[:2]...) == 2 })
		if n := s.applied(student[2]); n != 0 {
			t.Error("the third is not asked for")
		}
	})
}

// A reader that sends Enter twice enrols a badge twice by the same code: it is told both
// times that it is enrolled, and another badge is not.
func TestEnrolledTwice(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		var issued struct{ Code string }
		if code := s.ask(adminToken, "POST", "/v1/badges/codes", fmt.Sprintf(`{"owner":%q}`, studentID), &issued); code != http.StatusOK {
			t.Fatal(code)
		}
		c := s.screen()
		enrol := func(card string) { c.post("enrol", url.Values{"code": {issued.Code}, "badge": {card}}) }
		for range 3 {
			enrol("04FRESH11223")
			c.sees("Your badge is enrolled")
		}
		enrol("04OTHER11223")
		c.sees("That code is wrong")
		s.ask(adminToken, "DELETE", "/v1/badges", `{"badge":"04FRESH11223"}`, nil)
		enrol("04FRESH11223")
		c.sees("That code is wrong")
	})
}
