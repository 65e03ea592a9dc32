package daemon_test

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"pullprint/trigger/graph/graphtest"
)

const (
	controlJ  = '␊' // a line feed as Ctrl+J
	showThere = `//form[.//input[@id="badge"]]//button`
)

// tooSlow is how long a key of a reader may take on a busy machine: one that is slower
// is none to the station's script.
const tooSlow = 45 * time.Millisecond

// sends types keys of a habit, with a pause between two.
func (k *kiosk) sends(keys string, every time.Duration) (took time.Duration) {
	k.browser.t.Helper()
	began := time.Now()
	for _, key := range keys {
		switch key {
		case pressShow:
			k.do("the button beside the field", chromedp.Click(showThere, chromedp.BySearch))
		case waitShort:
			k.do("a second", chromedp.Sleep(time.Second))
		case waitLong:
			k.do("eleven seconds", chromedp.Sleep(11*time.Second))
		case controlJ:
			k.do("Ctrl+J", chromedp.KeyEvent("j", chromedp.KeyModifiers(input.ModifierCtrl)))
		default:
			k.do("a key", chromedp.KeyEvent(string(key)), chromedp.Sleep(every))
		}
	}
	return time.Since(began) / time.Duration(len([]rune(keys)))
}

// owner is whose jobs are shown: the student's and the teacher's differ in number.
func (k *kiosk) owner() string {
	k.browser.t.Helper()
	var text string
	k.do("whose", chromedp.Evaluate(`document.querySelector("main").innerText`, &text))
	for all, who := range map[string]string{"Print all 2": "student", "Print all 3": "teacher"} {
		if strings.Contains(text, all) {
			return who
		}
	}
	return ""
}

// shows waits until somebody's jobs are shown.
func (k *kiosk) shows(who string, within time.Duration) (got string) {
	k.browser.t.Helper()
	for end := time.Now().Add(within); ; {
		if got = k.owner(); got == who || time.Now().After(end) {
			return got
		}
		k.do("wait", chromedp.Sleep(50*time.Millisecond))
	}
}

// twoAndThree are two jobs of the student and three of the teacher.
func (k *kiosk) twoAndThree() []graphtest.JobID {
	k.browser.t.Helper()
	a, b := k.jobs(2)
	id, err := k.sim.Submit(graphtest.JobSpec{Printer: pullID, User: teacherID})
	if err != nil {
		k.browser.t.Fatal(err)
	}
	k.await("jobs held", 10*time.Second, func() bool { return len(k.all()) == 5 })
	return append(append(a, b...), id)
}

// However a reader ends a number, or does not, each card shows its owner's jobs and
// presses nothing; afterwards the field has the focus.
func TestBrowserReaderHabits(t *testing.T) {
	k := newKiosk(t)
	jobs := k.twoAndThree()
	const byHand = 150 * time.Millisecond
	for _, h := range []struct {
		name, keys string
		every      time.Duration
	}{
		{"no end", "N", keyEvery}, // before an end is known of this reader
		{"no end, after Tab", "\tN", keyEvery},
		{"Enter", "N\r", keyEvery},
		{"line feed", "N\n", keyEvery},
		{"Ctrl+J", "N␊", keyEvery},
		{"CR and Ctrl+J", "N\r␊", keyEvery},
		{"CR LF", "N\r\n", keyEvery},
		{"two Enters", "N\r\r", keyEvery},
		{"Enter first", "\rN\r", keyEvery},
		{"Tab", "N\t", keyEvery},
		{"two Tabs", "N\t\t", keyEvery},
		{"three Tabs and Enter", "N\t\t\t\r", keyEvery},
		{"Tab and Enter", "N\t\r", keyEvery},
		{"Enter and Tab", "N\r\t", keyEvery},
		{"Tab first", "\tN\r", keyEvery},
		{"Tab first and last", "\tN\t", keyEvery},
		{"two Tabs first", "\t\tN\t", keyEvery},
		{"space first", " N\r", keyEvery},
		{"space and Tab", "N \t", keyEvery},
		{"read twice", "N\rN\r", keyEvery},
		{"read twice, Tab", "N\tN\t", keyEvery},
		{"by hand", "N\r", byHand},
		{"by hand, Tab", "N\t", byHand},
		{"by hand, and the button", "N▣", byHand},
		{"by hand, a pause", "…N…\r", byHand},
		{"left behind by hand", "33⋯N\r", byHand},
		{"left behind by hand, then a card", "33……N\r", keyEvery},
	} {
		k.home()
		for card, who := range map[string]string{cardA: "student", cardB: "teacher"} {
			took := k.sends(strings.ReplaceAll(h.keys, "N", card), h.every)
			if got := k.shows(who, 5*time.Second); got != who {
				if h.every == keyEvery && took > tooSlow && strings.HasSuffix(h.keys, "N") {
					t.Logf("%s: a key took %s, this machine is too busy to be a reader", h.name, took)
					continue
				}
				t.Errorf("%s: the page is that of %q, want %q", h.name, got, who)
			}
			k.rests()
			if id := k.focus(); id != "badge" && !strings.HasSuffix(h.keys, "\t") {
				t.Errorf("%s: the focus is on %q", h.name, id)
			}
			if got := k.owner(); got != who {
				t.Errorf("%s: later the page is that of %q, want %q", h.name, got, who)
			}
		}
		k.untouched(h.name, jobs...)
	}
}

// Without the script a card that ends with Tab stays in the field: then the button
// shows nobody's jobs to the next person, in whatever order they press and read.
func TestBrowserTabWithoutScript(t *testing.T) {
	k := newKiosk(t)
	jobs := k.twoAndThree()
	k.do("no scripts", emulation.SetScriptExecutionDisabled(true))
	for keys, want := range map[string]string{
		cardA + "\t" + cardB + "\t▣":   "",
		cardA + "\t" + cardB + "\r":    "",
		cardA + "\t" + cardB + "\t\t▣": "",
		cardA + cardB + "▣":            "",
		cardA + "\t▣":                  "student",
		cardA + "\t\r":                 "student",
		cardA + "\r…" + cardB + "\t▣":  "teacher",
	} {
		k.home()
		k.sends(keys, 80*time.Millisecond)
		k.do("a moment", chromedp.Sleep(300*time.Millisecond))
		k.rests()
		if got := k.owner(); got != want {
			t.Errorf("%q: the page is that of %q, want %q", keys, got, want)
		}
	}
	k.untouched("without the script", jobs...)
}

// Wherever the focus went, a card is typed into its field.
func TestBrowserFocus(t *testing.T) {
	k := newKiosk(t)
	jobs := k.twoAndThree()
	mouse := func(kind input.MouseType, x, y float64) chromedp.Action {
		return input.DispatchMouseEvent(kind, x, y).WithButton(input.Left).WithClickCount(1)
	}
	at := func(selector string) (x, y float64) {
		var p []float64
		k.do("where", chromedp.Evaluate(`(() => { const r = document.querySelector("`+selector+
			`").getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()`, &p))
		return p[0], p[1]
	}
	onButton := func(then ...chromedp.Action) func() {
		return func() {
			x, y := at("button.big")
			k.do("down", append([]chromedp.Action{mouse(input.MousePressed, x, y)}, then...)...)
		}
	}
	for name, away := range map[string]func(){
		"a click on the page's edge": func() { k.do("click", chromedp.MouseClickXY(3, 500)) },
		"a click on words":           func() { k.do("click", chromedp.Click(`h1`, chromedp.ByQuery)) },
		"a double click on words": func() {
			x, y := at("h1")
			k.do("click", chromedp.MouseClickXY(x, y, chromedp.ClickCount(2)))
		},
		"a button held down": onButton(),
		"a button let go":    onButton(mouse(input.MouseMoved, 5, 5), mouse(input.MouseReleased, 5, 5)),
		"nothing has it":     func() { k.do("blur", chromedp.Evaluate(`document.activeElement.blur()`, nil)) },
		"a button has it":    func() { k.do("focus", chromedp.Evaluate(`document.querySelector("button.big").focus()`, nil)) },
		"the small button":   func() { k.do("focus", chromedp.Evaluate(`document.querySelector("button.quiet").focus()`, nil)) },
		"one Tab":            func() { k.do("tab", chromedp.KeyEvent("\t")) },
		"two Tabs":           func() { k.do("tab", chromedp.KeyEvent("\t\t")) },
		"a key of the printer": func() {
			k.do("F5 is not pressed, Shift is", chromedp.KeyEvent("A", chromedp.KeyModifiers(input.ModifierShift)), chromedp.KeyEvent("\b"))
		},
	} {
		for _, form := range []string{cardB + "\r", cardB + "\t", cardB + "\t\r"} {
			k.home()
			k.begins(cardA)
			away()
			k.reads(form)
			if got := k.shows("teacher", 5*time.Second); got != "teacher" {
				t.Errorf("%s, then %q: the page is that of %q", name, form, got)
			}
			k.do("up", mouse(input.MouseReleased, 5, 5))
			k.untouched(name, jobs...)
		}
	}
	// A press whose answer takes long, and a card meanwhile: both count.
	for i := range 2 {
		k.home()
		k.begins(cardA)
		resume := k.halt(t)
		k.do("print", chromedp.Click(printButton, chromedp.BySearch), chromedp.Sleep(100*time.Millisecond))
		k.reads(cardB + "\r")
		resume()
		if got := k.shows("teacher", 10*time.Second); got != "teacher" {
			t.Errorf("after a press the page is that of %q", got)
		}
		k.rests()
		if n := len(k.moved(jobs[:2]...)); n != i+1 {
			t.Errorf("%d jobs of the student moved, want %d", n, i+1)
		}
		k.untouched("the teacher's", jobs[2:]...)
		if i == 0 { // so that there are two again
			k.print(graphtest.JobSpec{Printer: pullID})
			k.await("one more", 10*time.Second, func() bool { return len(k.all()) == 6 })
		}
	}
}
