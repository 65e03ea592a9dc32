package daemon_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/trigger/graph/graphtest"
)

// axeFile is axe-core, which is not in the repository: npm pack axe-core has it.
var axeFile = flag.String("axe", "", "axe.min.js of axe-core, with which browser tests look at each page")

// The controls that are too small, by the 44 CSS pixels of WCAG 2.2, 2.5.5; what is cut off at the
// side; and what axe finds.
const (
	tooSmall = `[...document.querySelectorAll("main button, main a, main input:not([type=hidden])")]
		.map((e) => e.closest(".pick") ?? e).map((e) => [e, e.getBoundingClientRect()])
		.filter(([, r]) => r.width > 0 && (r.height < 44 || r.width < 44))
		.map(([e, r]) => e.outerHTML.slice(0, 90) + " " + r.width + "x" + r.height)`
	cutOff = `[...document.querySelectorAll("main *")].filter((e) => !e.matches("[type=search]") &&
		(!e.matches(".scroll") || innerWidth < 640) && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 &&
		getComputedStyle(e).display !== "inline").map((e) => e.outerHTML.slice(0, 90)).concat(
		document.documentElement.scrollWidth > innerWidth ? ["the page"] : [])`
	serious = `axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"] }).then((r) => r.violations
		.filter((v) => ["serious", "critical"].includes(v.impact)).map((v) => v.id + ": " + v.nodes.map((n) => n.html.slice(0, 120) + " " +
		n.any.map((a) => a.message).join("; ")).join(" | ")))`
)

// looksGood fails the test for what is too small or cut off, also with text of twice the size,
// and leaves pictures.
func (b *browser) looksGood(name string) { b.t.Helper(); b.fits(name, 390, 1024) }

// fits is looksGood for a page that fingers touch at those widths alone.
func (b *browser) fits(name string, touched ...int64) {
	b.t.Helper()
	b.picture(name)
	for _, width := range []int64{390, 1024} {
		b.do("a screen", chromedp.EmulateViewport(width, 600))
		if slices.Contains(touched, width) {
			b.finds(name, "too small", tooSmall)
		}
		b.do("large text", chromedp.Evaluate(`document.documentElement.style.fontSize = "200%"`, nil))
		b.finds(name, "cut off with large text", cutOff)
		b.do("text", chromedp.Evaluate(`document.documentElement.style.fontSize = ""`, nil))
	}
}

// finds fails the test for each thing that a script finds on a page.
func (b *browser) finds(name, what, js string, more ...chromedp.EvaluateOption) {
	b.t.Helper()
	var list []string
	b.do(what, chromedp.Evaluate(js, &list, more...))
	for _, one := range list {
		b.t.Errorf("%s: %s: %s", name, what, one)
	}
}

// accessible fails the test for what axe, when it is there, finds serious on a page as it is shown now.
func (b *browser) accessible(name, shown string) {
	b.t.Helper()
	if *axeFile == "" {
		return
	}
	src, err := os.ReadFile(*axeFile)
	if err != nil {
		b.t.Fatal(err)
	}
	// axe waits for timers, which run with scripts only; those of the page have had their time.
	b.do("axe", emulation.SetScriptExecutionDisabled(false), chromedp.Evaluate(string(src), nil))
	b.finds(name, shown, serious, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) })
	b.do("scripts as before", emulation.SetScriptExecutionDisabled(b.scriptless))
}

// stationWithAll is a station with everything that a page can have: titles, a budget that does
// not cover a job, jobs of somebody else, a place, and help.
func stationWithAll(t *testing.T) *kiosk {
	t.Helper()
	if !*long && *screenshots == "" {
		t.Skip("it needs Chromium, and takes its time: -long plays it")
	}
	o := newOffice(t, graphtest.Calm())
	o.more = "station: {titles: shown, help: 'IT help desk, phone 4711'}"
	o.install("embedded: {store_dir: nats, max_store: 256MiB}")
	src, err := os.ReadFile(filepath.Join(o.dir, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	o.write("config.yaml", strings.NewReplacer("{id: hq-2-west,", "{id: hq-2-west, location: 'HQ, 2nd floor west',",
		"{id: hq-2-east,", "{id: hq-2-east, location: 'HQ, 2nd floor east, by the stairs',").Replace(string(src)))
	o.write("policy.yaml", officePolicy+`
prices: {page: 0.05, color: 0.25, currency: EUR}
allowances: [{name: students, when: '"students" in user.groups', money: 12.00, every: week}]
unmatched: free
`)
	base := o.onSocket()
	s := o.start(zap.NewNop())
	t.Cleanup(s.end)
	s.register()
	if err := errors.Join(adminClient(base).enrol(cardA, studentID), adminClient(base).enrol(cardB, teacherID)); err != nil {
		t.Fatal(err)
	}
	k := &kiosk{newBrowser(t, base), s, apiclient.New(base, adminToken)}
	if _, err := k.api.Delegate(t.Context(), teacherID, studentID, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	jobs := []graphtest.JobSpec{
		{Name: "Microsoft Word - Bericht an die Geschäftsleitung über das dritte Quartal.docx", Pages: 48, Color: true, Copies: 2},
		{Name: "Invoice 4711.pdf", Pages: 3},
		{Name: "Plan.pdf", Pages: 12, Duplex: true, Copies: 4},
		{Name: "boarding-pass.pdf"},
		{Name: "Minutes.pdf", Pages: 7, User: teacherID},
	}
	for i, job := range jobs {
		job.Printer = pullID
		if job.User == "" {
			job.User = studentID
		}
		if _, err := k.sim.Submit(job); err != nil {
			t.Fatal(err)
		}
		k.await("jobs held", 10*time.Second, func() bool { return len(k.all()) == i+1 })
	}
	return k
}

// Each page of a station in three languages: nothing is too small to be touched, nothing is cut
// off, Print all is in sight, and axe-core, when it is there, finds nothing serious.
func TestBrowserStationPages(t *testing.T) {
	k := stationWithAll(t)
	k.open("/station/hq-2-west")
	k.do("token", chromedp.SendKeys("#token", readerToken+"\r"))
	k.idle()
	for _, code := range []string{"en", "de", "pl"} {
		agent := emulation.SetUserAgentOverride("a kiosk").WithAcceptLanguage(code)
		page := func(name, has string) {
			t.Helper()
			k.do(name, chromedp.WaitVisible(has, chromedp.ByQuery))
			k.rests()
			k.looksGood(name + "-" + code)
		}
		press := func(action string) {
			t.Helper()
			k.do(action, chromedp.Click(`(//form[contains(@action, "`+action+`")]//button)[1]`, chromedp.BySearch))
		}
		k.do("language", agent)
		k.open("/station/hq-2-west")
		page("idle", `section.idle`)
		k.reads(cardA + "\r")
		page("list", `ul.jobs`)
		var lang string
		var bottom float64
		k.do("a small screen", chromedp.EmulateViewport(1024, 600), chromedp.Evaluate(`document.documentElement.lang`, &lang),
			chromedp.Evaluate(`document.querySelector("button.big").getBoundingClientRect().bottom`, &bottom))
		if lang != code || bottom > 600 {
			t.Errorf("%s: the page is in %s, and Print all ends at %v of 600", code, lang, bottom)
		}
		press("/options")
		page("ways", `ul.options`)
		k.open("/station/hq-2-west")
		if err := k.sim.SetPrinter(westID, "stopped", true); err != nil {
			t.Fatal(err)
		}
		if err := k.sim.SetDetails(westID, time.Time{}, "mediaJam"); err != nil {
			t.Fatal(err)
		}
		k.ready()
		k.reads(cardA + "\r")
		page("jam", `.printer`)
		if err := errors.Join(k.sim.SetPrinter(westID, "idle", true), k.sim.SetDetails(westID, time.Time{})); err != nil {
			t.Fatal(err)
		}
		k.open("/station/hq-2-west/enrol")
		page("code", `#code`)
	}
	k.open("/station/hq-2-west")
	k.ready()
	k.reads(cardA + "\r")
	k.do("the list", chromedp.WaitVisible(`button.big`))
	k.rests()
	k.do("print all", chromedp.Click(`button.big`))
	k.do("printed", chromedp.WaitVisible(`#progress`), chromedp.Sleep(3*time.Second))
	k.looksGood("printing-pl")
}
