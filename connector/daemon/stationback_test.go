package daemon_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"pullprint/connector/bus/bustest"
)

// asBrowser sends forms as a browser does that has no script, and notes where it was led.
type asBrowser struct {
	http.RoundTripper
	led []string
}

func (a *asBrowser) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	res, err := a.RoundTripper.RoundTrip(req)
	if err == nil && res.StatusCode == http.StatusSeeOther {
		a.led = append(a.led, res.Header.Get("Location"))
	}
	return res, err
}

// A form with a card is in no history of a browser: what it leads to is an address that
// shows somebody's jobs once.
func TestCardLeavesNoForm(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s, student, teacher := two(t, 2)
		defer s.end()
		c := s.screen()
		a := &asBrowser{RoundTripper: c.client.Transport}
		c.client.Transport = a
		c.badge(number)
		c.sees("Print all 2")
		if len(a.led) != 1 || !strings.Contains(a.led[0], "/station/hq-2-west/jobs?visit=") || strings.Contains(a.led[0], number) {
			t.Fatalf("led to %q", a.led)
		}
		first, form := strings.TrimPrefix(a.led[0], "/station/hq-2-west"), c.form()
		c.get(first) // back, and loaded anew
		c.sees("Show your badge", "Your time here is over")
		c.post("release", form)
		c.sees("2 jobs are printing")
		c.badge(teachersCard)
		c.sees("Print all 2")
		c.get(first)
		c.sees("Your time here is over")
		if n := s.applied(teacher...); n != 0 || s.applied(student...) != 2 {
			t.Errorf("%d jobs of the teacher are printed", n)
		}

		// What is told to a card comes with the page that it leads to.
		c.get("")
		c.badge("nobody's")
		c.sees("No job is waiting for this badge here.")
		c.post("enrol", url.Values{"badge": {"nobody's"}})
		c.sees("Enrol a badge", "type the code that you were given first")
		c.post("jobs", url.Values{"badge": {"1234567", "7654321"}})
		c.sees("Two badges may have been read.")
		for i := range 8 { // more than are unknown in a row by chance
			c.badge(fmt.Sprint(7919 * (i + 3)))
		}
		c.sees("Too many unknown badges.")
		if c.status != http.StatusTooManyRequests {
			t.Errorf("a locked reader: %d", c.status)
		}
		for _, to := range a.led {
			if strings.Contains(to, "nobody") || strings.Contains(to, "1234567") {
				t.Errorf("a card stands in %s", to)
			}
		}
		for _, path := range []string{"?said=99", "?said=-1", "?said=Pay+here", "/jobs", "/jobs?visit=none"} {
			if c.get(path); c.status != http.StatusOK || strings.Contains(c.page, "Pay") {
				t.Errorf("%s: %d %s", path, c.status, c.page)
			}
			c.sees("Show your badge")
		}
	})
}

// A station whose token is not valid for a while goes on by itself.
func TestStationSignInIsLoadedAnew(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s, _, _ := two(t, 1)
		defer s.end()
		c := s.screen()
		c.client.Jar = nil
		c.get("")
		c.sees("Set up the station", `<meta http-equiv="refresh" content="120; url=/station/hq-2-west">`)
	})
}

// Without a script, too, going back and loading a page anew shows nobody's jobs.
func TestBrowserBackWithoutScript(t *testing.T) {
	k := newKiosk(t)
	a, b := k.jobs(2)
	k.do("no scripts", emulation.SetScriptExecutionDisabled(true))
	k.home()
	k.begins(cardA)
	k.do("leave", chromedp.Click(`//button[normalize-space(.)="Done"]`, chromedp.BySearch))
	k.idle()
	var list []*page.NavigationEntry
	k.do("history", chromedp.ActionFunc(func(ctx context.Context) (err error) {
		_, list, err = page.GetNavigationHistory().Do(ctx)
		return err
	}))
	for i := len(list) - 1; i > 0; i-- {
		var text string
		k.do("back, and anew", page.NavigateToHistoryEntry(list[i].ID), chromedp.Sleep(time.Second), page.Reload(),
			chromedp.Sleep(time.Second), chromedp.Text("body", &text))
		if strings.Contains(text, "Your jobs") || strings.Contains(text, "Follow-Me") || !strings.Contains(text, "Show your badge") {
			t.Errorf("%s: %s", list[i].URL, text)
		}
	}
	k.untouched("back", append(a, b...)...)
}
