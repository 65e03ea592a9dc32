package daemon_test

import (
	"bytes"
	"context"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"go.uber.org/zap"

	"pullprint/trigger/graph/graphtest"
)

// screenshots is where TestBrowser leaves pictures of the pages, if anywhere.
var screenshots = flag.String("screenshots", "", "folder for pictures of the pages")

// How long a test may have a browser, and wait for what a page says.
const (
	browserWithin = 8 * time.Minute
	seenWithin    = time.Minute
	// quietFor is how long nothing is asked for before a page counts as at rest.
	quietFor = 500 * time.Millisecond
	// cameFor is the same for a page that nobody has touched yet: what it loads with it
	// is asked for at once.
	cameFor = 100 * time.Millisecond
)

// browser is a person at a station or at the console.
type browser struct {
	t    *testing.T
	ctx  context.Context
	base string
	*proxy
	scriptless bool // pages run no script
}

// withoutScripts lets pages run no script from now on.
func (b *browser) withoutScripts() {
	b.t.Helper()
	b.scriptless = true
	b.do("without scripts", emulation.SetScriptExecutionDisabled(true))
}

// underWatch runs the browser in a group of its own. When the test process is gone,
// however it ended, nobody holds the other end of standard input: then the group is
// killed and the profile ($0) removed.
const underWatch = `exec 3<&0
(read -r _ <&3; rm -rf "$0"; kill -9 -$$) >/dev/null 2>&1 &
"$@" </dev/null 3<&- &
wait $!`

// proxy stands between the browser and the daemon. It knows when nothing is under
// way, and keeps pages from going on by themselves: on a machine that is busy a test
// takes longer than a person's page stays.
type proxy struct {
	server *httptest.Server
	gate   sync.RWMutex // held by who lets nothing through
	asking atomic.Int64
	at     atomic.Int64 // unix nanoseconds of the last beginning or end of a request
}

const refreshOf, keptRefresh = `<meta http-equiv="refresh"`, `<meta name="refresh"`

func newProxy(t *testing.T, base string) *proxy {
	t.Helper()
	to, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
			r.Out.Header.Del("Accept-Encoding")
		},
		ModifyResponse: func(res *http.Response) error {
			body, err := io.ReadAll(res.Body)
			if err != nil {
				return err
			}
			body = bytes.Replace(body, []byte(refreshOf), []byte(keptRefresh), 1)
			res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			res.Header.Set("Content-Length", strconv.Itoa(len(body)))
			return nil
		},
	}
	p := &proxy{}
	mark := func(n int64) { p.asking.Add(n); p.at.Store(time.Now().UnixNano()) }
	p.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		mark(1)
		defer mark(-1)
		p.gate.RLock()
		defer p.gate.RUnlock()
		forward.ServeHTTP(rw, req)
	}))
	t.Cleanup(p.server.Close)
	return p
}

// halt lets nothing through until resume is called.
func (p *proxy) halt(t *testing.T) (resume func()) {
	p.gate.Lock()
	resume = sync.OnceFunc(p.gate.Unlock)
	t.Cleanup(resume)
	return resume
}

// quiet reports that nothing is under way, and has not been for so long.
func (p *proxy) quiet(long time.Duration) bool {
	return p.asking.Load() == 0 && time.Since(time.Unix(0, p.at.Load())) > long
}

// ready waits until a page is there and its field has the focus, as a person does who
// sees the cursor.
func (b *browser) ready() {
	b.t.Helper()
	b.restsFor(cameFor)
	for end := time.Now().Add(seenWithin); ; {
		var id string
		b.do("look for the focus", chromedp.Evaluate(`document.activeElement?.id ?? ""`, &id))
		if id == "badge" {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("the focus is on %q", id)
		}
		b.do("wait for the focus", chromedp.Sleep(quietFor/10))
	}
}

// rests waits until the browser has no page under way any more.
func (b *browser) rests() { b.t.Helper(); b.restsFor(quietFor) }

func (b *browser) restsFor(long time.Duration) {
	b.t.Helper()
	b.do("rest", chromedp.ActionFunc(func(ctx context.Context) error {
		for {
			var state string
			if err := chromedp.Evaluate(`document.readyState`, &state).Do(ctx); err == nil && state == "complete" && b.quiet(long) {
				return nil
			}
			if err := chromedp.Sleep(quietFor / 10).Do(ctx); err != nil {
				return err
			}
		}
	}))
}

// newBrowser opens headless Chromium; without one the test is skipped.
func newBrowser(t *testing.T, base string) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium-headless-shell")
	if err != nil {
		t.Skip("chromium-headless-shell is not installed")
	}
	profile := t.TempDir()
	alive, test, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(profile),
		chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
			cmd.Args = append([]string{"sh", "-c", underWatch, profile, cmd.Path}, cmd.Args[1:]...)
			cmd.Path, cmd.Stdin, cmd.SysProcAttr = "/bin/sh", alive, &syscall.SysProcAttr{Setpgid: true}
		}))
	actx, endAllocator := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, end := chromedp.NewContext(actx)
	ctx, endTime := context.WithTimeout(ctx, browserWithin)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // the browser ends by itself, with all its processes
		endTime()
		end()
		endAllocator()
		chromedp.FromContext(ctx).Allocator.Wait()
		_ = alive.Close()
		_ = test.Close()
	})
	p := newProxy(t, base)
	return &browser{t: t, ctx: ctx, base: p.server.URL, proxy: p}
}

func (b *browser) do(what string, actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		var text string
		_ = chromedp.Run(b.ctx, chromedp.Text("body", &text))
		b.t.Fatalf("%s: %v\n%s", what, err, text)
	}
}

func (b *browser) open(path string) { b.t.Helper(); b.do("open "+path, chromedp.Navigate(b.base+path)) }

// sees waits until the page says something.
func (b *browser) sees(text string) {
	b.t.Helper()
	look := chromedp.WaitVisible(`//main//*[contains(normalize-space(.), "`+text+`")]`, chromedp.BySearch)
	b.do("look for "+text, chromedp.ActionFunc(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, seenWithin)
		defer cancel()
		return look.Do(ctx)
	}))
}

// picture leaves pictures at the sizes of a desktop, a kiosk and a phone, light and
// dark, and fails for what axe finds serious on a desktop.
func (b *browser) picture(name string) {
	b.t.Helper()
	for _, screen := range []struct {
		name          string
		width, height int64
	}{{"desktop", 1280, 800}, {"kiosk", 1024, 600}, {"phone", 390, 844}} {
		for _, scheme := range []string{"light", "dark"} {
			var png []byte
			var wide bool
			b.do("picture of "+name,
				chromedp.EmulateViewport(screen.width, screen.height),
				emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
				chromedp.Evaluate(`document.documentElement.scrollWidth > window.innerWidth`, &wide),
				chromedp.FullScreenshot(&png, 100))
			if wide {
				b.t.Errorf("%s is wider than a screen of %d", name, screen.width)
			}
			if screen.name == "desktop" {
				b.accessible(name, screen.name+" "+scheme)
			}
			if *screenshots != "" {
				file := filepath.Join(*screenshots, strings.Join([]string{name, screen.name, scheme}, "-")+".png")
				if err := os.WriteFile(file, png, 0o600); err != nil {
					b.t.Fatal(err)
				}
			}
		}
	}
}

// hostile is a name that would be markup, were it not escaped.
const hostile = `<img src=x onerror=alert(1)>`

// TestBrowser is a morning at the station and at the console: set the station
// up, show a badge by typing it, print one job and all, delete one, be told why
// not, enrol a badge by a code, and see and cancel jobs at the console.
func TestBrowser(t *testing.T) {
	if !*long && *screenshots == "" {
		t.Skip("it needs Chromium, and takes its time: -long plays it")
	}
	o := newOffice(t, graphtest.Calm())
	base := o.onSocket()
	o.write("policy.yaml", officePolicy+`
prices: {page: 1, color: 5}
allowances: [{name: students, when: '"students" in user.groups', pages: 30, every: week}]
unmatched: free
`)
	s := o.start(zap.NewNop())
	defer s.end()
	s.register()
	b := newBrowser(t, base)
	c := adminClient(base)
	if err := c.enrol(number, studentID); err != nil {
		t.Fatal(err)
	}
	code, err := c.code(teacherID)
	if err != nil {
		t.Fatal(err)
	}
	ids := s.hold(4)

	b.open("/station/hq-2-west")
	b.sees("Set up the station hq-2-west")
	b.picture("login")
	b.do("wrong token", chromedp.SendKeys("#token", "wrong\r"))
	b.sees("That is not the token of this reader")
	b.do("token", chromedp.SendKeys("#token", readerToken+"\r"))
	b.sees("Show your badge")
	b.picture("station")

	// The field has the focus: a reader that types works as it is.
	badge := func(n string) {
		b.t.Helper()
		b.ready()
		b.do("badge", chromedp.KeyEvent(n+"\r"))
	}
	badge("unknown")
	b.sees("No job is waiting for this badge here")
	badge(number)
	b.sees("Your jobs")
	b.sees("Print all 4")
	b.picture("jobs")
	badge(number) // pictures take their time: the visit goes on
	b.sees("Print all 4")
	b.rests()
	b.do("print one", chromedp.Click(`(//button[normalize-space(.)="Print"])[1]`, chromedp.BySearch))
	b.sees("1 job is printing")
	b.do("delete one", chromedp.Click(`(//button[normalize-space(.)="Delete"])[1]`, chromedp.BySearch))
	b.sees("The job is deleted")
	if err := o.sim.SetPrinter(westID, "stopped", true); err != nil {
		t.Fatal(err)
	}
	b.do("print all", chromedp.Click(`//button[contains(., "Print all")]`, chromedp.BySearch))
	b.sees("Nothing was printed")
	b.sees("These can: hq-2-east")
	b.picture("kept")
	badge(number)
	b.sees("Look again")
	b.rests()
	if err := o.sim.SetPrinter(westID, "idle", true); err != nil {
		t.Fatal(err)
	}
	b.do("look again", chromedp.Click(`//button[contains(., "Look again")]`, chromedp.BySearch))
	b.sees("Print all 2")
	b.rests()
	b.do("print all again", chromedp.Click(`//button[contains(., "Print all")]`, chromedp.BySearch))
	b.sees("2 jobs are printing")
	b.sees("The printer has all 2 jobs")
	b.picture("done")
	for i, id := range ids {
		job, _ := o.sim.Job(id)
		if i == 1 && (job.Effects.AbortApplied != 1 || !strings.Contains(job.Reason, "canceled.by-owner")) {
			t.Errorf("the deleted job: %+v %q", job.Effects, job.Reason)
		}
		if i != 1 && job.Effects.RedirectApplied != 1 {
			t.Errorf("job %d: %+v", i, job.Effects)
		}
	}

	// A job that costs more than is left says so, and what would be paid for.
	before := len(s.all())
	s.print(graphtest.JobSpec{Printer: pullID, Pages: 10, Color: true})
	s.print(graphtest.JobSpec{Printer: pullID, Pages: 2})
	s.await("two more jobs", 10*time.Second, func() bool { return len(s.all()) == before+2 })
	b.open("/station/hq-2-west")
	b.sees("Show your badge")
	badge(number)
	b.sees("27 pages left of 30 pages")
	b.sees("This job costs 50 pages, and you have 27 pages left")
	b.picture("budget")
	badge(number)
	b.sees("27 pages left of 30 pages")
	b.rests()
	b.do("options", chromedp.Click(`(//button[normalize-space(.)="Options"])[1]`, chromedp.BySearch))
	b.sees("is more than what is left")
	b.picture("options")
	b.do("back", chromedp.Click(`//button[contains(., "Back")]`, chromedp.BySearch))
	b.sees("27 pages left of 30 pages")
	b.rests()
	b.do("print the variant", chromedp.Click(`//button[contains(., "Print in black and white")]`, chromedp.BySearch))
	b.sees("1 job is printing")
	b.sees("17 pages left of 30 pages")
	b.do("print the rest", chromedp.Click(`//button[contains(., "Print all")]`, chromedp.BySearch),
		chromedp.WaitVisible(`//button[normalize-space(.)="Done"]`, chromedp.BySearch))

	// The page forgets the person by itself.
	var refresh string
	b.do("refresh", chromedp.AttributeValue(`meta[name=refresh]`, "content", &refresh, nil, chromedp.ByQuery))
	if refresh != "30; url=/station/hq-2-west" {
		t.Errorf("the page stays: %q", refresh)
	}

	b.open("/station/hq-2-west/enrol")
	b.picture("enrol")
	b.do("bad code", chromedp.SendKeys("#code", "BCDF-GHJK"), chromedp.SendKeys("#badge", "7777\r"))
	b.sees("That code is wrong")
	b.do("code", chromedp.SendKeys("#code", strings.ToLower(code)), chromedp.SendKeys("#badge", "7777\r"))
	b.sees("Your badge is enrolled")

	// The station's sign-in opens no other page.
	b.open("/")
	b.sees("Sign in")
	b.do("console", chromedp.SendKeys("#token", adminToken+"\r"))
	b.sees("Decisions of the last hour")
	held := s.hold(2)
	b.open("/")
	b.sees("held in Follow-Me")
	b.picture("console")
	b.open("/?owner=" + strings.NewReplacer("<", "%3C", ">", "%3E", " ", "+").Replace(hostile))
	b.sees("No job is like this")
	var images int
	b.do("no markup", chromedp.Evaluate(`document.images.length`, &images))
	if images != 0 {
		t.Error("what was typed became markup")
	}
	b.open("/jobs/" + held[0].Printer + "/" + held[0].Job)
	b.sees("Trace")
	b.sees("Costs 1 page; 15 pages left of 30 pages until ")
	b.sees("Kept until")
	b.picture("waiting-job")
	b.do("cancel", chromedp.SendKeys("input[name=reason]", hostile), chromedp.Click(`//button[normalize-space(.)="Cancel"]`,
		chromedp.BySearch))
	b.sees("asked to cancel it")
	b.do("no markup", chromedp.Evaluate(`document.images.length`, &images))
	if images != 0 {
		t.Error("a reason became markup")
	}
	b.picture("job")
	b.open("/jobs/" + held[1].Printer + "/" + held[1].Job)
	b.do("release", chromedp.Click(`//button[normalize-space(.)="Release"]`, chromedp.BySearch))
	b.sees("asked to release it at hq-2-west")
	if job, _ := o.sim.Job(held[0]); job.Effects.AbortApplied != 1 || !strings.Contains(job.Reason, "canceled.by-admin") {
		t.Errorf("canceled: %+v %q", job.Effects, job.Reason)
	}
	if job, _ := o.sim.Job(held[1]); job.RedirectedTo.Printer != westID {
		t.Errorf("released: %+v", job)
	}
	b.do("sign out", chromedp.Click(`//button[normalize-space(.)="Sign out"]`, chromedp.BySearch))
	b.sees("Sign in")
	b.open("/nothing")
	b.sees("There is no such page")
}
