package daemon_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/trigger/graph/graphtest"
)

// reachedByBrowser starts an office, where people sign in, whose pages and whose Entra a browser reaches; set
// configures it for the URL of the pages.
func reachedByBrowser(t *testing.T, o *office, set func(url string)) (b *browser, s *shift) {
	t.Helper()
	b = newBrowser(t, o.onSocket())
	entra := httptest.NewServer(o.sim)
	t.Cleanup(entra.Close)
	set(b.base)
	config, err := os.ReadFile(filepath.Join(o.dir, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	o.write("config.yaml", strings.ReplaceAll(string(config), "http://"+graphAddr, entra.URL))
	s = o.start(zap.NewNop())
	s.register()
	return b, s
}

// onPhone fails the test for what is too small or cut off on narrow screens too, and leaves pictures.
func (b *browser) onPhone(name string) {
	b.t.Helper()
	b.narrow(name)
	b.looksGood(name)
}

// linkOf is the path of the link on the sheet of a device.
func (b *browser) linkOf(device string) string {
	b.t.Helper()
	link, err := apiclient.New(b.base, adminToken).DeviceLink(b.t.Context(), device)
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.TrimPrefix(link.URL, b.base)
}

// A person with a phone scans the sheet of a printer, without a script running: signs in, prints one job and
// the rest, by touch and by keyboard, and goes back; at another printer they type the code of its station.
func TestBrowserPhone(t *testing.T) {
	if !*long && *screenshots == "" {
		t.Skip("it needs Chromium, and takes its time: -long plays it")
	}
	o := newOffice(t, graphtest.Calm())
	o.write("policy.yaml", quotaPolicy)
	b, s := reachedByBrowser(t, o, o.allowPhones)
	defer s.end()
	s.print(graphtest.JobSpec{
		Printer: pullID, Pages: 3, Name: "Minutes of the meeting of the print working group, second draft.pdf",
	})
	s.print(graphtest.JobSpec{Printer: pullID, Pages: 2, Name: "Invoice.pdf", Color: true})
	s.await("they are held", seenWithin, func() bool { return len(s.all()) == 2 })
	s.hold(2)
	west, east := b.linkOf("hq-2-west"), b.linkOf("hq-2-east")
	b.withoutScripts()
	b.open(west)
	b.sees("Sign in to see the jobs that wait for you")
	b.onPhone("at-signin")
	b.do("sign in", chromedp.Click("a.button"), chromedp.Click(`//button[contains(., "student@")]`, chromedp.BySearch))
	b.sees("Print here")
	b.onPhone("at")
	b.do("options", chromedp.Click(`a[aria-label*="Invoice"]`))
	b.sees("Print in black and white")
	b.onPhone("at-options")
	b.do("back", chromedp.Click(`a.button`))
	b.sees("Print here")
	b.do("print one", chromedp.Click(`button[aria-label*="Invoice"]`))
	b.sees("1 job is printing")
	b.onPhone("at-one")
	b.do("go back, and press the old button", chromedp.NavigateBack(), chromedp.Click(`ul.jobs li button`))
	b.sees("printing")
	b.do("print all by keyboard", chromedp.Focus(`button.big`), chromedp.KeyEvent(kb.Enter))
	b.sees("No job of your own is waiting")
	b.onPhone("at-all")
	if err := s.sim.SetPrinter(westID, "stopped", true); err != nil {
		t.Fatal(err)
	}
	s.hold(1)
	b.open(west)
	b.sees("This printer can't print at the moment")
	b.onPhone("at-trouble")
	b.open("/at/hq-2-west?k=x")
	b.sees("This link does not work")
	b.onPhone("at-link")
	b.open(east)
	b.sees("Type the code that the screen at the printer shows")
	b.onPhone("at-code")
	b.do("a wrong code", chromedp.SendKeys("#code", "000 000\r"))
	b.sees("That is not the code that the screen shows now")
	b.onPhone("at-wrong")
	b.open("/station/hq-2-east")
	b.do("set the station up", chromedp.SendKeys("#token", adminToken+"\r"))
	b.sees("Code for phones")
	b.looksGood("station-code")
	var code string
	b.do("read the code", chromedp.Text(".phone", &code))
	b.open(east)
	b.do("type the code", chromedp.SendKeys("#code", code[strings.Index(code, ":")+2:]+"\r"))
	b.sees("Print here")
}

// The owner of an unknown card reads a code off the station, types it on a phone without a script running,
// and says that the card is theirs.
func TestBrowserSelfEnrol(t *testing.T) {
	if !*long && *screenshots == "" {
		t.Skip("it needs Chromium, and takes its time: -long plays it")
	}
	o := newOffice(t, graphtest.Calm())
	o.badges, o.located = ", self_enrol: true", `, location: "HQ, 2nd floor"`
	o.install("embedded: {store_dir: nats, max_store: 256MiB}")
	b, s := reachedByBrowser(t, o, o.peopleSignIn)
	defer s.end()
	b.open("/station/hq-2-west")
	b.do("set the station up", chromedp.SendKeys("#token", readerToken+"\r"))
	b.sees("Show your badge")
	b.ready()
	b.do("show an unknown card", chromedp.KeyEvent("0077732803\r"))
	b.sees("Nobody has enrolled this badge")
	b.onPhone("claim")
	var code string
	b.do("read the code", chromedp.Text(".code-shown", &code))
	b.withoutScripts()
	b.open("/me")
	b.do("sign in", chromedp.Click("a.button"), chromedp.Click(`//button[contains(., "student@")]`, chromedp.BySearch))
	b.sees("Your badge")
	b.onPhone("me-with-badge")
	b.do("enrol", chromedp.Click(`a[href="/me/badge"]`))
	b.sees("Its screen shows a code")
	b.onPhone("badge")
	b.do("a wrong code", chromedp.SendKeys("#code", "0000-0000\r"))
	b.sees("wrong, used already, or has expired")
	b.onPhone("badge-wrong")
	b.do("the code", chromedp.SendKeys("#code", strings.ToLower(code)+"\r"))
	b.sees("Was that you, with your own badge?")
	b.onPhone("badge-mine")
	b.do("say that it is", chromedp.Focus(`button[name=mine]`), chromedp.KeyEvent(kb.Enter))
	b.sees("Your badge is enrolled")
	b.onPhone("badge-done")
}
