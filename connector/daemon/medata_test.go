package daemon_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/privacy"
	"pullprint/trigger/graph/graphtest"
)

// data is the answer to a person who asks for their own data.
func (s *surfer) data() (*http.Response, []byte) {
	s.t.Helper()
	res, err := s.client.Get("http://" + s.admin() + "/me/data")
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res, body
}

// A person downloads what is stored about them, and about nobody else. The audit has it first: the file itself
// tells of it.
func TestOwnData(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.peopleSignIn("http://" + o.admin())
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		s.hold(2)
		// Among what is lent stands the session, too.
		s.ask(adminToken, "PUT", "/v1/delegations", fmt.Sprintf(
			`{"owner":%q,"to":%q,"expires":%q}`, teacherID, studentID, time.Now().Add(time.Hour).Format(time.RFC3339)), nil)
		student, teacher := o.surfer(), o.surfer()
		student.says(student.signIn(studentID, "/me"), []string{"What is stored about you"}, nil)
		res, body := student.data()
		if h := res.Header; res.StatusCode != http.StatusOK || h.Get("Content-Type") != "application/json" ||
			!strings.HasPrefix(h.Get("Content-Disposition"), "attachment;") || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", res.Status, h)
		}
		var got privacy.Person
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		if got.User != studentID || len(got.Jobs) != 2 || len(got.Decisions) == 0 || len(got.Delegations) != 2 {
			t.Errorf("exported %s", body)
		}
		if n := len(got.Audit); n == 0 || !strings.Contains(string(got.Audit[n-1]), `"export-person","actor":"`+studentID) ||
			!strings.Contains(string(got.Audit[n-1]), `"owner":"`+studentID) {
			t.Errorf("audit %s", got.Audit)
		}
		if strings.Contains(string(body), teacherID) {
			t.Errorf("it tells of another: %s", body)
		}
		if res, body := student.data(); res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") != "60" {
			t.Errorf("at once again: %s %s", res.Status, body)
		}
		teacher.signIn(teacherID, "/me")
		if res, body := teacher.data(); res.StatusCode != http.StatusOK || !strings.Contains(string(body), `"jobs":[]`) {
			t.Errorf("another person: %s %s", res.Status, body)
		}
		pass(time.Minute)
		if res, body := student.data(); res.StatusCode != http.StatusOK {
			t.Errorf("a minute later: %s %s", res.Status, body)
		}
	})
}
