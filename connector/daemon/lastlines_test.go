package daemon_test

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// What repeats is told a last time when all has ended, and not when the end begins:
// what happens in between counts as well.
func TestLastLines(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		core, logs := observer.New(zapcore.InfoLevel)
		s := o.start(zap.New(core))
		s.register()
		o.sim.Outage(true)
		pass(3*time.Minute + 50*time.Second) // a failing sweep comes again every 10 s
		s.end()
		ended, told := -1, -1
		for i, e := range logs.All() {
			if e.Message == "daemon stopped" {
				ended = i
			}
			if strings.HasPrefix(e.Message, "sweep failed") {
				told = i
			}
		}
		if ended < 0 || told < ended {
			t.Errorf("the last line of what repeats is line %d, the end is line %d", told, ended)
		}
	})
}
