package notify_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/decision"
	"pullprint/connector/notice"
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
