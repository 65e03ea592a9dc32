package daemon_test

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/evaluate"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// A filter of the console that nothing can match says what is wrong with it, and a token that
// was pasted with what stood around it signs in, at a station, too.
func TestConsoleFilters(t *testing.T) {
	racetest.Skip(t, "one page after the other")
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		job := s.hold(1)[0].Job
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: s.net.transport(), Jar: jar}
		page := func(res *http.Response, err error) string {
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			text, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != http.StatusOK {
				t.Errorf("%d %v", res.StatusCode, err)
			}
			return html.UnescapeString(string(text))
		}
		base := "http://" + s.admin()
		page(client.PostForm(base+"/login", url.Values{"token": {" " + adminToken + " \n"}}))
		page(client.PostForm(base+"/station/hq-2-west/login", url.Values{"token": {"\t" + readerToken + "\r\n"}}))

		row := `">` + job + `</small></td><td data-label="Queue">Follow-Me</td><td data-label="State">`
		for query, want := range map[string]string{
			"owner=student":                   "Owner must be an Entra object ID (a GUID) or a user name like anna@contoso.com",
			"owner=nobody@contoso.com":        "Owner is a user name that Entra does not know",
			"queue=Folow-Me":                  `There is no such queue. Did you mean "Follow-Me"?`,
			"state=heldd":                     "state must be one of held, releasing",
			"printer=" + pullID:               "unknown parameter; known here: owner, queue, state, live",
			"owner=%20Student@contoso.com%20": "",
			"queue=follow-me":                 "",
			"state=":                          "",
		} {
			text := page(client.Get(base + "/?" + query))
			if strings.Contains(text, row) != (want == "") || !strings.Contains(text, want) {
				t.Errorf("%s: want %q and the job: %v:\n%s", query, want, want == "", text)
			}
		}
	})
}

// Delegations can be listed for one person, whoever is named and how.
func TestDelegationsOf(t *testing.T) {
	racetest.Skip(t, "one request after the other")
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		third := s.sim.AddUser(graphtest.User{UPN: "third@contoso.com"}).ID
		until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		for _, pair := range [][2]string{{studentID, teacherID}, {teacherID, studentID}, {studentID, third}} {
			body := `{"owner": "` + pair[0] + `", "to": "` + pair[1] + `", "expires": "` + until + `"}`
			if code := s.ask(adminToken, "PUT", "/v1/delegations", body, nil); code != http.StatusOK {
				t.Fatal(code)
			}
		}
		for query, want := range map[string]int{
			"": 3, "owner=student@contoso.com": 2, "owner=" + strings.ToUpper(studentID): 2, "to=" + third: 1,
			"owner=" + teacherID + "&to=" + third: 0, "to=teacher@contoso.com&owner=" + studentID: 1,
		} {
			var out struct{ Delegations []struct{} }
			if code := s.ask(adminToken, "GET", "/v1/delegations?"+query, "", &out); code != http.StatusOK ||
				len(out.Delegations) != want {
				t.Errorf("%s: %d, %d delegations, want %d", query, code, len(out.Delegations), want)
			}
		}
		for _, query := range []string{"owner=nobody@contoso.com", "to=jdoe", "ower=" + studentID} {
			if code := s.ask(adminToken, "GET", "/v1/delegations?"+query, "", nil); code/100 != 4 {
				t.Errorf("%s: %d", query, code)
			}
		}
	})
}

// The account of an object id that nobody has is not a failure of the service.
func TestAccountOfNobody(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		for id, nobodys := range map[string]bool{"99999999-2222-4333-8444-555555555555": true, studentID: false} {
			var out evaluate.AccountStatus
			if code := s.ask(adminToken, "GET", "/v1/quotas/"+id, "", &out); code != http.StatusOK || out.NoUser != nobodys {
				t.Errorf("%s: %d %+v", id, code, out)
			}
		}
	})
}

// Each page of the console that says no leads back, also for who may only read; and a station
// that could not be set up lets try again.
func TestConsoleLeadsBack(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		job := s.hold(1)[0]
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: s.net.transport(), Jar: jar}
		base := "http://" + s.admin()
		sees := func(what string, res *http.Response, err error, texts ...string) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range texts {
				if !strings.Contains(html.UnescapeString(string(body)), text) {
					t.Errorf("%s: without %q:\n%s", what, text, body)
				}
			}
		}
		const back = `<a class="button" href="/">To the console</a>`
		res, err := client.PostForm(base+"/login", url.Values{"token": {adminToken}})
		sees("signed in", res, err, "Print jobs")
		res, err = client.Get(base + "/jobs/" + pullID + "/99")
		sees("no such job", res, err, "There is no such job", back)
		res, err = client.PostForm(base+"/jobs/"+pullID+"/99/cancel", url.Values{})
		sees("cancel no such job", res, err, "There is no such job", back)
		res, err = client.Get(base + "/jobs/" + job.Printer + "/" + job.Job)
		sees("a job", res, err, "Trace")
	})
}

// Whoever lets another print is named as in Entra, also when no badge tells it.
func TestStationNamesWhoLets(t *testing.T) {
	racetest.Skip(t, "one page after the other")
	bustest.Virtual(t, func(t *testing.T) {
		s, _, _ := two(t, 1)
		defer s.end()
		until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		body := `{"owner": "` + teacherID + `", "to": "` + studentID + `", "expires": "` + until + `"}`
		if code := s.ask(adminToken, "PUT", "/v1/delegations", body, nil); code != http.StatusOK {
			t.Fatal(code)
		}
		c := s.screen()
		c.badge(number)
		c.sees("Jobs of teacher, who lets you print them")
		s.refuse(http.StatusServiceUnavailable, "users.get", true)
		pass(2 * time.Minute)
		c.get("")
		c.badge(number)
		c.sees("Your jobs", "Jobs of ", ", who lets you print them")
	})
}
