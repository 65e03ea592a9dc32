package daemon_test

import (
	"net/http"
	"strings"
	"testing"

	"go.uber.org/zap"

	"pullprint/connector/access"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// An administrator ends the sessions of a person at every browser, and of nobody else; again does no
// harm. The audit says of whom and why. Whom nobody knows is refused, and nothing is audited.
func TestEndSessions(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.peopleSignIn("http://" + o.admin())
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		phone, desk, teacher := o.surfer(), o.surfer(), o.surfer()
		phone.signIn(studentID, "/me")
		desk.signIn(studentID, "/me")
		teacher.signIn(teacherID, "/me")
		for range 2 {
			var done apiclient.SessionsEnded
			code := s.ask(adminToken, "POST", "/v1/people/student@contoso.com/end-sessions", `{"note":"phone stolen"}`, &done)
			if code != http.StatusOK || done.User != studentID {
				t.Fatalf("%d %+v", code, done)
			}
			for _, v := range []*surfer{phone, desk} {
				_, text := v.load("/me", nil)
				v.says(text, []string{"Sign in with your account"}, []string{"Waiting for you"})
			}
		}
		_, text := teacher.load("/me", nil)
		teacher.says(text, []string{"Waiting for you"}, nil)
		phone.says(phone.signIn(studentID, "/me"), []string{"Waiting for you"}, nil)
		acts := s.actions()
		last := acts[len(acts)-1]
		if last.Action != "end-sessions" || last.Owner != studentID || last.Note != "phone stolen" || last.Actor != access.AdminName {
			t.Errorf("audited as %+v", last)
		}
		const nobody = "/v1/people/99999999-2222-4333-8444-555555555555/end-sessions"
		for body, want := range map[string]int{
			`{"note":"a\nb"}`: http.StatusBadRequest, `{"why":"x"}`: http.StatusBadRequest, `{}`: http.StatusNotFound,
			`{"note":"` + strings.Repeat("x", 201) + `"}`: http.StatusBadRequest,
		} {
			if code := s.ask(adminToken, "POST", nobody, body, nil); code != want {
				t.Errorf("%s: %d, want %d", body, code, want)
			}
		}
		if after := s.actions(); len(after) != len(acts) {
			t.Errorf("audited what was refused: %+v", after[len(acts):])
		}
	})
}
