package daemon

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// A store whose writes fail turns the canary on, one whose writes never come back stops
// it: only then is it stuck.
func TestCanaryTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := make(chan struct{})
		var rude atomic.Bool
		c := newCanary(func(ctx context.Context) error {
			if !rude.Load() {
				<-ctx.Done()
				return ctx.Err()
			}
			<-hangs
			return ctx.Err()
		}, false, zap.NewNop())
		loops := []loop{{"canary", c.Turned, canaryLimit}}
		if err := stuck(loops); err != nil {
			t.Error("before it runs:", err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.Run(ctx) }()
		time.Sleep(time.Hour)
		if err := stuck(loops); err != nil {
			t.Error("writes that fail:", err)
		}
		rude.Store(true)
		time.Sleep(canaryEvery + canaryLimit + time.Second)
		if err := stuck(loops); err == nil || !strings.Contains(err.Error(), "stuck: canary for 1m") {
			t.Error("writes that hang:", err)
		}
		stop()
		close(hangs)
		<-ended
	})
}

// Each loop of the daemon is one that can be stuck alone, and all are named.
func TestStuckNamesAll(t *testing.T) {
	old := func() time.Time { return time.Now().Add(-time.Hour) }
	now := time.Now
	resting := func() time.Time { return time.Time{} }
	for _, c := range []struct {
		loops []loop
		want  string
	}{
		{[]loop{{"a", now, time.Minute}, {"b", resting, time.Minute}}, ""},
		{[]loop{{"a", now, time.Minute}, {"b", old, time.Minute}}, "stuck: b for 1h0m0s; only a restart helps"},
		{[]loop{{"a", old, time.Minute}, {"b", old, time.Minute}, {"c", old, 2 * time.Hour}}, "stuck: a for 1h0m0s, b for 1h0m0s; only a " +
			"restart helps"},
	} {
		got := ""
		if err := stuck(c.loops); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
