package daemon_test

import (
	"flag"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/trigger/graph/graphtest"
)

// The cards of the reader's tests. They are as short as a card can be, so that a part
// of one is no guess: those would lock the reader.
const (
	cardA = "1111"
	cardB = "2222"
)

// loadEvery is how far apart the moments are at which TestBrowserReaderWhileLoading reads a card.
var loadEvery = flag.Duration("load.every", 120*time.Millisecond,
	"time between two moments of a page's load at which a card is read; 60ms is the long proof")

// keyEvery is the pause between two keys of a reader that is set to be fast.
const keyEvery = 5 * time.Millisecond

// kiosk is a station in a browser, with the jobs of two people.
type kiosk struct {
	*browser
	*shift
	api *apiclient.Client
}

// newKiosk sets up a station for the student with card A and the teacher with
// card B.
func newKiosk(t *testing.T) *kiosk {
	t.Helper()
	if !*long {
		t.Skip("it needs Chromium, and takes its time: -long plays it")
	}
	t.Parallel() // a person and a page wait most of the time
	o := newOffice(t, graphtest.Calm())
	o.badges = ", entra_attribute: employeeId"
	o.install("embedded: {store_dir: nats, max_store: 256MiB}")
	base := o.onSocket()
	s := o.start(zap.NewNop())
	t.Cleanup(s.end)
	s.register()
	for card, owner := range map[string]string{cardA: studentID, cardB: teacherID} {
		if err := adminClient(base).enrol(card, owner); err != nil {
			t.Fatal(err)
		}
	}
	k := &kiosk{newBrowser(t, base), s, apiclient.New(base, adminToken)}
	k.open("/station/hq-2-west")
	k.do("token", chromedp.SendKeys("#token", readerToken+"\r"))
	k.idle()
	return k
}

// jobs are n more of each of the two.
func (k *kiosk) jobs(n int) (a, b []graphtest.JobID) {
	k.browser.t.Helper()
	before := len(k.all())
	for range n {
		a = append(a, k.print(graphtest.JobSpec{Printer: pullID}))
		id, err := k.sim.Submit(graphtest.JobSpec{Printer: pullID, User: teacherID})
		if err != nil {
			k.browser.t.Fatal(err)
		}
		b = append(b, id)
	}
	k.await("jobs held", 10*time.Second, func() bool { return len(k.all()) == before+2*n })
	return a, b
}

func (k *kiosk) idle() { k.browser.t.Helper(); k.sees("Hold it to the reader"); k.ready() }

// reads types as a reader does: it waits for nothing.
func (k *kiosk) reads(keys string) {
	k.browser.t.Helper()
	for _, key := range keys {
		k.do("a key of the reader", chromedp.KeyEvent(string(key)), chromedp.Sleep(keyEvery))
	}
}

// focus is the id of what has the focus.
func (k *kiosk) focus() (id string) {
	k.browser.t.Helper()
	k.do("focus", chromedp.Evaluate(`document.activeElement.id`, &id))
	return id
}

// moved are those of the jobs that were let go or deleted.
func (k *kiosk) moved(ids ...graphtest.JobID) (list []string) {
	for _, id := range ids {
		if job, _ := k.sim.Job(id); job.Effects.Applied() != 0 {
			list = append(list, fmt.Sprintf("%s: %+v", id.Job, job.Effects))
		}
	}
	return list
}

// untouched fails the test when any of the jobs was let go or deleted.
func (k *kiosk) untouched(when string, ids ...graphtest.JobID) {
	k.browser.t.Helper()
	if list := k.moved(ids...); list != nil {
		k.browser.t.Fatalf("%s: %s", when, strings.Join(list, ", "))
	}
}

// begins shows the jobs of a card on a page that has come.
func (k *kiosk) begins(card string) {
	k.browser.t.Helper()
	k.ready()
	k.reads(card + "\r")
	k.sees("Your jobs")
	k.ready()
}

// home leaves whatever the station shows.
func (k *kiosk) home() { k.browser.t.Helper(); k.open("/station/hq-2-west"); k.idle() }

const (
	printButton  = `(//button[normalize-space(.)="Print"])[1]`
	deleteButton = `(//button[normalize-space(.)="Delete"])[1]`
	allButton    = `//button[contains(., "Print all")]`
)

// At no moment of a page's load does a card press anything, however its reader
// ends a number; it is not lost, and the field has the focus on the page that comes.
func TestBrowserReaderWhileLoading(t *testing.T) {
	k := newKiosk(t)
	a, b := k.jobs(3)
	fourth, err := k.sim.Submit(graphtest.JobSpec{Printer: pullID, User: teacherID})
	if err != nil {
		t.Fatal(err)
	}
	k.await("one more", 10*time.Second, func() bool { return len(k.all()) == 7 })
	all := append(append([]graphtest.JobID{fourth}, a...), b...)
	for i, form := range []string{"%s\r", "%s\t\r", "%s\r\r", "%s\t", " %s\r"} {
		first := time.Duration(i%2) * 60 * time.Millisecond // so that each moment is one of some forms
		for after := first % *loadEvery; after <= 480*time.Millisecond; after += *loadEvery {
			what := fmt.Sprintf("%q, %s after the first", form, after)
			k.home()
			k.reads(cardA + "\r")
			k.do("wait", chromedp.Sleep(after))
			k.reads(fmt.Sprintf(form, cardB))
			k.rests()
			k.untouched(what, all...)
			k.sees("Print all 4") // those of card B: it is not lost
			if id := k.focus(); id != "badge" {
				t.Fatalf("%s: the focus is on %q", what, id)
			}
		}
	}
	// What was pressed by the person is done once, whatever a reader types then.
	pressed := map[string]string{"Print": printButton, "Delete": deleteButton}
	for name, button := range pressed {
		for after := time.Duration(0); after <= 120*time.Millisecond; after += 40 * time.Millisecond {
			a, b := k.jobs(1)
			k.home()
			k.begins(cardA)
			before := len(k.moved(append(all, a...)...))
			k.do(name, chromedp.Click(button, chromedp.BySearch), chromedp.Sleep(after))
			k.reads(cardB + "\t\r")
			k.rests()
			all = append(append(all, a...), b...)
			if n := len(k.moved(all...)) - before; n != 1 {
				t.Fatalf("%s, and a card %s later: %d jobs moved", name, after, n)
			}
			k.home()
			k.begins(cardB)
			k.untouched("the next person's", b...)
		}
	}
}

// The next person's card begins their visit on every page, and presses nothing;
// the same card changes nothing.
func TestBrowserNextPerson(t *testing.T) {
	k := newKiosk(t)
	a, b := k.jobs(4)
	another := func(where string, ids ...graphtest.JobID) {
		t.Helper()
		for _, form := range []string{cardB + "\r", cardB + "\t\r", cardB + "\r\n"} {
			k.reads(form)
			k.sees("Print all 4")
			k.rests()
			k.untouched(where, append(ids, b...)...)
			if id := k.focus(); id != "badge" {
				t.Fatalf("%s: the focus is on %q", where, id)
			}
		}
	}
	k.begins(cardA)
	another("the list", a...)
	k.begins(cardA)
	k.do("print one", chromedp.Click(printButton, chromedp.BySearch))
	k.sees("1 job is printing")
	another("what was done", a[1:]...)
	k.begins(cardA)
	k.do("delete one", chromedp.Click(deleteButton, chromedp.BySearch))
	k.sees("The job is deleted")
	another("what was deleted", a[2:]...)
	k.open("/station/hq-2-west/enrol")
	k.rests()
	another("the code", a[2:]...)

	// The pointer goes down on a button and slides off; then it rests elsewhere.
	k.begins(cardA)
	var x, y float64
	k.do("where", chromedp.WaitVisible(allButton, chromedp.BySearch), chromedp.Evaluate(
		`(() => { const r = [...document.querySelectorAll("button.big")][0].getBoundingClientRect(); return r.x + r.width / 2 })()`, &x),
		chromedp.Evaluate(
			`(() => { const r = [...document.querySelectorAll("button.big")][0].getBoundingClientRect(); return r.y + r.height / 2 })()`, &y))
	k.do("slide off", input.DispatchMouseEvent(input.MousePressed, x, y).WithButton(input.Left).WithClickCount(1),
		input.DispatchMouseEvent(input.MouseMoved, 5, 5).WithButton(input.Left),
		input.DispatchMouseEvent(input.MouseReleased, 5, 5).WithButton(input.Left).WithClickCount(1), chromedp.Sleep(200*time.Millisecond))
	k.reads(cardB + "\r")
	k.reads(cardB + "\t\r")
	k.rests()
	k.untouched("a button that was let go", append(a[2:], b...)...)
	k.home()

	// A click on words gives the focus back.
	k.begins(cardA)
	k.do("click on words", chromedp.Click(`(//strong[@class="title"])[1]`, chromedp.BySearch))
	another("words", a[2:]...)

	// One card twice, at once and a little later.
	for _, after := range []time.Duration{0, 250 * time.Millisecond, 300 * time.Millisecond, 350 * time.Millisecond, time.Second} {
		k.home()
		k.reads(cardA + "\r")
		k.do("wait", chromedp.Sleep(after))
		k.reads(cardA + "\r")
		k.rests()
		k.untouched("the same card", append(a[2:], b...)...)
		k.sees("Print all 2") // whatever the page was doing, no key is lost
	}
}

// presses is a key with Alt held down.
func (k *kiosk) presses(key string) {
	k.browser.t.Helper()
	k.do("Alt and "+key, chromedp.KeyEvent(key, chromedp.KeyModifiers(input.ModifierAlt)))
}

// Who has no pointer presses what a control says, and gets nowhere else by Tab; the
// page works without scripts.
func TestBrowserKeyboard(t *testing.T) {
	k := newKiosk(t)
	a, b := k.jobs(4)
	k.do("no scripts", emulation.SetScriptExecutionDisabled(true))
	k.home()
	k.begins(cardA)
	// Tab, Enter and the space bar press nothing, wherever they get.
	for tabs := range 12 {
		for _, key := range []string{"\r", " "} {
			k.do("tabs", chromedp.KeyEvent(strings.Repeat("\t", tabs)), chromedp.KeyEvent(key))
			k.rests()
			k.untouched(fmt.Sprintf("%d tabs and %q", tabs, key), append(a, b...)...)
			k.home()
			k.begins(cardA)
		}
	}
	// A reader that sends each character as Alt and its code types, or does nothing.
	for _, digit := range "0123456789" {
		k.do("Alt and a digit", chromedp.KeyEvent(string(digit), chromedp.KeyModifiers(input.ModifierAlt)))
	}
	k.rests()
	k.untouched("digits with Alt", append(a, b...)...)
	k.home()
	k.begins(cardA)
	k.presses("b")
	k.sees("1 job is printing")
	if len(k.moved(a[0])) != 1 {
		t.Error("not printed by its key")
	}
	k.untouched("the others", append(a[1:], b...)...)
	if id := k.focus(); id != "badge" {
		t.Errorf("the focus is on %q", id)
	}
	k.presses("e")
	k.sees("The job is deleted")
	k.reads(cardB + "\r")
	k.sees("Print all 4")
	k.untouched("the next person", append(a[2:], b...)...)
	k.presses("d")
	k.idle()
	k.begins(cardA)
	k.presses("a")
	k.sees("2 jobs are printing")
	k.presses("d")
	k.idle()
	k.presses("n")
	k.sees("The code you were given")
	k.presses("b")
	k.idle()
	k.untouched("the next person's", b...)
}

// While what was pressed is under way, however long that takes, a reader presses
// nothing. DevTools answer no question about the page meanwhile, but type.
func TestBrowserSlowNetwork(t *testing.T) {
	k := newKiosk(t)
	a, b := k.jobs(2)
	for name, press := range map[string]func(){
		"the pointer": func() { k.do("print", chromedp.Click(printButton, chromedp.BySearch)) },
		"a key":       func() { k.presses("b") },
	} {
		k.home()
		k.begins(cardA)
		k.rests()
		before := len(k.moved(a...))
		resume := k.halt(t)
		press()
		k.do("a moment", chromedp.Sleep(300*time.Millisecond))
		k.reads(cardB + "\t\r")
		resume()
		k.rests()
		if n := len(k.moved(append(a, b...)...)) - before; n != 1 {
			t.Errorf("%s: %d jobs moved, want 1", name, n)
		}
	}
}

// On the smallest screen of a kiosk Print all is in sight.
func TestBrowserPrintAllInSight(t *testing.T) {
	k := newKiosk(t)
	k.jobs(8)
	k.do("a small screen", chromedp.EmulateViewport(1024, 600))
	k.begins(cardA)
	var bottom float64
	k.do("where", chromedp.Evaluate(`document.querySelector("button.big").getBoundingClientRect().bottom`, &bottom))
	if bottom > 600 {
		t.Errorf("Print all ends at %v of 600", bottom)
	}
}

// The pages that are not in TestBrowser: jobs of others, trouble, a locked reader.
func TestBrowserPictures(t *testing.T) {
	k := newKiosk(t)
	k.jobs(2)
	if _, err := k.api.Delegate(t.Context(), teacherID, studentID, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	k.begins(cardA)
	k.sees("who lets you print them")
	k.picture("others")
	k.home()
	k.refuse(http.StatusServiceUnavailable, "users.list", true)
	k.reads("E1077\r")
	k.sees("Begin again")
	k.picture("trouble")
	k.back()
	for i := range 6 {
		k.home()
		k.reads(fmt.Sprintf("990%d\r", i))
		k.sees("Begin again")
	}
	k.sees("Please wait a minute")
	k.picture("locked")
	k.open("/station/none")
	k.sees("There is no such device")
	k.picture("no-device")
}
