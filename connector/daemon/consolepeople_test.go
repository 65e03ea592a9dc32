package daemon_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// asked are the actions of one kind in the audit.
func (o *office) asked(action string) (list []apiclient.Action) {
	o.t.Helper()
	var out apiclient.ActionList
	if code := o.ask(adminToken, "GET", "/v1/audit?since=24h", "", &out); code != 200 {
		o.t.Fatalf("audit: %d", code)
	}
	for _, a := range out.Actions {
		if a.Action == action {
			list = append(list, a)
		}
	}
	return list
}

// The help desk makes one-time codes for what a person needs; the audit tells for what.
func TestConsoleCodes(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		desk := o.surfer()
		desk.load("/login", url.Values{"token": {adminToken}})
		codes := map[string]bool{}
		for _, c := range []struct{ form, purpose, title, link string }{
			{"", "", "Code for a new badge", "I have a code for a new badge"}, // a form without an id, and two
			{"", "", "Code for a new badge", "I have a code for a new badge"},
			{"one", "badge", "Code for a new badge", "I have a code for a new badge"},
			{"one", "badge", "Code for a new badge", "I have a code for a new badge"},
			{"two", "badge", "Code for a new badge", "I have a code for a new badge"},
			{"two", "pin", "Code to set a PIN", "I have a code from the help desk"},
			{"two", "visit", "Code to print once without a badge", "I have a code from the help desk"},
		} {
			_, text := desk.load("/people/"+studentID+"/code", url.Values{"form": {c.form}, "for": {c.purpose}})
			desk.says(text, []string{c.title, c.link, "No other page shows it"}, nil)
			codes[oneTimeCode.FindString(text)] = true
		}
		_, text := desk.load("/people/"+studentID+"/code", url.Values{"for": {"door"}})
		desk.says(text, []string{"for must be badge, visit or pin", "Make the code"}, nil)
		if a := o.asked("code"); len(codes) != 6 || len(a) != 6 || a[3].For != "" || a[4].For != "pin" || a[5].For != "visit" {
			t.Errorf("%d codes, in the audit %+v", len(codes), a)
		}
	})
}

// The help desk finds a person by name, sees what is theirs, and acts for a reason that the audit tells;
// without a reason nothing is done.
func TestConsolePerson(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.write("policy.yaml", quotaPolicy)
		o.peopleSignIn("http://" + o.admin())
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		b := o.enrol(studentID, "4711")
		held := s.hold(3)
		desk := o.surfer()
		desk.load("/login", url.Values{"token": {adminToken}})

		at, text := desk.load("/people?q=stud", nil)
		if at.Path != "/people/"+studentID {
			t.Errorf("the only one found is not led to: %s", at)
		}
		desk.says(text, []string{"student@contoso.com", "left of", b.ID, "Make the code", "Give or take"}, []string{"None yet"})
		_, text = desk.load("/people?q=nobody+at+all", nil)
		desk.says(text, []string{"No name begins with that"}, nil)
		_, text = desk.load("/people?q=nobody@contoso.com", nil)
		desk.says(text, []string{"a user name that Entra does not know"}, nil)

		person := "/people/" + studentID
		_, text = desk.load(person+"/revoke", url.Values{"badge": {b.ID}, "reason": {" "}})
		desk.says(text, []string{"Write a reason", "valid"}, []string{"revoked"})
		_, text = desk.load(person+"/revoke", url.Values{"reason": {"lost it"}})
		desk.says(text, []string{"Choose the badge", "valid"}, []string{"revoked"})
		_, text = desk.load("/people/"+teacherID+"/revoke", url.Values{"badge": {b.ID}, "reason": {"of another"}})
		desk.says(text, []string{"This person has none of this id"}, nil)
		_, text = desk.load(person+"/revoke", url.Values{"badge": {b.ID}, "reason": {"lost it"}})
		desk.says(text, []string{"The badge is revoked.", "revoked"}, nil)
		if a := o.asked("revoke"); len(a) != 2 || a[1].Note != "lost it" || a[1].Badge != b.ID || a[1].Owner != studentID ||
			a[1].Actor != "admin" || a[0].Owner != teacherID {
			t.Errorf("revoke: %+v", a)
		}
		_, text = desk.load(person+"/adjust", url.Values{"delta": {"many"}, "reason": {"exam"}})
		desk.says(text, []string{"Write how much is given"}, nil)
		_, text = desk.load(person+"/adjust", url.Values{"delta": {"7"}, "reason": {"exam"}})
		desk.says(text, []string{"The account is changed.", "adjusted by 7 pages"}, nil)
		if a := o.asked("adjust-quota"); len(a) != 1 || a[0].Note != "exam" || a[0].Account != studentID {
			t.Errorf("adjust: %+v", a)
		}
		_, text = desk.load(person+"/end-sessions", url.Values{"reason": {"lost phone"}})
		desk.says(text, []string{"signed out at every browser"}, nil)

		job := func(i int) string { return "/jobs/" + held[i].Printer + "/" + held[i].Job }
		_, text = desk.load("/jobs/bulk", url.Values{"job": {job(0)}, "verb": {"cancel"}, "person": {studentID}})
		desk.says(text, []string{"Write a reason"}, nil)
		_, text = desk.load("/jobs/bulk", url.Values{
			"job": {"what", job(0), job(0), "/jobs/" + pullID + "/99"}, "verb": {"cancel"}, "reason": {"moved out"},
		})
		desk.says(text, []string{held[0].Job + " canceled", "99 There is no such job"}, nil)
		_, text = desk.load("/jobs/bulk", url.Values{
			"job": {job(1)}, "verb": {"release"}, "device": {"hq-2-west"}, "reason": {"broken reader"},
		})
		desk.says(text, []string{held[1].Job + " released"}, nil)
		if a := o.asked("release"); len(a) != 1 || a[0].Note != "broken reader" || a[0].Device != "hq-2-west" {
			t.Errorf("release: %+v", a)
		}
		if a := o.asked("cancel"); len(a) != 1 || a[0].Note != "moved out" {
			t.Errorf("cancel: %+v", a)
		}
		_, text = desk.load("/audit", nil)
		desk.says(text, []string{"lost it", "exam", "broken reader", "student", "adjust-quota", b.ID}, []string{"4711"})
		_, text = desk.load("/badges", nil)
		desk.says(text, []string{b.ID, "student", "revoked"}, []string{"4711"})
	})
}

// A shared account has a page with what is left, what happened on it and why; that of a person leads to
// the person.
func TestConsoleAccounts(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.write("policy.yaml", officePolicy+`allowances: [{name: lab, when: "true", account: center/lab, pages: 100, every: month}]`+"\n")
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		desk := o.surfer()
		desk.load("/login", url.Values{"token": {adminToken}})
		_, text := desk.load("/accounts", nil)
		desk.says(text, []string{"center.lab", "100 pages left of 100 pages"}, nil)
		_, text = desk.load("/accounts/center.lab/adjust", url.Values{"delta": {"-5"}, "reason": {"misprint"}})
		desk.says(text, []string{"The account is changed.", "95 pages left of 100 pages", "misprint", "adjust"}, nil)
		_, text = desk.load("/accounts/center.lab/adjust", url.Values{"delta": {"-5"}})
		desk.says(text, []string{"Write a reason", "95 pages left"}, nil)
		_, text = desk.load("/policy", nil)
		desk.says(text, []string{"too-many", "job.copies > 50", "copies.too-many", "lab allowance"}, nil)
		desk.says(text, []string{"Settings in force", "release.remotefalse", "devices[hq-2-west].queuesFollow-Me"}, []string{"_file"})
		_, text = desk.load("/accounts/"+studentID, nil)
		desk.says(text, []string{"There is no such account"}, nil)
		_, text = desk.load("/audit?since=1h", nil)
		desk.says(text, []string{"account center.lab", "misprint"}, nil)
	})
}

// What is wrong stands at the top of the console; what is well is behind a line.
func TestConsoleTellsOfHealth(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		desk := s.surfer()
		desk.load("/login", url.Values{"token": {adminToken}})
		_, text := desk.load("/", nil)
		if top, _, _ := strings.Cut(text, "checks are well"); strings.Contains(top, "graph") {
			t.Errorf("wrong while all is well:\n%s", top)
		}
		s.write("policy.yaml", "rules: [")
		s.refuse(503, graphtest.OpToken, false)
		time.Sleep(10 * time.Minute)
		_, text = desk.load("/", nil)
		top, _, _ := strings.Cut(text, "checks are well")
		desk.says(top, []string{"graph ", "policy the file has changed and is refused", "sweep"}, nil)
	})
}

// oneTimeCode is a code for a badge on a page.
var oneTimeCode = regexp.MustCompile(`[B-Z2-9]{4}-[B-Z2-9]{4}`)
