package daemon_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/bus/bustest"
)

// readers is what the top of the console says of readers, and what the API says of the one in the west.
func (o *office) readers() (top string, west apiclient.DeviceEntry) {
	o.t.Helper()
	desk := o.surfer()
	desk.load("/login", url.Values{"token": {adminToken}})
	_, text := desk.load("/", nil)
	top, _, _ = strings.Cut(text, "checks are well")
	var list apiclient.DeviceList
	if code := o.ask(adminToken, "GET", "/v1/devices", "", &list); code != 200 {
		o.t.Fatal(code)
	}
	for _, d := range list.Devices {
		if d.ID == "hq-2-west" {
			west = d
		}
	}
	return top, west
}

// A station whose page is not loaded any more stands in red at the top of the console until it is; who
// looks at the page from elsewhere is no station.
func TestSilentReader(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		const told = "nothing is heard of 1 station: hq-2-west since "
		want := func(when string, silent bool) {
			t.Helper()
			top, west := s.readers()
			if strings.Contains(top, told) != silent || west.Silent != silent || west.Heard.IsZero() {
				t.Errorf("%s: silent %v, heard %s, want %v:\n%s", when, west.Silent, west.Heard, silent, top)
			}
		}
		s.tap(number)
		desk := s.surfer()
		desk.load("/login", url.Values{"token": {adminToken}})
		desk.load("/station/hq-2-west", nil)
		time.Sleep(20 * time.Minute)
		want("a reader that shows badges", false)
		c := s.screen()
		c.get("")
		time.Sleep(20 * time.Minute)
		want("a screen that is off", true)
		c.get("")
		want("a screen that is on again", false)
	})
}
