package daemon_test

import (
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// answers makes the page's script get what a function of JavaScript makes of an answer
// of ours: the proxy of these tests takes the refresh out of pages.
func (k *kiosk) answers(js string) {
	k.browser.t.Helper()
	k.do("other answers", chromedp.Evaluate(`(() => {
		window.ours ??= window.fetch;
		const of = `+js+`;
		window.fetch = async (...args) => {
			const answer = await window.ours(...args);
			return new Response(of(await answer.text()), { status: answer.status });
		};
	})()`, nil))
}

const refreshIn2s = `(text) => text.replace('<meta name="refresh" content="30;', '<meta http-equiv="refresh" content="2;')`

// The script forgets a person in their time, and loses no card by it; when nothing
// answers it shows nobody's jobs; and it makes way for that of another version.
func TestBrowserScript(t *testing.T) {
	k := newKiosk(t)
	jobs := k.twoAndThree()
	k.answers(refreshIn2s)
	k.begins(cardA)
	k.sees("Hold it to the reader")
	k.rests()
	if got := k.owner(); got != "" {
		t.Errorf("not forgotten: the page is that of %q", got)
	}
	// While somebody moves the pointer the page stays for longer, and counts anew.
	k.begins(cardA)
	for i := range 6 {
		k.do("move", input.DispatchMouseEvent(input.MouseMoved, float64(100+i), 100), chromedp.Sleep(time.Second))
		if got := k.owner(); got != "student" {
			t.Fatalf("%d s after the card, with somebody there, the page is that of %q", i+1, got)
		}
	}
	k.sees("Hold it to the reader")
	// The page goes on 3 s after the last key: cards before, at and after that moment.
	for after := 2700 * time.Millisecond; after <= 3300*time.Millisecond; after += 50 * time.Millisecond {
		k.home()
		k.answers(refreshIn2s)
		k.reads(cardA + "\r")
		k.do("wait", chromedp.Sleep(after))
		k.reads(cardB + "\t")
		if got := k.shows("teacher", 5*time.Second); got != "teacher" {
			t.Errorf("a card %s after the first: the page is that of %q", after, got)
		}
	}

	k.home()
	k.begins(cardA)
	k.do("no answers", chromedp.Evaluate(`window.ours = window.fetch; window.fetch = () => Promise.reject(new TypeError("offline"))`, nil))
	k.do("print", chromedp.Click(printButton, chromedp.BySearch))
	k.sees("pullprint does not answer")
	if got := k.owner(); got != "" || k.focus() != "badge" {
		t.Errorf("without answers the page is that of %q, the focus on %q", got, k.focus())
	}
	k.reads(cardB + "\r")
	k.sees("pullprint does not answer")
	k.do("answers again", chromedp.Evaluate(`window.fetch = window.ours`, nil))
	k.begins(cardB)
	k.untouched("without answers", jobs...)

	// The first page is loaded anew when the script is another one.
	k.do("mark", chromedp.Evaluate(`window.first = true`, nil))
	k.answers(`(text) => text.replace("station.js?v=", "station.js?v=x").replace('<meta name="refresh" content="30;', '<meta http-equiv="refresh" content="1;')`)
	k.reads(cardA + "\r")
	k.sees("Hold it to the reader")
	k.ready()
	var first bool
	k.do("look for the mark", chromedp.Evaluate(`window.first === true`, &first))
	if first {
		t.Error("the page keeps the script of a version that is gone")
	}
}
