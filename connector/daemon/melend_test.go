package daemon_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// A person lets a colleague print for them, whom they find by name, and ends it. Both see it on their pages,
// and the audit has both by the person. Of others nothing is shown but their names, and few of them.
func TestLendJobs(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		const carlID = "7d1b2c3e-0000-4a6b-8c7d-9e0f1a2b3c01"
		o.sim.AddUser(graphtest.User{ID: carlID, UPN: "carl@contoso.com", DisplayName: "Carl Colleague", EmployeeID: "4711"})
		for i := range 12 {
			o.sim.AddUser(graphtest.User{
				ID: fmt.Sprintf("7d1b2c3e-0000-4a6b-8c7d-9e0f1a2b3d%02d", i), UPN: fmt.Sprintf("many%02d@contoso.com", i),
				DisplayName: fmt.Sprintf("Many \u202e%02d", i),
			})
		}
		o.peopleSignIn("http://" + o.admin())
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		student, carl := o.surfer(), o.surfer()
		student.says(student.signIn(studentID, "/me"), []string{"Nobody else may print your jobs"}, []string{"You may print for"})
		find := func(name string) string {
			_, text := student.load("/me/lend/find", url.Values{"name": {name}})
			return text
		}
		student.says(find("Carl"), []string{"Carl Colleague", "carl@contoso.com", "8 hours", "31 days"}, []string{"4711", "There are more"})
		student.says(find("Many"), []string{"Many 07", "There are more"}, []string{"Many 08", "\u202e"})
		student.says(find("Zacharias"), []string{"No name begins with that"}, nil)
		student.says(find("Ma"), []string{"at least three letters"}, []string{"Many"})
		student.says(find("' or 1"), []string{"No name begins"}, nil)
		lend := func(to, hours string) string {
			_, text := student.load("/me/lend", url.Values{"to": {to}, "hours": {hours}})
			return text
		}
		for _, wrong := range [][2]string{
			{studentID, "8"}, {carlID, "9"}, {carlID, "9999999"}, {"", "8"}, {"7d1b2c3e-0000-4a6b-8c7d-9e0f1a2b3cff", "8"},
		} {
			student.says(lend(wrong[0], wrong[1]), []string{"Find your colleague, and choose for how long"}, nil)
		}
		text := lend(carlID, "744")
		student.says(text, []string{"Your colleague may print your jobs now", "Carl Colleague", "carl@contoso.com"}, nil)
		if n := strings.Count(text, "Carl Colleague"); n != 1 {
			t.Errorf("the colleague is listed %d times", n)
		}
		carl.says(carl.signIn(carlID, "/me"), []string{"You may print for", "student@contoso.com", "Nobody else may print your jobs"}, nil)
		for i := range 9 {
			lend(fmt.Sprintf("7d1b2c3e-0000-4a6b-8c7d-9e0f1a2b3d%02d", i), "24")
		}
		student.says(lend("7d1b2c3e-0000-4a6b-8c7d-9e0f1a2b3d11", "8"), []string{"Ten people may print for you already"}, nil)
		student.says(lend(carlID, "8"), []string{"Your colleague may print your jobs now"}, nil)
		_, text = carl.load("/me/lend/end", url.Values{"to": {carlID}}) // theirs, not the student's
		carl.says(text, []string{"You may print for"}, nil)
		student.load("/me/lend/end", url.Values{"to": {teacherID}}) // who may not print for the student
		_, text = student.load("/me/lend/end", url.Values{"to": {carlID}})
		student.says(text, []string{"may no longer print your jobs"}, []string{"Carl"})
		_, text = carl.load("/me", nil)
		carl.says(text, nil, []string{"You may print for"})
		var audit apiclient.ActionList
		s.ask(adminToken, "GET", "/v1/audit", "", &audit)
		var said []string
		for _, a := range audit.Actions {
			if a.To == carlID || a.To == teacherID {
				said = append(said, strings.Join([]string{a.Action, a.Actor, a.Owner}, " "))
			}
		}
		slices.Sort(said)
		want := []string{
			"delegate " + studentID + " " + studentID, "delegate " + studentID + " " + studentID,
			"undelegate " + studentID + " " + studentID, // nothing of what carl asked for, who lent nothing
		}
		slices.Sort(want)
		if !slices.Equal(said, want) {
			t.Errorf("the audit says %q, want %q", said, want)
		}
	})
}

// Whoever searches again and again comes to an end of it, for an hour.
func TestSearchesAreLimited(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.peopleSignIn("http://" + o.admin())
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		student := o.surfer()
		student.signIn(studentID, "/me")
		find := func() string {
			_, text := student.load("/me/lend/find", url.Values{"name": {"Zacharias"}})
			return text
		}
		for range 30 {
			student.says(find(), []string{"No name begins"}, nil)
		}
		student.says(find(), []string{"You have searched too often"}, nil)
		teacher := o.surfer()
		teacher.signIn(teacherID, "/me")
		_, text := teacher.load("/me/lend/find", url.Values{"name": {"Zacharias"}})
		teacher.says(text, []string{"No name begins"}, nil)
		pass(time.Hour)
		student.signIn(studentID, "/me")
		student.says(find(), []string{"No name begins"}, nil)
	})
}

// However many are lent to at once, no more than ten may print, and who is refused is told.
func TestLendAtOnce(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		id := func(i int) string { return fmt.Sprintf("7d1b2c3e-0000-4a6b-8c7d-9e0f1a2b3d%02d", i) }
		for i := range 14 {
			o.sim.AddUser(graphtest.User{ID: id(i), UPN: fmt.Sprintf("many%02d@contoso.com", i)})
		}
		o.peopleSignIn("http://" + o.admin())
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		student := o.surfer()
		student.signIn(studentID, "/me")
		lend := func(i int) string {
			_, text := student.load("/me/lend", url.Values{"to": {id(i)}, "hours": {"8"}})
			return text
		}
		for i := range 8 {
			student.says(lend(i), []string{"may print your jobs now"}, nil)
		}
		var all sync.WaitGroup
		var refused atomic.Int64
		for i := 8; i < 14; i++ {
			all.Go(func() {
				if strings.Contains(lend(i), "Ten people may print for you already") {
					refused.Add(1)
				}
			})
		}
		all.Wait()
		_, text := student.load("/me", nil)
		may := int64(0)
		for i := range 14 {
			if strings.Contains(text, fmt.Sprintf("many%02d@", i)) {
				may++
			}
		}
		if may > 10 || may != 14-refused.Load() {
			t.Errorf("%d may print, %d were refused", may, refused.Load())
		}
	})
}
