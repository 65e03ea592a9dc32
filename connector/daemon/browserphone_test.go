package daemon_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"go.uber.org/zap"

	"pullprint/connector/admin"
	"pullprint/trigger/graph/graphtest"
)

// officeForPhones is an office whose pages and whose Entra a browser reaches, with phones allowed.
func officeForPhones(t *testing.T) (b *browser, s *shift) {
	t.Helper()
	o := newOffice(t, graphtest.Calm())
	o.write("policy.yaml", quotaPolicy)
	b = newBrowser(t, o.onSocket())
	entra := httptest.NewServer(o.sim)
	t.Cleanup(entra.Close)
	o.allowPhones(b.base)
	config, err := os.ReadFile(filepath.Join(o.dir, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	o.write("config.yaml", strings.ReplaceAll(string(config), "http://"+graphAddr, entra.URL))
	return b, o.start(zap.NewNop())
}

// A person with a phone scans the sheet of a printer, without a script running: signs in, prints one job and
// the rest, by touch and by keyboard, and goes back; at another printer they type the code of its station.
func TestBrowserPhone(t *testing.T) {
	if !*long && *screenshots == "" {
		t.Skip("it needs Chromium, and takes its time: -long plays it")
	}
	b, s := officeForPhones(t)
	defer s.end()
	s.register()
	s.print(graphtest.JobSpec{Printer: pullID, Pages: 3, Name: "Minutes of the meeting of the print working group, second draft.pdf"})
	s.print(graphtest.JobSpec{Printer: pullID, Pages: 2, Name: "Invoice.pdf", Color: true})
	s.await("they are held", seenWithin, func() bool { return len(s.all()) == 2 })
	s.hold(2)
	path := func(device string) string {
		link, err := admin.NewClient(b.base, adminToken).DeviceLink(t.Context(), device)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimPrefix(link.URL, b.base)
	}
	west, east := path("hq-2-west"), path("hq-2-east")
	shot := func(name string) { b.narrow(name); b.picture(name) }
	b.do("without scripts", emulation.SetScriptExecutionDisabled(true))
	b.open(west)
	b.sees("Sign in to see the jobs that wait for you")
	shot("at-signin")
	b.do("sign in", chromedp.Click("a.button"), chromedp.Click(`//button[contains(., "student@")]`, chromedp.BySearch))
	b.sees("Print here")
	shot("at")
	b.do("print one", chromedp.Click(`button[aria-label*="Invoice"]`))
	b.sees("1 job is printing")
	shot("at-one")
	b.do("go back, and press the old button", chromedp.NavigateBack(), chromedp.Click(`ul.jobs li button`))
	b.sees("printing")
	b.do("print all by keyboard", chromedp.Focus(`button.big`), chromedp.KeyEvent(kb.Enter))
	b.sees("No job of your own is waiting")
	shot("at-all")
	if err := s.sim.SetPrinter(westID, "stopped", true); err != nil {
		t.Fatal(err)
	}
	s.hold(1)
	b.open(west)
	b.sees("This printer can't print at the moment")
	shot("at-trouble")
	b.open("/at/hq-2-west?k=x")
	b.sees("This link does not work")
	shot("at-link")
	b.open(east)
	b.sees("Type the code that the screen at the printer shows")
	shot("at-code")
	b.do("a wrong code", chromedp.SendKeys("#code", "000 000\r"))
	b.sees("That is not the code that the screen shows now")
	shot("at-wrong")
	b.open("/station/hq-2-east")
	b.do("set the station up", chromedp.SendKeys("#token", adminToken+"\r"))
	b.sees("Code for phones")
	b.picture("station-code")
	var code string
	b.do("read the code", chromedp.Text(".phone", &code))
	b.open(east)
	b.do("type the code", chromedp.SendKeys("#code", code[strings.Index(code, ":")+2:]+"\r"))
	b.sees("Print here")
}
