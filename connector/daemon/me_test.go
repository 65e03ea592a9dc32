package daemon_test

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/daemon"
	"pullprint/connector/privacy"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// peopleSignIn lets people sign in at the next daemon, whose pages are at a URL.
func (o *office) peopleSignIn(url string) {
	o.t.Helper()
	file := filepath.Join(o.dir, "config.yaml")
	src, err := os.ReadFile(file)
	if err != nil {
		o.t.Fatal(err)
	}
	o.write("config.yaml", string(src)+"sign_in: {public_url: \""+url+"\", roles: {admin: [pullprint.admin]}}\n")
}

// surfer is a person with a browser: the simulator answers for Entra, the daemon for the rest.
type surfer struct {
	*office
	client *http.Client
}

func (o *office) surfer() *surfer {
	o.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		o.t.Fatal(err)
	}
	ours := o.net.transport()
	o.t.Cleanup(ours.CloseIdleConnections)
	return &surfer{o, &http.Client{Jar: jar, Transport: roundTrips(func(req *http.Request) (*http.Response, error) {
		if req.URL.Host == graphAddr {
			return o.sim.Transport().RoundTrip(req)
		}
		return ours.RoundTrip(req)
	})}}
}

type roundTrips func(*http.Request) (*http.Response, error)

func (fn roundTrips) RoundTrip(req *http.Request) (*http.Response, error) { return fn(req) }

var pageTags = regexp.MustCompile(`<[^>]*>`)

// load loads an address, or sends a form to it, and returns where that led and the text of the page.
func (s *surfer) load(address string, form url.Values) (at *url.URL, text string) {
	s.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = "http://" + s.admin() + address
	}
	res, err := s.client.Get(address)
	if form != nil {
		if err == nil {
			_ = res.Body.Close()
		}
		res, err = s.client.PostForm(address, form)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.Request.URL, html.UnescapeString(pageTags.ReplaceAllString(string(body), ""))
}

// signIn signs a person in and returns the page that they come to.
func (s *surfer) signIn(person, then string) string {
	s.t.Helper()
	at, _ := s.load("/auth/sign-in?choose=1&then="+url.QueryEscape(then), nil)
	_, text := s.load(at.String(), url.Values{"user": {person}})
	return text
}

// says fails unless a page has some words, and none of others.
func (s *surfer) says(text string, words, none []string) {
	s.t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			s.t.Errorf("the page does not say %q:\n%s", w, text)
		}
	}
	for _, w := range none {
		if strings.Contains(text, w) {
			s.t.Errorf("the page says %q:\n%s", w, text)
		}
	}
}

// A person's own page shows what waits for them with its title and cost, what is left, and what became
// of the rest and why; they delete what they don't want. Nobody sees or deletes another's.
func TestOwnPage(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.write("policy.yaml", quotaPolicy)
		o.peopleSignIn("http://" + o.admin())
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		held := s.hold(2)
		if _, err := o.sim.Submit(graphtest.JobSpec{Printer: pullID, User: teacherID, Name: "Salaries.pdf"}); err != nil {
			t.Fatal(err)
		}
		pass(30 * time.Second)
		student, teacher := o.surfer(), o.surfer()
		student.says(student.signIn(studentID, "/me"), []string{
			"student@contoso.com", "Waiting for you", "kept until", "What is left", "left of", "Your last jobs",
		}, []string{"Salaries", "No job of your own"})
		ask := "/me/jobs/" + held[0].Printer + "/" + held[0].Job + "/cancel"
		_, text := student.load(ask, nil)
		student.says(text, []string{"Delete this job?", "will not be printed"}, nil)
		teacher.signIn(teacherID, "/me")
		_, text = teacher.load(ask, nil)
		teacher.says(text, []string{"no longer waiting"}, nil)
		_, text = teacher.load(ask, url.Values{})
		teacher.says(text, []string{"no longer waiting"}, nil)
		if j, _ := o.sim.Job(held[0]); j.Effects.Applied() != 0 {
			t.Error("another person deleted a job")
		}
		at, text := student.load(ask, url.Values{})
		if at.Path != "/me" {
			t.Errorf("after deleting at %s", at)
		}
		student.says(text, []string{"The job is deleted", "deleted by you"}, []string{"not printed", "canceled.by-owner"})
		_, text = student.load(ask, url.Values{})
		student.says(text, []string{"no longer waiting"}, nil)
		_, trace := student.load("/jobs/"+held[0].Printer+"/"+held[0].Job, nil)
		student.says(trace, []string{"may not use the console"}, nil)
		for _, d := range s.all() {
			if d.Job == held[0].Job && d.Reason == "canceled.by-owner" && d.Asked != "sign-in" {
				t.Errorf("the decision says that it was asked by %q", d.Asked)
			}
		}
	})
}

// What is stored of a person who signed in and out is told by an export and gone after an erasure, and so
// are they at their browser.
func TestEraseOfSignedIn(t *testing.T) {
	racetest.Skip(t, "one person after the other")
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.peopleSignIn("http://" + o.admin())
		var state privacy.KV
		o.tune = func(d *daemon.Options) { d.Opened = func(b *bus.Bus) { state = b.State() } }
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		student := o.surfer()
		student.signIn(studentID, "/me")
		student.load("/auth/sign-out", url.Values{})
		student.says(student.signIn(studentID, "/me"), []string{"Waiting for you"}, nil)
		stored := func() (keys []string) {
			err := state.Each(t.Context(), ">", func(key string, value []byte, _ uint64) error {
				if strings.Contains(key+string(value), studentID) {
					keys = append(keys, key)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return keys
		}
		if keys := stored(); len(keys) != 2 {
			t.Errorf("stored under %q", keys)
		}
		var p privacy.Person
		if code := s.ask(adminToken, "POST", "/v1/people/"+studentID+"/export", "", &p); code != http.StatusOK {
			t.Errorf("export: %d", code)
		}
		if code := s.ask(adminToken, "POST", "/v1/people/"+studentID+"/erase", `{"cancel_held":true}`, nil); code != http.StatusOK {
			t.Errorf("erase: %d", code)
		}
		if keys := stored(); len(keys) != 0 {
			t.Errorf("left under %q", keys)
		}
		_, text := student.load("/me", nil)
		student.says(text, []string{"Sign in with your account"}, []string{"Waiting for you"})
	})
}
