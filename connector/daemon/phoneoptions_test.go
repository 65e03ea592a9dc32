package daemon_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

var (
	optionsLink = regexp.MustCompile(`href="(/at/[^"]*/options[^"]*)"`)
	optionForm  = regexp.MustCompile(`(?s)<form method="post" action="([^"]*)">(.*?)</form>`)
	optionField = regexp.MustCompile(`type="hidden" name="([^"]*)" value="([^"]*)"`)
)

// openOptions opens the page of the first job.
func (b *byPhone) openOptions() {
	b.t.Helper()
	m := optionsLink.FindStringSubmatch(b.html)
	if m == nil {
		b.t.Fatalf("no options:\n%s", b.html)
	}
	if code := b.fetch(http.MethodGet, html.UnescapeString(m[1]), nil); code != http.StatusOK {
		b.t.Fatalf("options: %d", code)
	}
}

// option is the form of the page whose button has a text.
func (b *byPhone) option(text string) (action string, form url.Values) {
	b.t.Helper()
	for _, m := range optionForm.FindAllStringSubmatch(b.html, -1) {
		if !strings.Contains(m[2], text) {
			continue
		}
		form = url.Values{}
		for _, f := range optionField.FindAllStringSubmatch(m[2], -1) {
			form.Add(f[1], html.UnescapeString(f[2]))
		}
		return html.UnescapeString(m[1]), form
	}
	b.t.Fatalf("no button %q:\n%s", text, b.html)
	return "", nil
}

// A person chooses on the phone how a job is printed, as at a station, with what it costs.
func TestPhoneOptions(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := withPhones(t)
		defer s.end()
		ref := s.print(graphtest.JobSpec{
			Printer: pullID, Name: "Minutes.pdf", Pages: 4, Color: true, Copies: 3,
		})
		s.await("it is held", 10*time.Second, func() bool { return len(s.all()) == 1 })
		b := s.at("hq-2-west")
		b.enter(studentID)
		_, mine := b.load("/me", nil)
		b.says(mine, []string{"Or scan the code at a printer with your phone"}, []string{"/me/print"})
		b.openOptions()
		b.sees([]string{
			"Minutes.pdf", "Print in black and white", "Print on both sides", "Print one copy", "Delete", "Back",
			"Print one copy in black and white, on both sides",
		}, nil)
		action, form := b.option(">Print one copy in black and white, on both sides<")
		b.fetch(http.MethodPost, action, form)
		b.sees([]string{"1 job is printing"}, nil)
		was, _ := s.sim.Job(ref)
		now, _ := s.sim.Job(was.RedirectedTo)
		sent := now.Configuration
		if sent.ColorMode != "grayscale" || sent.DuplexMode != "flipOnLongEdge" || sent.Copies != 1 {
			t.Errorf("printed as %+v", sent)
		}
		b.fetch(http.MethodGet, action, nil) // leads to all jobs
		b.sees([]string{"No job of your own is waiting"}, nil)
	})
}

// A person deletes a job of their own on the phone, once, and nobody else's.
func TestPhoneDelete(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := withPhones(t)
		defer s.end()
		first := s.hold(1)[0]
		b := s.at("hq-2-west")
		b.enter(studentID)
		b.openOptions()
		action, form := b.option("Delete")
		other := s.at("hq-2-west")
		other.enter(teacherID)
		other.fetch(http.MethodPost, action, form)
		other.sees([]string{"can't be deleted any more"}, []string{"is deleted"})
		if code := b.fetch(http.MethodPost, action, form); code != http.StatusOK {
			t.Errorf("%d", code)
		}
		b.sees([]string{"The job is deleted", "No job of your own is waiting"}, nil)
		b.fetch(http.MethodPost, action, form)
		b.sees([]string{"can't be deleted any more"}, []string{"is deleted"})
		var asked []string
		for _, d := range s.all() {
			if d.Job == first.Job && d.Point == "release" {
				asked = append(asked, string(d.Asked)+" "+d.Reason)
			}
		}
		if len(asked) != 1 || asked[0] != "phone canceled.by-owner" {
			t.Errorf("decisions %q", asked)
		}
		b.openGone(action)
	})
}

// openGone opens the options of a job that has come to its end.
func (b *byPhone) openGone(cancel string) {
	b.t.Helper()
	address := strings.Replace(cancel, "/cancel?", "/options?", 1)
	for _, job := range []string{"", "&job=x", "&job=" + url.QueryEscape("p 1")} {
		b.fetch(http.MethodGet, address+job, nil)
		b.sees([]string{"That job does not wait any more"}, []string{"Delete"})
	}
}
