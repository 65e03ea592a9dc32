package daemon_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"go.uber.org/zap"

	"pullprint/trigger/graph/graphtest"
)

// narrow leaves a picture of a page on the narrowest phone, and fails if the page is wider or axe finds
// something serious.
func (b *browser) narrow(name string) {
	b.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		var png []byte
		var wide bool
		b.do("narrow picture of "+name,
			chromedp.EmulateViewport(360, 640),
			emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
			chromedp.Evaluate(`document.documentElement.scrollWidth > window.innerWidth`, &wide),
			chromedp.FullScreenshot(&png, 100))
		if wide {
			b.t.Errorf("%s is wider than a screen of 360", name)
		}
		b.accessible(name, "360 "+scheme)
		if *screenshots == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(*screenshots, name+"-360-"+scheme+".png"), png, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
}

// A person signs in on a phone without a script running, looks at their own page and deletes a job by
// keyboard alone; an administrator signs in to the console.
func TestBrowserOwnPage(t *testing.T) {
	if !*long && *screenshots == "" {
		t.Skip("it needs Chromium, and takes its time: -long plays it")
	}
	o := newOffice(t, graphtest.Calm())
	o.sim.AddUser(graphtest.User{UPN: "anna@contoso.com", AppRoles: []string{"pullprint.admin"}})
	o.write("policy.yaml", quotaPolicy)
	b := newBrowser(t, o.onSocket())
	entra := httptest.NewServer(o.sim)
	t.Cleanup(entra.Close)
	o.peopleSignIn(b.base)
	config, err := os.ReadFile(filepath.Join(o.dir, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	o.write("config.yaml", strings.ReplaceAll(string(config), "http://"+graphAddr, entra.URL))
	s := o.start(zap.NewNop())
	defer s.end()
	s.register()
	if _, err := o.sim.Submit(graphtest.JobSpec{
		Printer: pullID, User: studentID, Pages: 7, Name: "Minutes of the meeting of the print working group, second draft.pdf",
	}); err != nil {
		t.Fatal(err)
	}
	s.hold(2)
	b.withoutScripts()
	for _, page := range []string{"/", "/me"} {
		b.open(page)
		b.do("sign in", chromedp.WaitVisible(`a.button`))
		b.narrow("signin" + strings.ReplaceAll(page, "/", "-"))
	}
	b.picture("signin")
	b.open("/")
	b.do("a wrong token", chromedp.Click("summary"), chromedp.SendKeys("#token", "wrong\r"))
	b.sees("use one from admin.token_file or admin.tokens[].file")
	b.narrow("wrong-token")
	b.picture("wrong-token")
	b.open("/me")
	b.do("choose", chromedp.Click("a.button"), chromedp.Click(`//button[contains(., "student@")]`, chromedp.BySearch))
	b.sees("Waiting for you")
	b.narrow("me")
	b.picture("me")
	b.do("delete by keyboard", chromedp.Focus(`ul.jobs a.button`), chromedp.KeyEvent(kb.Enter))
	b.sees("It will not be printed")
	b.narrow("me-cancel")
	b.do("confirm by keyboard", chromedp.Focus(`main button`), chromedp.KeyEvent(kb.Enter))
	b.sees("The job is deleted")
	b.sees("deleted by you")
	b.narrow("me-canceled")
	b.open("/")
	b.sees("You have no role here")
	b.narrow("norole")
	b.do("sign out", chromedp.Click("header button"))
	b.sees("You are signed out of the print service")
	b.narrow("signedout")
	b.do("another account", chromedp.Click("a.button.quiet"), chromedp.Click(`//button[contains(., "anna@")]`, chromedp.BySearch))
	b.sees("Your print jobs")
	b.open("/")
	b.sees("Decisions of the last hour")
	b.picture("console-person")
	b.open("/auth/callback?code=x&state=y")
	b.sees("You are not signed in")
	b.narrow("refused")
}

// A person prints from their own page by keyboard alone, without a script, at a printer that they choose, and
// lets a colleague print for them.
func TestBrowserFromAfar(t *testing.T) {
	if !*long && *screenshots == "" {
		t.Skip("it needs Chromium, and takes its time: -long plays it")
	}
	o := newOffice(t, graphtest.Calm())
	o.sim.AddUser(graphtest.User{UPN: "carl@contoso.com", DisplayName: "Carl Colleague"})
	o.write("policy.yaml", quotaPolicy)
	b := newBrowser(t, o.onSocket())
	entra := httptest.NewServer(o.sim)
	t.Cleanup(entra.Close)
	o.peopleSignIn(b.base)
	o.fromAfar()
	config, err := os.ReadFile(filepath.Join(o.dir, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	o.write("config.yaml", strings.ReplaceAll(string(config), "http://"+graphAddr, entra.URL))
	if err := o.sim.SetDetails(eastID, time.Now(), "mediaJam"); err != nil {
		t.Fatal(err)
	}
	s := o.start(zap.NewNop())
	defer s.end()
	s.register()
	if _, err := o.sim.Submit(graphtest.JobSpec{Printer: pullID, User: studentID, Pages: 7, Name: "Agenda.pdf"}); err != nil {
		t.Fatal(err)
	}
	s.hold(1)
	b.withoutScripts()
	b.open("/me")
	b.do("choose", chromedp.Click("a.button"), chromedp.Click(`//button[contains(., "student@")]`, chromedp.BySearch))
	b.sees("Print all 2")
	b.narrow("me-remote")
	b.do("print by keyboard", chromedp.Focus(`a[href="/me/print"]`), chromedp.KeyEvent(kb.Enter))
	b.sees("Where do you want to print?")
	b.sees("Can't print at the moment: paper jam")
	b.narrow("me-print")
	b.picture("me-print")
	b.do("choose by keyboard", chromedp.Focus(`input[type=radio]`), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.Tab),
		chromedp.KeyEvent(kb.Enter))
	b.sees("Sent to HQ, canteen")
	b.narrow("me-printed")
	b.do("back by keyboard", chromedp.Focus(`main a.button`), chromedp.KeyEvent(kb.Enter))
	b.sees("No job of your own is waiting")
	b.do("lend by keyboard", chromedp.Focus(`a[href="/me/lend"]`), chromedp.KeyEvent(kb.Enter))
	b.do("find by keyboard", chromedp.SendKeys("#name", "carl\r"))
	b.sees("Carl Colleague")
	b.narrow("me-lend")
	b.picture("me-lend")
	b.do("choose a colleague by keyboard", chromedp.Focus(`input[type=radio]`), chromedp.KeyEvent(" "), chromedp.KeyEvent(kb.Enter))
	b.sees("Your colleague may print your jobs now")
	b.narrow("me-lent")
	b.do("end by keyboard", chromedp.Focus(`form[action="/me/lend/end"] button`), chromedp.KeyEvent(kb.Enter))
	b.sees("Nobody else may print your jobs")
}
