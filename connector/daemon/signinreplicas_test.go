package daemon_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// behind has a surfer reach a replica at the public address of all of them, as a load balancer does.
func (s *surfer) behind(public string, replica func(path string) *office) {
	ours := s.client.Transport
	s.client.Transport = roundTrips(func(req *http.Request) (*http.Response, error) {
		if req.URL.Host != public {
			return ours.RoundTrip(req)
		}
		to := req.Clone(req.Context())
		to.Host, to.URL.Host = req.URL.Host, replica(req.URL.Path).admin()
		res, err := ours.RoundTrip(to)
		if res != nil {
			res.Request = req
		}
		return res, err
	})
}

// With the external store of two replicas, each goes on with a sign-in that was begun at the other, knows
// who signed in there, confirms it, and no longer knows who signed out.
func TestSignInAtReplicas(t *testing.T) {
	o := newOffice(t, graphtest.Calm())
	nats, public := `url: "`+bustest.External(t)+`"`, "127.0.0.1:8900"
	var replicas []*office
	for _, metrics := range []string{"127.0.0.1:9465", "127.0.0.1:9466"} {
		r := o.replica(metrics, nats)
		r.peopleSignIn("http://" + public)
		s := r.start(zap.NewNop())
		defer s.end()
		s.await("ready", 20*time.Second, func() bool { code, _ := s.get("/readyz"); return code == 200 })
		replicas = append(replicas, r)
	}
	turn := 0
	student := o.surfer()
	student.behind(public, func(path string) *office {
		switch turn++; path { // what is begun at the first is finished at the second, all else by turns
		case "/auth/sign-in":
			return replicas[0]
		case "/auth/callback":
			return replicas[1]
		}
		return replicas[turn%2]
	})
	page := func(path string, form url.Values) string {
		_, text := student.load("http://"+public+path, form)
		return text
	}
	at, _ := student.load("http://"+public+"/auth/sign-in?choose=1&then=/me", nil)
	_, text := student.load(at.String(), url.Values{"user": {studentID}})
	student.says(text, []string{"student@contoso.com", "Waiting for you"}, nil)
	for range 4 {
		student.says(page("/me", nil), []string{"student@contoso.com"}, nil)
	}
	if text := page("/auth/sign-in?silent=1&then=/me", nil); !strings.Contains(text, "student@contoso.com") {
		t.Errorf("not confirmed:\n%s", text)
	}
	page("/auth/sign-out", url.Values{})
	for range 2 {
		student.says(page("/me", nil), []string{"Sign in with your account"}, []string{"Waiting for you"})
	}
}
