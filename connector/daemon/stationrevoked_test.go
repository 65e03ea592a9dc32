package daemon_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// A visit ends with the badge that opened it: whatever is pressed then, nothing moves, and
// the answer is that to a badge that is not known.
func TestVisitOfARevokedBadge(t *testing.T) {
	racetest.Skip(t, "one visit after the other")
	revoke := func(s *shift) {
		if code := s.ask(adminToken, "DELETE", "/v1/badges", fmt.Sprintf(`{"badge":%q}`, number), nil); code != http.StatusOK {
			s.t.Fatal(code)
		}
	}
	forms := map[string]func(c *screen, jobs []graphtest.JobID){
		"print":     func(c *screen, jobs []graphtest.JobID) { c.post("release", c.form(jobs[0])) },
		"print all": func(c *screen, _ []graphtest.JobID) { c.post("release", c.form()) },
		"delete":    func(c *screen, jobs []graphtest.JobID) { c.post("cancel", c.form(jobs[1])) },
		"Enter":     func(c *screen, _ []graphtest.JobID) { c.badge("") },
	}
	ends := map[string]func(s *shift){
		"revoked": revoke,
		"enrolled for another": func(s *shift) {
			revoke(s)
			s.enrol(teacherID, number)
		},
		"enrolled to replace": func(s *shift) {
			body := fmt.Sprintf(`{"badge":%q,"owner":%q,"replace":true}`, number, teacherID)
			if code := s.ask(adminToken, "PUT", "/v1/badges", body, nil); code != http.StatusOK {
				s.t.Fatal(code)
			}
		},
		"expired": func(s *shift) { pass(40 * time.Second) },
		"owner erased": func(s *shift) {
			if code := s.ask(adminToken, "POST", "/v1/people/"+studentID+"/erase", `{"cancel_held":true}`, nil); code != http.StatusOK {
				s.t.Fatal(code)
			}
		},
	}
	for what, end := range ends {
		for how, form := range forms {
			t.Run(what+"/"+how, func(t *testing.T) {
				bustest.Virtual(t, func(t *testing.T) {
					s, student, teacher := two(t, 3)
					defer s.end()
					if what == "expired" {
						until := time.Now().Add(30 * time.Second).UTC().Format(time.RFC3339)
						body := fmt.Sprintf(`{"badge":%q,"owner":%q,"expires":%q}`, number, studentID, until)
						if code := s.ask(adminToken, "PUT", "/v1/badges", body, nil); code != http.StatusOK {
							t.Fatal(code)
						}
					}
					all := append(append([]graphtest.JobID{}, student...), teacher...)
					c := s.screen()
					c.badge(number)
					c.sees("Print all 3")
					end(s)
					before := s.applied(all...)
					form(c, student)
					if n := s.applied(all...) - before; n != 0 {
						t.Errorf("%d jobs moved", n)
					}
					told := "No job is waiting for this badge here. A new badge has to be enrolled first."
					if what == "owner erased" { // with everything, the visit
						told = "how your badge"
					}
					c.sees(told, "Hold it to the reader")
				})
			})
		}
	}
}

// A form that was sent before its badge was revoked, and is sent again after, shows no jobs.
func TestRepeatAfterARevoked(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s, _, _ := two(t, 3)
		defer s.end()
		for _, to := range []string{"release", "jobs"} {
			c := s.screen()
			s.enrol(studentID, number)
			c.badge(number)
			form := c.form()
			if to == "release" {
				id := s.hold(1)
				c.badge(number)
				form = c.form(id[0])
				c.post(to, form)
				c.sees("1 job is printing", "Waiting")
			}
			if code := s.ask(adminToken, "DELETE", "/v1/badges", fmt.Sprintf(`{"badge":%q}`, number), nil); code != http.StatusOK {
				t.Fatal(code)
			}
			form.Set("badge", "")
			c.post(to, form)
			c.sees("A new badge has to be enrolled first")
		}
	})
}

// A badge that is an employee id is asked for as a tap does, by each replica: the one that
// shows the next page may not have seen the card.
func TestVisitByEmployeeID(t *testing.T) {
	o := newOffice(t, graphtest.Calm())
	o.badges = ", entra_attribute: employeeId"
	nats := `url: "` + bustest.External(t) + `"`
	first := o.replica("127.0.0.1:9465", nats).start(zap.NewNop())
	defer first.end()
	first.register()
	second := o.replica("127.0.0.1:9466", nats).start(zap.NewNop())
	defer second.end()
	second.await("the second replica is ready", 20*time.Second, func() bool {
		code, _ := second.get("/readyz")
		return code == 200
	})
	for range 2 {
		if _, err := o.sim.Submit(graphtest.JobSpec{Printer: pullID, User: teacherID}); err != nil {
			t.Fatal(err)
		}
	}
	second.await("jobs held", 20*time.Second, func() bool { return len(first.all())+len(second.all()) == 2 })
	c, other := first.screen(), second.screen()
	c.badge("E77")
	c.sees("Print all 2")
	other.page = c.page
	other.post("jobs", url.Values{"visit": {c.ticket()}, "badge": {""}})
	other.sees("Print all 2")
	c.post("release", other.form())
	c.sees("2 jobs are printing")
}

// What the directory says of an employee id ends a visit as soon as it ends taps.
func TestVisitOfAFormerEmployeeID(t *testing.T) {
	racetest.Skip(t, "one visit after the other")
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.badges = ", entra_attribute: employeeId"
		o.install("embedded: {store_dir: nats, max_store: 256MiB}")
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		if _, err := o.sim.Submit(graphtest.JobSpec{Printer: pullID, User: teacherID}); err != nil {
			t.Fatal(err)
		}
		s.await("job held", 10*time.Second, func() bool { return len(s.all()) == 1 })
		c := s.screen()
		c.badge("E77")
		c.sees("Print all 1")
		o.sim.AddUser(graphtest.User{UPN: "other@contoso.com", EmployeeID: "E77"}) // now it is nobody's
		for range 10 {
			pass(50 * time.Second)
			c.badge("")
			c.sees("Print all 1")
		}
		for range 10 {
			pass(50 * time.Second)
			c.badge("")
		}
		c.sees("Hold it to the reader")
		c.badge("E77")
		c.sees("No job is waiting for this badge here")
	})
}
