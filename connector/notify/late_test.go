package notify_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/decision"
	"pullprint/connector/notice"
	"pullprint/policy/pin"
)

// What is no news any more is not told: a decision of another week that is stored once more, and the end
// of a hold that has come before the message could be sent, which is a dead letter.
func TestLateNotices(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b, in := bustest.Open(t), &inbox{}
		d := decision.Decision{
			ID: "task:arrival", At: time.Now().Add(-8 * 24 * time.Hour), Verdict: "abort", Reason: "copies.too-many", Owner: anna,
		}
		body, err := json.Marshal(&d)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.PublishDecision(t.Context(), d.Verdict, d.ID, body); err != nil {
			t.Fatal(err)
		}
		for i, until := range []time.Duration{-time.Minute, time.Hour} {
			n := notice.Notice{
				ID: "task" + string(rune('a'+i)) + ":expiry:hold.ending", Kind: notice.HoldEnding,
				Reason: string(rune('a' + i)), Owner: anna,
				HoldUntil: time.Now().Add(until),
			}
			if err := notice.Write(t.Context(), b, &n); err != nil {
				t.Fatal(err)
			}
		}
		live(t, b, in, -1, time.Minute)
		letters := dead(t, b)
		if n := len(in.of(anna)); n != 1 || len(letters) != 1 || !strings.Contains(letters[0].Error, "hold had ended") {
			t.Errorf("%d messages, dead letters %+v", n, letters)
		}
	})
}

// A person is told of a PIN that was set for them, once; not of one that was set long before and stored
// again, and never of what it is.
func TestPINChanged(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b, in := bustest.Open(t), &inbox{}
		pins := pin.New(b.Badges(), []pin.Pepper{{ID: "k1", Secret: bytes.Repeat([]byte{1}, 32)}}, rand.Reader)
		set := func(text string, at time.Time) {
			t.Helper()
			if err := pins.Set(t.Context(), anna, text, anna, at); err != nil {
				t.Fatal(err)
			}
		}
		set("271828", time.Now().Add(-48*time.Hour))
		live(t, b, in, -1, 5*time.Minute)
		set("271828", time.Now())
		live(t, b, in, -1, 5*time.Minute)
		again := pin.New(b.Badges(), []pin.Pepper{ // under another key, it is stored again when it is right
			{ID: "k2", Secret: bytes.Repeat([]byte{2}, 32)}, {ID: "k1", Secret: bytes.Repeat([]byte{1}, 32)},
		}, rand.Reader)
		if _, err := again.Check(t.Context(), pin.Try{Owner: anna, Device: "west", PIN: "271828"}, time.Now()); err != nil {
			t.Fatal(err)
		}
		live(t, b, in, -1, 2*time.Hour)
		if got := in.of(anna); len(got) != 1 || got[0] != "Your PIN for the printers was set." {
			t.Errorf("%q", got)
		}
	})
}
