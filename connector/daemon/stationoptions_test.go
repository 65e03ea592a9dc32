package daemon_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// chosen is an installation whose people pay, with one job that has a title.
func chosen(t *testing.T, job graphtest.JobSpec) (s *shift, c *screen, id graphtest.JobID) {
	t.Helper()
	o := newOffice(t, graphtest.Calm())
	o.write("policy.yaml", officePolicy+`
prices: {page: 1, color: 5}
allowances: [{name: students, when: '"students" in user.groups', pages: 30, every: week}]
unmatched: free
`)
	s = o.start(zap.NewNop())
	s.register()
	s.enrol(studentID, number)
	id = s.print(job)
	s.await("one job", 10*time.Second, func() bool { return len(s.all()) == 1 })
	return s, o.screen(), id
}

// The page says who is there, and for each way to print a job what it costs; what is chosen
// is printed so, and the page tells when the printer has it.
func TestStationOptions(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s, c, id := chosen(t, graphtest.JobSpec{Printer: pullID, Name: "Invoice 4711.pdf", Pages: 4, Copies: 2, Color: true})
		defer s.end()
		c.badge(number)
		c.sees("Your jobs, Anna", "Inv….pdf", "8 sheets · colour · 2 copies", "This job costs 40 pages, and you have 30 pages left",
			"Print in black and white<small>costs 8 pages</small>")
		c.post("options", c.form(id))
		c.sees("Print in black and white<small>8 sheets · black and white · 2 copies · costs 8 pages</small>",
			"Print one copy<small>4 sheets · colour · costs 20 pages</small>", "is more than what is left",
			"Print one copy in black and white, on both sides<small>2 sheets · black and white · both sides · costs 4 pages</small>")
		form := c.form(id)
		form.Set("colorMode", "grayscale")
		form.Set("copies", "1")
		form.Set("duplexMode", "flipOnLongEdge")
		c.post("release", form)
		c.sees("1 job is printing", "Sent to the printer.")
		ticket := c.ticket()
		c.get("/progress?visit=" + ticket)
		if c.status != http.StatusOK || c.page != "The printer has the job." {
			t.Errorf("%d %q", c.status, c.page)
		}
		for _, none := range []string{"", "?visit=", "?visit=another"} {
			if c.get("/progress" + none); c.status != http.StatusNoContent || c.page != "" {
				t.Errorf("progress%s: %d %q", none, c.status, c.page)
			}
		}
		c.badge(teachersCard)
		if c.get("/progress?visit=" + ticket); c.status != http.StatusNoContent {
			t.Errorf("after the next card: %d %q", c.status, c.page)
		}
		job, _ := s.sim.Job(id)
		made, _ := s.sim.Job(job.RedirectedTo)
		if conf := made.Configuration; conf.Copies != 1 || conf.ColorMode != "grayscale" || conf.DuplexMode != "flipOnLongEdge" {
			t.Errorf("printed as %+v", conf)
		}
	})
}

// A printer that can't print is told of before anything is pressed, with where the next one
// is; nothing on the page prints meanwhile.
func TestStationTellsOfThePrinter(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s, c, id := chosen(t, graphtest.JobSpec{Printer: pullID})
		defer s.end()
		if err := errors.Join(s.sim.SetPrinter(westID, "stopped", true), s.sim.SetDetails(westID, time.Time{}, "mediaJam")); err != nil {
			t.Fatal(err)
		}
		c.get("")
		c.sees("This printer can't print at the moment.", "paper jam.", "These can: <strong>hq-2-east</strong>")
		c.badge(number)
		c.sees("Your jobs", "paper jam.", "Look again")
		if strings.Contains(c.page, "/release") {
			t.Errorf("it offers to print:\n%s", c.page)
		}
		c.post("options", c.form(id))
		if strings.Contains(c.page, "/release") {
			t.Errorf("it offers to print:\n%s", c.page)
		}
		if err := errors.Join(s.sim.SetPrinter(westID, "idle", true), s.sim.SetDetails(westID, time.Time{})); err != nil {
			t.Fatal(err)
		}
		c.post("jobs", c.form())
		c.sees("Print all 1")
		c.post("release", c.form(id))
		c.post("options", c.form(id))
		c.sees("That job does not wait any more.")
	})
}

// A restart of the daemon ends nobody's visit: the next press is answered by the new process;
// a page that is loaded anew waits for a badge.
func TestStationOverARestart(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s, c, id := chosen(t, graphtest.JobSpec{Printer: pullID})
		c.badge(number)
		c.sees("Your jobs, Anna")
		s.end()
		s = s.start(zap.NewNop())
		defer func() { s.end() }()
		ready := func() bool { code, _ := s.get("/readyz"); return code == http.StatusOK }
		s.await("ready", time.Minute, ready)
		c.post("release", c.form(id))
		c.sees("1 job is printing")
		ticket := c.ticket()
		s.end()
		s = s.start(zap.NewNop())
		s.await("ready", time.Minute, ready)
		if c.get("/progress?visit=" + ticket); c.status != http.StatusNoContent {
			t.Errorf("%d %q", c.status, c.page)
		}
		c.get("")
		c.sees("Show your badge")
		if s.applied(id) != 1 {
			t.Error("not printed once")
		}
	})
}
