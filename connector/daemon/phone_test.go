package daemon_test

import (
	"net/http"
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

// A person scans the sheet at a printer, signs in once, and prints there what they choose: once, however
// often a form comes, with the same decisions as by badge, which say that it was by phone and where. The page
// tells what is on its way until it has printed.
func TestPhone(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := withPhones(t)
		defer s.end()
		first := s.print(graphtest.JobSpec{Printer: pullID, Name: "Minutes.pdf", Pages: 2})
		s.await("it is held", 10*time.Second, func() bool { return len(s.all()) == 1 })
		rest := s.hold(3)
		b := s.at("hq-2-west")
		if code := b.scan(); code != http.StatusUnauthorized {
			t.Errorf("signed out: %d", code)
		}
		b.sees([]string{"HQ, 2nd floor (hq-2-west)", "Sign in"}, []string{"Minutes"})
		b.enter(studentID)
		b.sees([]string{
			"HQ, 2nd floor (hq-2-west)", "student@contoso.com", "Minutes.pdf", "kept until",
			"Print here", "Print all 4",
		}, nil)
		action, form := b.form(false)
		for i := range 3 {
			if code := b.fetch(http.MethodPost, action, form); code != http.StatusOK {
				t.Errorf("form %d: %d", i, code)
			}
			b.sees([]string{"1 job is printing", "Minutes.pdf", "Print all 3"}, []string{"Nothing was printed"})
		}
		if n := s.applied(first); n != 1 || s.applied(rest...) != 0 {
			t.Errorf("printed %d times, and %d others", n, s.applied(rest...))
		}
		b.press(true)
		b.sees([]string{"3 jobs are printing", "No job of your own is waiting"}, []string{"Print here"})
		if n := s.applied(rest...); n != 3 {
			t.Errorf("%d of 3 printed", n)
		}
		pass(20 * time.Second)
		b.fetch(http.MethodPost, action, form) // Graph has seen it printed, and pullprint not yet
		b.sees([]string{"1 job is printing", "The printer has it.", "Printed."}, []string{"Nothing was printed"})
		pass(2 * time.Minute)
		b.scan()
		b.sees([]string{"Printed."}, []string{"Sent to the printer", `http-equiv="refresh"`})
		b.fetch(http.MethodPost, action, form)
		b.sees([]string{"Printed."}, []string{"is printing", "Nothing was printed"})
		for _, d := range s.all() {
			if d.Job == first.Job && d.Point == "release" &&
				(d.Asked != "phone" || d.Device != "hq-2-west" || d.Owner != studentID) {
				t.Errorf("the decision says %q at %q of %q", d.Asked, d.Device, d.Owner)
			}
		}
		pass(15 * time.Minute)
		b.scan() // Entra confirms the person on the way
		b.sees([]string{"No job of your own is waiting"}, []string{"Printed."})
	})
}

// No link opens a page but that of the device's present sheet, and each that does not says what to do.
func TestPhoneLinks(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := withPhones(t)
		defer s.end()
		ids := s.hold(1)
		b := s.at("hq-2-west")
		b.enter(studentID)
		action, form := b.form(false)
		k := b.link[strings.Index(b.link, "k=")+2:]
		old := b.link
		const home, east = "/at/hq-2-west?k=", "/at/hq-2-east?k="
		b.refused("of another device", east+k, http.StatusForbidden, "This link does not work", "Scan the sheet")
		b.refused("altered", home+strings.ToUpper(k), http.StatusForbidden, "This link does not work", "Scan the sheet")
		b.refused("without k", "/at/hq-2-west", http.StatusForbidden, "Scan the code")
		b.refused("without device", "/at/", http.StatusNotFound, "Scan the code")
		b.refused("of no device", "/at/nowhere?k="+k, http.StatusNotFound, "not used by phone", "Show your badge")
		const renew = "/v1/devices/hq-2-west/link"
		for _, query := range []string{"", "?x=1"} {
			if code := s.ask(readerToken, http.MethodPost, renew+query, "{}", nil); code != http.StatusForbidden {
				t.Errorf("a reader renews: %d", code)
			}
		}
		var renewed apiclient.DeviceLink
		if code := s.ask(adminToken, http.MethodPost, renew, `{"note":"photographed"}`, &renewed); code != http.StatusOK {
			t.Fatalf("renew: %d", code)
		}
		if acts := s.actions(); acts[len(acts)-1].Action != "renew-link" || acts[len(acts)-1].Device != "hq-2-west" ||
			acts[len(acts)-1].Note != "photographed" {
			t.Errorf("audited as %+v", acts[len(acts)-1])
		}
		b.refused("an old one", old, http.StatusForbidden, "The code was replaced", "tell your administrator")
		if code := b.fetch(http.MethodPost, action, form); code != http.StatusForbidden {
			t.Errorf("a form of the old one: %d", code)
		}
		if s.applied(ids...) != 0 {
			t.Error("a link that does not work has printed")
		}
		b.link = renewed.URL
		b.scan()
		b.sees([]string{"Print here"}, nil)
	})
}

// The link of a device that is no longer used by phone, or that left, opens nothing.
func TestPhoneLinksAfterChange(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := withPhones(t)
		defer func() { s.end() }()
		b := s.at("hq-2-west")
		east := s.at("hq-2-east").link
		b.enter(studentID)
		s.end()
		s.edit(`location: "HQ, 2nd floor", phone: true, `, "")
		s.edit("id: hq-2-east, ", "id: hq-3-east, ")
		s = s.start(zap.NewNop())
		s.await("it is ready", time.Minute, func() bool { code, _ := s.get("/readyz"); return code == http.StatusOK })
		b.refused("without phone", b.link, http.StatusNotFound, "not used by phone", "Show your badge")
		b.refused("that left", east, http.StatusNotFound, "not used by phone")
		if code := s.ask(adminToken, http.MethodGet, "/v1/devices/hq-2-west/link", "", nil); code != http.StatusConflict {
			t.Errorf("link of a device without phone: %d", code)
		}
		if code := s.ask(adminToken, http.MethodGet, "/v1/devices/hq-2-east/link", "", nil); code != http.StatusNotFound {
			t.Errorf("link of a device that left: %d", code)
		}
	})
}

// Nobody prints what is another's, on a shared phone, in two tabs, after signing out, by going back, by a
// form of another site, or by one that is too large; each is told what to do.
func TestPhoneOfSeveral(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := withPhones(t)
		defer s.end()
		ids := s.hold(2)
		b := s.at("hq-2-west")
		b.enter(studentID)
		one, single := b.form(false)
		all, both := b.form(true)
		b.load("/auth/sign-out", url.Values{})
		if code := b.fetch(http.MethodPost, one, single); code != http.StatusUnauthorized {
			t.Errorf("signed out: %d", code)
		}
		b.sees([]string{"Sign in"}, []string{"Print here"})
		b.enter(teacherID) // on the same phone, and then goes back to the page of the first
		b.sees([]string{"teacher@contoso.com", "No job of your own is waiting"}, nil)
		b.fetch(http.MethodPost, all, both)
		b.sees([]string{"Nothing was printed", "teacher@contoso.com"}, []string{"is printing"})
		if s.applied(ids...) != 0 {
			t.Error("another person printed")
		}
		b.load("/auth/sign-out", url.Values{})
		b.enter(studentID)
		b.html = ""
		large := url.Values{"x": {strings.Repeat("x", 10<<20)}, "job": both["job"]}
		if code := b.fetch(http.MethodPost, all, large); code != http.StatusRequestEntityTooLarge {
			t.Errorf("10 MiB: %d", code)
		}
		b.sees([]string{"Nothing was done", "Scan the code"}, nil)
		for _, wrong := range []url.Values{{}, {"job": {"", "x", " ", "x y"}}, {"job": {"\x00 \x00"}}} {
			if code := b.fetch(http.MethodPost, one, wrong); code != http.StatusOK {
				t.Errorf("%v: %d", wrong, code)
			}
		}
		req, err := http.NewRequest(http.MethodPost, "http://"+s.admin()+all, strings.NewReader(both.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		res, err := b.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusForbidden || s.applied(ids...) != 0 {
			t.Errorf("from another site: %d", res.StatusCode)
		}
		b.scan() // in a second tab
		b.press(true)
		b.sees([]string{"2 jobs are printing"}, nil)
		b.fetch(http.MethodPost, one, single) // in the first
		b.sees([]string{"No job of your own is waiting"}, []string{"Print here"})
		b.fetch(http.MethodGet, one, nil) // a browser that was closed loads the address of the form
		b.sees([]string{"No job of your own is waiting"}, nil)
		if n := s.applied(ids...); n != 2 {
			t.Errorf("printed %d times", n)
		}
	})
}

// While Entra is down whoever is signed in goes on until their sign-in has to be confirmed; then nothing is
// printed, and the page says so. A printer that can't print is told before anything is sent to it.
func TestPhoneInTrouble(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := withPhones(t)
		defer s.end()
		ids := s.hold(2)
		b := s.at("hq-2-west")
		b.enter(studentID)
		s.refuse(http.StatusServiceUnavailable, graphtest.OpToken, true)
		b.press(false)
		b.sees([]string{"1 job is printing"}, nil)
		action, form := b.form(false)
		pass(15 * time.Minute)
		if code := b.fetch(http.MethodPost, action, form); code != http.StatusForbidden {
			t.Errorf("unconfirmed: %d", code)
		}
		b.sees([]string{"Nothing was done", "Microsoft has to confirm"}, nil)
		if b.scan(); s.applied(ids...) != 1 {
			t.Error("printed for a person who was not confirmed")
		}
		b.sees([]string{"Microsoft does not answer"}, []string{"Print here"})
		s.back()
		if err := s.sim.SetPrinter(westID, "stopped", true); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		b.enter(studentID)
		b.sees([]string{"This printer can't print at the moment", "hq-2-east"}, []string{"Print here"})
		b.fetch(http.MethodPost, action, form) // of a page from before
		b.sees([]string{"Nothing was printed", "device.unavailable"}, nil)
		if s.applied(ids...) != 1 {
			t.Error("sent to a printer that is stopped")
		}
	})
}

var stationCode = regexp.MustCompile(`Code for phones: (\d{3} \d{3})`)

// Where a code is wanted, the link alone opens nothing: whoever types what the station shows prints for some
// minutes; who guesses is stopped.
func TestPhoneCode(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := withPhones(t)
		defer s.end()
		ids := s.hold(1)
		b := s.at("hq-2-east")
		b.enter(studentID)
		b.sees([]string{"Type the code that the screen"}, []string{"Print here"})
		k := b.link[strings.Index(b.link, "k="):]
		code := "/at/hq-2-east/code?" + k
		action, form := "/at/hq-2-east/print?"+k, url.Values{"job": {ids[0].Printer + " " + ids[0].Job}}
		b.fetch(http.MethodPost, action, form)
		b.sees([]string{"Type the code that the screen"}, nil)
		b.fetch(http.MethodPost, code, url.Values{"code": {"no"}})
		b.sees([]string{"not the code that the screen shows"}, []string{"Print here"})
		_, station := s.surfer().load("/station/hq-2-east/login", url.Values{"token": {adminToken}})
		shown := stationCode.FindStringSubmatch(station)
		if shown == nil {
			t.Fatalf("the station shows no code:\n%s", station)
		}
		b.fetch(http.MethodPost, code, url.Values{"code": {shown[1]}})
		b.sees([]string{"Print here"}, nil)
		pass(5 * time.Minute)
		b.fetch(http.MethodPost, action, form)
		b.sees([]string{"Type the code that the screen"}, nil)
		if s.applied(ids...) != 0 {
			t.Error("printed without a code that is valid")
		}
		for range 5 {
			b.fetch(http.MethodPost, code, url.Values{"code": {"no"}})
		}
		b.fetch(http.MethodPost, code, url.Values{"code": {"no"}})
		b.sees([]string{"Too many wrong codes", "show your badge"}, nil)
	})
}
