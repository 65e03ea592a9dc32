package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/policy/badge"
	"pullprint/trigger/graph/graphtest"
)

// inView is the text of the table rows of the console that are wholly on the screen, and
// in no part that has to be scrolled sideways.
const inView = `[...document.querySelectorAll(".rows tbody td")].filter((td) => {
  const r = document.createRange();
  r.selectNodeContents(td);
  const box = r.getBoundingClientRect(), frame = td.closest(".scroll");
  return box.width > 0 && box.left >= 0 && box.right <= innerWidth && frame.scrollWidth <= frame.clientWidth;
}).map((td) => td.innerText).join("\n")`

// atDesk fails the test for what is wider than a narrow phone, too small for a finger there, or cut off with
// large text, and leaves pictures.
func (b *browser) atDesk(name string) {
	b.t.Helper()
	b.narrow(name)
	b.fits(name, 390)
}

// consolePictures looks at the pages of the help desk that are about a person.
func (b *browser) consolePictures() {
	b.t.Helper()
	b.open("/people?q=student@contoso.com")
	b.sees("Make the code")
	b.do("open what acts", chromedp.Evaluate(`document.querySelectorAll("details").forEach((d) => { d.open = true })`, nil))
	b.atDesk("person")
	b.open("/people?q=contoso-nobody")
	b.sees("No name begins with that")
	b.atDesk("people")
	for name, text := range map[string]string{
		"audit": "cancel", "badges": "To revoke one", "accounts": "These are shared", "policy": "In force is",
	} {
		b.open("/" + name)
		b.sees(text)
		b.atDesk(name)
	}
}

// The console shows whose each job is, and why what happened to it, on a phone, too.
func TestBrowserConsole(t *testing.T) {
	if !*long && *screenshots == "" {
		t.Skip("it needs Chromium, and takes its time: -long plays it")
	}
	o := newOffice(t, graphtest.Calm())
	base := o.onSocket()
	config, err := os.ReadFile(filepath.Join(o.dir, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	o.write("config.yaml", strings.Replace(string(config), "{id: hq-2-west,", `{id: hq-2-west, location: "HQ, 2nd floor",`, 1))
	s := o.start(zap.NewNop())
	defer s.end()
	s.register()
	b := newBrowser(t, base)
	held := s.hold(2)
	b.open("/")
	b.do("console", chromedp.SendKeys("#token", adminToken+"\r"))
	b.sees("Decisions of the last hour")
	b.open("/jobs/" + held[0].Printer + "/" + held[0].Job)
	b.do("cancel", chromedp.Click(`//button[normalize-space(.)="Cancel"]`, chromedp.BySearch))
	b.sees("asked to cancel it")
	b.atDesk("canceled-job")
	b.open("/?state=")
	b.sees("held in Follow-Me")
	b.sees("HQ, 2nd floor")
	b.atDesk("owners")
	if _, err := apiclient.New(base, adminToken).Enrol(t.Context(), number, badge.Enrolment{Owner: studentID}); err != nil {
		t.Fatal(err)
	}
	b.consolePictures()
	b.open("/?state=&owner=nobody@contoso.com")
	b.sees("Owner is a user name that Entra does not know")
	b.sees("No job is like this")
	b.open("/?state=&owner=student@contoso.com")
	b.sees("held in Follow-Me")
	for _, width := range []int64{390, 1024, 1280} {
		var text string
		b.do(fmt.Sprint("look at ", width), chromedp.EmulateViewport(width, 800), chromedp.Evaluate(inView, &text))
		for _, want := range []string{studentID, "student", "canceled.by-admin", "held", "aborted"} {
			if !strings.Contains(text, want) {
				t.Errorf("at %d the console does not show %s but\n%s", width, want, text)
			}
		}
	}
}
