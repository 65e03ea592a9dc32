package daemon_test

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// teachersCard is the card of the teacher.
const teachersCard = "0777"

// screen is a station in a browser without scripts: the page that it shows.
type screen struct {
	o      *office
	client *http.Client
	status int
	page   string
}

// screen sets up the west station in one more browser.
func (o *office) screen() *screen {
	o.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		o.t.Fatal(err)
	}
	c := &screen{o: o, client: &http.Client{Transport: o.net.transport(), Jar: jar}}
	c.post("login", url.Values{"token": {readerToken}})
	c.sees(`id="badge"`)
	return c
}

func (c *screen) take(res *http.Response, err error) {
	c.o.t.Helper()
	if err != nil {
		c.o.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.o.t.Fatal(err)
	}
	c.status, c.page = res.StatusCode, html.UnescapeString(string(text))
}

func (c *screen) base() string { return "http://" + c.o.admin() + "/station/hq-2-west" }

// post sends a form of the page.
func (c *screen) post(to string, form url.Values) {
	c.o.t.Helper()
	c.take(c.client.PostForm(c.base()+"/"+to, form))
}

// get loads an address of the station.
func (c *screen) get(path string) { c.o.t.Helper(); c.take(c.client.Get(c.base() + path)) }

var hiddenField = regexp.MustCompile(`<input type="hidden" name="(visit|printer|job)" value="([^"]*)">`)

// ticket is that of the page; empty when it has none.
func (c *screen) ticket() string {
	for _, f := range hiddenField.FindAllStringSubmatch(c.page, -1) {
		if f[1] == "visit" {
			return f[2]
		}
	}
	return ""
}

// badge types a card, as the form of the page does.
func (c *screen) badge(card string) {
	c.o.t.Helper()
	c.post("jobs", url.Values{"badge": {card}, "visit": {c.ticket()}})
}

// form is one that acts, on a job or on all.
func (c *screen) form(id ...graphtest.JobID) url.Values {
	f := url.Values{"visit": {c.ticket()}}
	for _, id := range id {
		f.Set("printer", id.Printer)
		f.Set("job", id.Job)
	}
	return f
}

func (c *screen) sees(texts ...string) {
	c.o.t.Helper()
	for _, text := range texts {
		if !strings.Contains(c.page, text) {
			c.o.t.Fatalf("%d, without %q:\n%s", c.status, text, c.page)
		}
	}
}

// applied is how many of the jobs were let go or deleted.
func (o *office) applied(ids ...graphtest.JobID) (n int) {
	for _, id := range ids {
		job, _ := o.sim.Job(id)
		n += job.Effects.Applied()
	}
	return n
}

// two is an installation with cards of a student and a teacher, and n jobs of each.
func two(t *testing.T, n int) (s *shift, student, teacher []graphtest.JobID) {
	t.Helper()
	s = opened(t, zap.NewNop())
	s.enrol(teacherID, teachersCard)
	student = s.hold(n)
	before := len(s.all())
	for range n {
		id, err := s.sim.Submit(graphtest.JobSpec{Printer: pullID, User: teacherID})
		if err != nil {
			t.Fatal(err)
		}
		teacher = append(teacher, id)
	}
	s.await("jobs held", 10*time.Second, func() bool { return len(s.all()) == before+n })
	return s, student, teacher
}

// A visit is its owner's: the forms of its pages work once, at their device, and
// until another card is shown; the same card changes nothing.
func TestStationVisits(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s, student, teacher := two(t, 4)
		defer func() { s.end() }()
		all := append(append([]graphtest.JobID{}, student...), teacher...)
		c := s.screen()
		refused := func(what string, f url.Values, to ...string) {
			t.Helper()
			before := s.applied(all...)
			for _, to := range append(to, "release", "cancel") {
				c.post(to, f)
				if n := s.applied(all...) - before; n != 0 {
					t.Errorf("%s, %s: %d jobs moved", what, to, n)
				}
				c.sees("Please show your badge again", `name="badge"`, `href="/station/hq-2-west"`)
			}
		}
		c.badge(number)
		c.sees("Your jobs", "Print all 4")
		first := c.form()
		for range 3 { // one card that lies on the reader
			c.badge(number)
			c.sees("Your jobs", "Print all 4")
		}
		refused("the form of an earlier page", first)
		c.badge(number)
		left := c.form(student[0])
		c.badge(teachersCard)
		c.sees("Print all 4")
		mine := c.form()
		refused("the form of the person before", left)
		if n := s.applied(all...); n != 0 {
			t.Fatalf("%d jobs moved, and nobody pressed anything", n)
		}
		c.post("release", mine)
		c.sees("4 jobs are printing")
		if s.applied(student...) != 0 || s.applied(teacher...) != 4 {
			t.Errorf("student %d, teacher %d", s.applied(student...), s.applied(teacher...))
		}

		// Twice, and both at once: it is done once, and told both times.
		c.badge(number)
		one := c.form(student[0])
		c.post("release", one)
		c.sees("1 job is printing", "Print all 3")
		c.post("release", one)
		c.sees("1 job is printing", "Print all 3")
		at := c.form(student[1])
		other := *c
		var g sync.WaitGroup
		for _, c := range []*screen{c, &other} {
			g.Go(func() { c.post("cancel", at) })
		}
		g.Wait()
		c.sees("The job is deleted")
		other.sees("The job is deleted")
		if n := s.applied(student...); n != 2 {
			t.Errorf("%d jobs moved, want 2", n)
		}

		// Another form of a page that was used, an unknown card, late, and after leaving.
		c.badge(number)
		again := c.form(student[2])
		c.post("cancel", url.Values{"visit": again["visit"], "printer": {"p"}, "job": {"j"}})
		c.sees("can't be deleted", "Print all 2")
		c.post("release", again)
		if n := s.applied(student...); n != 2 {
			t.Errorf("%d jobs moved by a page that was used", n)
		}
		c.badge(number)
		f := c.form()
		c.badge("unknown")
		c.sees("No job is waiting for this badge")
		refused("after an unknown card", f)
		c.badge(number)
		f = c.form()
		pass(61 * time.Second)
		refused("late", f)
		c.badge(number)
		f = c.form()
		c.post("leave", f)
		c.sees("Show your badge", "Hold it to the reader")
		refused("after leaving", f)
		c.badge(number)
		f = c.form()
		f.Set("leave", "1")
		c.post("release", f) // as pages of an earlier version do
		c.sees("Hold it to the reader")

		// A card at another reader of the device ends the visit, too.
		c.badge(number)
		f = c.form()
		s.tap("unknown")
		refused("after a tap", f)

		// A visit outlives the process.
		c.badge(number)
		f = c.form(student[2])
		s.end()
		s = s.start(zap.NewNop())
		s.await("ready", time.Minute, func() bool { code, _ := s.get("/readyz"); return code == http.StatusOK })
		c.post("release", f)
		c.sees("1 job is printing")
		c.post("release", first)
		c.sees("Please show your badge again")
	})
}

// What a reader types while the browser has the old page stands behind what was
// typed before, or lacks its beginning.
func TestStationTypedAhead(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s, student, teacher := two(t, 2)
		defer s.end()
		c := s.screen()
		for i, typed := range []string{number + number, number + number + number, number + teachersCard, "x" + "x"} {
			c.badge(number)
			c.badge(typed)
			if i < 3 {
				c.sees("Print all 2")
			}
		}
		c.badge(number + number) // and the first request was never sent
		c.sees("Print all 2")
		c.badge(teachersCard)
		old := c.form()
		c.badge(teachersCard[2:])
		c.sees("Print all 2")
		c.post("release", old)
		c.sees("used already", "Print all 2")
		if n := s.applied(append(student, teacher...)...); n != 0 {
			t.Errorf("%d jobs moved", n)
		}
		c.post("release", c.form())
		c.sees("2 jobs are printing")
		// Without the page of the visit, the end of a number is a number.
		c.badge(number)
		c.get("")
		c.badge(number[5:])
		c.sees("No job is waiting for this badge")
	})
}

// Jobs that somebody may only release stand under their owner, and Print all
// leaves them.
func TestStationDelegated(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s, student, teacher := two(t, 2)
		defer s.end()
		body := fmt.Sprintf(`{"owner":%q,"to":%q,"expires":%q}`, teacherID, studentID, time.Now().Add(time.Hour).Format(time.RFC3339))
		if code := s.ask(adminToken, "PUT", "/v1/delegations", body, nil); code != http.StatusOK {
			t.Fatal(code)
		}
		if code := s.ask(adminToken, "PUT", "/v1/badges", fmt.Sprintf(`{"badge":%q,"owner":%q,"user_principal_name":"teacher@contoso.com"}`,
			teachersCard, teacherID), nil); code != http.StatusOK {
			t.Fatal(code)
		}
		c := s.screen()
		c.badge(number)
		c.sees("Your jobs", "Print all 2", "Jobs of teacher, who lets")
		own, _, others := strings.Cut(c.page, "<h2>Jobs of")
		if !others || strings.Count(own, ">Delete<") != 2 || strings.Count(c.page, ">Delete<") != 2 ||
			strings.Count(c.page, ">Print<") != 4 {
			t.Errorf("the lists are not apart:\n%s", c.page)
		}
		c.post("release", c.form())
		c.sees("2 jobs are printing", "Jobs of")
		if s.applied(student...) != 2 || s.applied(teacher...) != 0 {
			t.Errorf("own %d, others' %d", s.applied(student...), s.applied(teacher...))
		}
		c.post("release", c.form())
		c.sees("Nothing was waiting any more")
		c.post("cancel", c.form(teacher[0]))
		c.sees("can't be deleted")
		c.post("release", c.form(teacher[0]))
		c.sees("1 job is printing")
		if s.applied(teacher...) != 1 {
			t.Error("the job of the other was not let go")
		}
	})
}

// Each page of a station leads on: an error has a field for a badge and a link, an
// address of a form leads home, and a form from elsewhere is told what to do.
func TestStationLeadsHome(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.badges = ", entra_attribute: employeeId"
		o.install("embedded: {store_dir: nats, max_store: 256MiB}")
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		c := s.screen()
		o.refuse(http.StatusServiceUnavailable, "users.list", true)
		c.badge("E77")
		if c.status != http.StatusServiceUnavailable {
			t.Errorf("without a directory: %d", c.status)
		}
		c.sees(`name="badge"`, " autofocus", `href="/station/hq-2-west"`, `content="20; url=/station/hq-2-west"`)
		c.sees("please show your badge again in a few seconds")
		if strings.Contains(c.page, "the log") {
			t.Error("a person is sent to the log")
		}
		for _, path := range []string{"/jobs", "/release", "/cancel", "/leave"} {
			c.get(path)
			if c.status != http.StatusOK {
				t.Errorf("%s: %d", path, c.status)
			}
			c.sees("Hold it to the reader")
		}
		req, err := http.NewRequest(http.MethodPost, c.base()+"/jobs", strings.NewReader("badge=1"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", "http://elsewhere.example.com")
		c.take(c.client.Do(req))
		if c.status != http.StatusForbidden {
			t.Errorf("from elsewhere: %d", c.status)
		}
		c.sees(`href="/station/hq-2-west"`)
	})
}

// Times are those of the policy's zone.
func TestStationZone(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		s.end()
		s.write("policy.yaml", "zone: Asia/Tokyo\n")
		s = s.start(zap.NewNop())
		defer s.end()
		s.hold(1)
		c := s.screen()
		c.badge(number)
		tokyo := time.FixedZone("JST", 9*60*60)
		c.sees("sent " + time.Now().In(tokyo).Format("Mon 15:04"))
	})
}
