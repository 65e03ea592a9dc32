package console

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"pullprint/policy/pin"
)

// A person sets their PIN and changes it. One that is guessed first, too short or mistyped is not taken,
// and the page says why.
func TestSetPIN(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		pins := pin.New(s.bus.Badges(), []pin.Pepper{{ID: "k", Secret: []byte(strings.Repeat("k", 32))}}, rand.Reader)
		audit := &storedActions{}
		s.pages.Own.PINs, s.pages.Own.Jobs = pins, audit
		v := s.browser()
		v.signIn(annaID, "/")
		v.sees(v.open("/me/pin"), http.StatusOK, "New PIN", "6 to 12 digits")
		for _, w := range []struct{ pin, again, says string }{
			{"", "", "A PIN has 6 to 12 digits"},
			{"27182", "27182", "A PIN has 6 to 12 digits"},
			{"27182a", "27182a", "A PIN has 6 to 12 digits"},
			{strings.Repeat("27182", 3), strings.Repeat("27182", 3), "A PIN has 6 to 12 digits"},
			{"271828", "271829", "The two PINs differ"},
			{"777777", "777777", "is easy to guess"},
			{"654321", "654321", "is easy to guess"},
		} {
			v.sees(v.send("/me/pin", url.Values{"pin": {w.pin}, "again": {w.again}}), http.StatusUnprocessableEntity, w.says)
		}
		state := func(owner string) pin.State {
			t.Helper()
			st, err := pins.StateOf(t.Context(), owner, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return st
		}
		if state(annaID).Set || len(audit.asked) != 0 {
			t.Error("one was taken", audit.asked)
		}
		const often = 10
		for range often {
			v.sees(v.send("/me/pin", url.Values{"pin": {"271828"}, "again": {"271828"}}), http.StatusOK, "Your PIN is set.")
		}
		page := v.send("/me/pin", url.Values{"pin": {"271828"}, "again": {"271828"}})
		v.sees(page, http.StatusTooManyRequests, "Try again in an hour")
		if st := state(annaID); !st.Set || st.By != annaID || state(carlaID).Set {
			t.Errorf("%+v", st)
		}
		if len(audit.asked) != often || !strings.HasPrefix(audit.asked[0], "set-pin "+annaID) {
			t.Errorf("the audit: %q", audit.asked)
		}
	})
}
