package connector_test

import (
	"errors"
	"fmt"
	"testing"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// Two replicas count the guesses at a reader together, and know the same card
// again; nothing of a number is in what they share.
func TestStrikesTogether(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		var replicas []*connector.Taps
		for range 2 {
			taps := connector.NewTaps(w.live("").release, connector.NewBadgeOwners(badgeBook(t, w.bus, badgeKey(1)), nil))
			taps.Share(w.bus.State())
			replicas = append(replicas, taps)
		}
		locked := func(number string) bool {
			t.Helper()
			var first [2]bool
			for i, taps := range replicas {
				_, err := taps.Tap(t.Context(), "hq-2-west", number)
				var l *connector.LockedError
				first[i] = errors.As(err, &l)
			}
			return first[0] || first[1]
		}
		for i := range 4 {
			if locked(fmt.Sprint("guess-", i)) {
				t.Fatalf("locked after %d cards", i)
			}
		}
		for range 10 {
			if locked("guess-0") {
				t.Fatal("locked by a card that was counted")
			}
		}
		if _, err := replicas[0].Tap(t.Context(), "hq-2-west", "guess-4"); err != nil {
			t.Fatal(err)
		}
		for i, taps := range replicas {
			if _, err := taps.Tap(t.Context(), "hq-2-west", "1001"); err == nil {
				t.Errorf("replica %d is not locked after five", i)
			}
		}
	})
}
