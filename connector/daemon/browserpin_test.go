package daemon_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/device"
	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/trigger/graph/graphtest"
)

// pinKiosk is a station that asks for PINs, in a browser: the student has a card and a PIN.
func pinKiosk(t *testing.T, factors string) *kiosk {
	t.Helper()
	if !*long && *screenshots == "" {
		t.Skip("it needs Chromium, and takes its time: -long plays it")
	}
	o := newOffice(t, graphtest.Calm())
	o.located = ", location: 'HQ, 2nd floor west', factors: [" + factors + "]"
	o.more = "station: {help: 'IT help desk, phone 4711'}"
	o.install("embedded: {store_dir: nats, max_store: 256MiB}")
	o.peopleSignIn("http://" + o.admin())
	base := o.onSocket()
	s := o.start(zap.NewNop())
	t.Cleanup(s.end)
	s.register()
	for card, owner := range map[string]string{cardA: studentID, digitsCard: teacherID} {
		if err := adminClient(base).enrol(card, owner); err != nil {
			t.Fatal(err)
		}
	}
	socket := strings.TrimPrefix(base, "http://")
	student := o.surfer()
	student.client.Transport = roundTrips(func(req *http.Request) (*http.Response, error) {
		if req.URL.Host == graphAddr {
			return o.sim.Transport().RoundTrip(req)
		}
		req = req.Clone(req.Context())
		req.Host, req.URL.Host = req.URL.Host, socket
		return http.DefaultTransport.RoundTrip(req)
	})
	student.signIn(studentID, "/me/pin")
	_, text := student.load("/me/pin", url.Values{"pin": {studentsPIN}, "again": {studentsPIN}})
	student.says(text, []string{"Your PIN is set."}, nil)
	k := &kiosk{newBrowser(t, base), s, apiclient.New(base, adminToken)}
	k.open("/station/hq-2-west")
	k.do("token", chromedp.SendKeys("#token", readerToken+"\r"))
	k.ready()
	return k
}

// asks waits for the page that asks for a PIN, with its field in focus.
func (k *kiosk) asks(texts ...string) {
	k.browser.t.Helper()
	for _, text := range append(texts, "Type your PIN") {
		k.sees(text)
	}
	k.rests()
	if id := k.focus(); id != "pin" {
		k.browser.t.Fatalf("the focus is on %q", id)
	}
}

// personTypes types as a person does.
func (k *kiosk) personTypes(keys string) {
	k.browser.t.Helper()
	for _, key := range keys {
		k.do("a key", chromedp.KeyEvent(string(key)), chromedp.Sleep(90*time.Millisecond))
	}
}

// touches types a PIN on the keypad.
func (k *kiosk) touches(digits string) {
	k.browser.t.Helper()
	for _, d := range digits {
		k.do("a key of the keypad", chromedp.Click(fmt.Sprintf(`[data-digit="%c"]`, d), chromedp.ByQuery))
	}
	k.do("the focus comes back", chromedp.WaitVisible(`#pin:focus`, chromedp.ByQuery))
}

const (
	keypadOK     = `.keypad button:not([data-digit])`
	keypadDelete = `[data-digit=""]`
)

// With a card and a PIN a person gets in by keyboard, by touch, and without a script; a card that is read
// where a PIN is asked for is a card, whatever was typed before; five wrong ones lock.
func TestBrowserPIN(t *testing.T) {
	k := pinKiosk(t, "badge+pin")
	jobs := k.hold(2)
	k.reads(cardA + "\r")
	k.asks()
	k.personTypes(studentsPIN + "\r")
	k.sees("Print all 2")

	k.reads(cardA + "\r")
	k.asks()
	k.touches("27182")
	k.touches("9")
	k.do("delete the last", chromedp.Click(keypadDelete, chromedp.ByQuery))
	k.touches("8")
	k.do("go on", chromedp.Click(keypadOK, chromedp.ByQuery))
	k.sees("Print all 2")

	// Cards in the middle of a PIN, of somebody else and the same; and a PIN that a reader types.
	k.reads(cardA + "\r")
	k.asks()
	k.touches("27")
	k.personTypes("18")
	k.reads(digitsCard + "\r")
	k.asks()
	k.personTypes(studentsPIN + "\r")
	k.asks("That PIN is wrong")
	k.reads(cardA + "\r")
	k.reads(cardA + "\r")
	k.asks()
	k.reads(studentsPIN + "\r")
	k.rests()
	if k.owner() != "" {
		t.Error("digits of a reader were a PIN")
	}
	k.untouched("nobody pressed anything", jobs...)

	k.do("no scripts", emulation.SetScriptExecutionDisabled(true))
	k.open("/station/hq-2-west")
	k.ready()
	k.reads(cardA + "\r")
	k.asks()
	k.personTypes(studentsPIN)
	k.do("go on", chromedp.Click(`button.plain`, chromedp.ByQuery))
	k.sees("Print all 2")
	k.do("scripts", emulation.SetScriptExecutionDisabled(false))

	k.open("/station/hq-2-west")
	k.ready()
	k.reads(cardA + "\r")
	for range 4 { // with that of the teacher's card they are five at this device
		k.asks()
		k.personTypes("141421\r")
		k.sees("That PIN is wrong")
	}
	k.personTypes(studentsPIN + "\r")
	k.sees("Too many wrong PINs")
	k.untouched("nobody pressed anything", jobs...)
}

// Where badges count for nothing, a person types who they are, and their PIN.
func TestBrowserPINAlone(t *testing.T) {
	k := pinKiosk(t, "pin")
	k.hold(1)
	k.personTypes("nobody@contoso.com\r")
	k.asks()
	k.personTypes(studentsPIN + "\r")
	k.asks("This name and this PIN do not belong together")
	k.do("the next person", chromedp.SendKeys("#badge", "student@contoso.com\r"))
	k.asks()
	k.do("a touch screen", chromedp.Emulate(device.IPadlandscape))
	k.touches(studentsPIN)
	k.do("go on", chromedp.Click(keypadOK, chromedp.ByQuery))
	k.sees("Print all 1")
	k.do("done", chromedp.Click(`//button[normalize-space(.)="Done"]`, chromedp.BySearch))
	k.sees("Type who you are")
}

// The pages for a PIN in three languages: see TestBrowserStationPages. The keypad is in sight.
func TestBrowserPINPages(t *testing.T) {
	k := pinKiosk(t, "badge, pin")
	for _, code := range []string{"en", "de", "pl"} {
		page := func(name, has string) {
			t.Helper()
			k.do(name, chromedp.WaitVisible(has, chromedp.ByQuery))
			k.rests()
			k.looksGood(name + "-" + code)
		}
		k.do("language", emulation.SetUserAgentOverride("a kiosk").WithAcceptLanguage(code))
		k.open("/station/hq-2-west")
		page("pin-idle", `section.idle`)
		k.open("/station/hq-2-west/name")
		page("pin-name", `section.idle`)
		k.do("a small screen", chromedp.EmulateViewport(1024, 600))
		k.personTypes("student@contoso.com\r")
		page("pin", `.keypad`)
		k.do("a small screen", chromedp.EmulateViewport(1024, 600))
		k.personTypes("141421\r")
		page("pin-wrong", `p.wrong`)
		var lang string
		var bottom float64
		k.do("in sight", chromedp.EmulateViewport(1024, 600), chromedp.Evaluate(`document.documentElement.lang`, &lang),
			chromedp.Evaluate(`document.querySelector(".keypad").getBoundingClientRect().bottom`, &bottom))
		if lang != code || bottom > 600 {
			t.Errorf("%s: the page is in %s, and the keypad ends at %v of 600", code, lang, bottom)
		}
	}
}
