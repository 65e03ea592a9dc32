package logthrottle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func guid(n int) string { return fmt.Sprintf("%08x-1111-4222-8333-%012x", n, n) }

// One cause is one line a minute, whatever job or request met it; another status,
// another thing that failed and another logger are other causes.
func TestOneLineAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.InfoLevel)
		log := New().Wrap(zap.New(core))
		failed := func(status, n int) zap.Field {
			return zap.Error(fmt.Errorf("graph get_job: status %d (request-id %s) after %d.%ds", status, guid(n), n, n))
		}
		for n := range 10000 {
			log.Named("worker").Warn("task comes again", zap.String("job", fmt.Sprint(n)),
				zap.String("task", guid(n)), zap.Int("attempt", n),
				failed(503, n))
			time.Sleep(30 * time.Millisecond) // five minutes in all
		}
		if n := logs.Len(); n != 5 {
			t.Errorf("%d lines in five minutes", n)
		}
		if got := logs.All()[1].ContextMap()["suppressed"]; got != int64(1999) {
			t.Errorf("suppressed = %v", got)
		}
		logs.TakeAll()
		named := log.With(zap.String("lease", "sweep"))
		for range 3 {
			log.Named("worker").Warn("task comes again", failed(401, 1))
			log.Named("sweep").Warn("task comes again", failed(503, 1))
			log.Info("pages not counted", failed(404, 1))
			log.Warn("failed, comes again", zap.String("what", "subscription"), failed(503, 1))
			log.Warn("failed, comes again", zap.String("what", "definition"), failed(503, 1))
			log.Warn("lease lost")
			named.Warn("lease lost")
		}
		if n := logs.Len(); n != 7 {
			t.Errorf("%d lines for seven causes: %v", n, logs.All())
		}
	})
}

// Events of jobs, lines that are no failure, and debug lines are all written.
func TestEventsStay(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	log := New().Wrap(zap.New(core))
	for n := range 50 {
		job := zap.String("job", fmt.Sprint(n))
		log.Info("job decided", job, zap.String("verdict", "hold"))
		log.Warn("job decided by a failing rule", job, zap.String("error", "no such key"))
		log.Error("task given up", job, zap.NamedError("cause", errors.New("status 503")))
		log.Info("badge shown", zap.String("device", "west"))
		log.Debug("call comes again", zap.Error(errors.New("status 503")))
	}
	if n := logs.Len(); n != 250 {
		t.Errorf("%d of 250 lines", n)
	}
}

// The last line of a cause that stopped is written once more, with how many were held
// back before it and when it was logged; at the end no line is left out.
func TestLastHeldLineIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.InfoLevel)
		throttle := New()
		log := throttle.Wrap(zap.New(core))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- throttle.Run(ctx) }()
		for n := range 8 {
			log.Warn("fetch failed", zap.Int("n", n))
		}
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if logs.Len() != 1 {
			t.Fatalf("%d lines", logs.Len())
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if all := logs.All(); len(all) != 2 || all[1].ContextMap()["n"] != int64(7) || all[1].ContextMap()["suppressed"] != int64(6) {
			t.Fatalf("%v", all)
		} else if last := all[1].ContextMap()["last"]; last != all[0].Time {
			t.Errorf("last = %v, it was logged at %v", last, all[0].Time)
		}
		for n := range 2 {
			log.Warn("fetch failed", zap.Int("n", 8+n))
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if all := logs.All(); len(all) != 3 || all[2].ContextMap()["n"] != int64(9) {
			t.Errorf("%v", all)
		}
	})
}

// Memory is bounded however many causes there are; beyond the bound, logger and message
// alone tell causes apart.
func TestManyCauses(t *testing.T) {
	core, logs := observer.New(zapcore.InfoLevel)
	throttle := New()
	log := throttle.Wrap(zap.New(core))
	for n := range 3 * maxCauses {
		log.Warn("unheard of", zap.String("what", strings.Repeat("x", n%300)+string(rune('a'+n%26))+strings.Repeat("y", n/300)))
	}
	if n := logs.Len(); n > maxCauses+1 || n < maxCauses || len(throttle.causes) > maxCauses+1 {
		t.Errorf("%d lines, %d causes", n, len(throttle.causes))
	}
}

// The most recent lines are kept as JSON, up to a number and a size, with the fields of
// their logger.
func TestLast(t *testing.T) {
	core, _ := observer.New(zapcore.InfoLevel)
	throttle := New()
	log := throttle.Wrap(zap.New(core)).Named("daemon").With(zap.String("lease", "sweep"))
	for n := range keepLines + 5 {
		log.Info("event", zap.Int("n", n))
		log.Debug("not asked for")
	}
	lines, dropped := throttle.Last().Lines()
	if len(lines) != keepLines || dropped != 5 {
		t.Fatalf("%d lines, %d dropped", len(lines), dropped)
	}
	var first struct {
		Logger, Msg, Lease, Level, Time string
		N                               int
	}
	if err := json.Unmarshal(lines[0], &first); err != nil || first.N != 5 || first.Logger != "daemon" || first.Lease != "sweep" ||
		first.Level != "info" || first.Time == "" {
		t.Errorf("%s %v", lines[0], err)
	}
	for range 30 {
		log.Info(strings.Repeat("z", 1<<17))
	}
	lines, _ = throttle.Last().Lines()
	total := 0
	for _, l := range lines {
		total += len(l)
	}
	if total > keepBytes || len(lines) < 10 {
		t.Errorf("%d bytes in %d lines", total, len(lines))
	}
}
