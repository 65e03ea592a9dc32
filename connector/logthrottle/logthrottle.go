// Package logthrottle limits repeated log messages to one a minute and keeps the most
// recent lines.
package logthrottle

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// every is how often one cause is logged.
const every = time.Minute

// lookEvery is how often held-back lines are looked through for those that are due: a
// cause that stopped is logged once more, at most this much later than every.
const lookEvery = 5 * time.Second

// maxCauses bounds memory: each cause keeps its key and its last line, about 1 KiB. Beyond
// it, new causes are told apart by logger and message alone.
const maxCauses = 1000

// Throttle limits the lines of the loggers that it wraps. It is safe for concurrent use.
type Throttle struct {
	last *Last

	mu     sync.Mutex // guards causes
	causes map[string]*cause
}

// cause is what is remembered of one.
type cause struct {
	told time.Time // when a line of it was last written
	kept int       // lines held back since then
	line line      // the last of them
}

// line is one that is not written yet.
type line struct {
	core   zapcore.Core
	entry  zapcore.Entry
	fields []zapcore.Field
}

// New makes a throttle and starts nothing.
func New() *Throttle { return &Throttle{last: newLast(), causes: map[string]*cause{}} }

// Last returns the most recent lines.
func (t *Throttle) Last() *Last { return t.last }

// Wrap returns a logger that writes what log would, but the lines of one cause once a
// minute. A warning or an error is about a cause, and so is a line of any level that has
// an error. What is about one job and has no error is an event of that job, and always
// written. The next line of a cause has how many were held back before it in the field
// suppressed. Debug lines are all written.
func (t *Throttle) Wrap(log *zap.Logger) *zap.Logger {
	return log.WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core {
		kept := zapcore.NewCore(zapcore.NewJSONEncoder(Encoding()), t.last, c)
		return &throttled{Core: zapcore.NewTee(c, kept), throttle: t}
	}))
}

// Start runs the throttle until stop is called, which returns once every line that was
// held back is written. Call it after everything that still logs while it ends.
func (t *Throttle) Start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = t.Run(ctx) // ends with ctx
	}()
	return func() {
		cancel()
		<-done
	}
}

// Run writes the last line of each cause that has lines held back for a minute, and of
// all of them when ctx ends.
func (t *Throttle) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			t.flush(time.Now(), 0)
			return ctx.Err()
		case now := <-tick.C:
			t.flush(now, every)
		}
	}
}

// flush writes the held-back line of each cause that was logged longer than age ago, and
// forgets the causes without one. The cause may be gone by now, so the line has in the
// field last when it was logged.
func (t *Throttle) flush(now time.Time, age time.Duration) {
	var due []line
	t.mu.Lock()
	for key, c := range t.causes {
		switch {
		case now.Sub(c.told) < age:
		case c.kept == 0:
			delete(t.causes, key)
		default:
			l := c.line.with(c.kept-1, zap.Time("last", c.line.entry.Time))
			l.entry.Time = now // lines are in the order of their times
			due = append(due, l)
			*c = cause{told: now}
		}
	}
	t.mu.Unlock()
	for _, l := range due {
		_ = l.core.Write(l.entry, l.fields) // a failed log write cannot be logged
	}
}

// with adds fields, and how many lines before this one were held back.
func (l line) with(suppressed int, fields ...zap.Field) line {
	if suppressed > 0 {
		fields = append(fields, zap.Int("suppressed", suppressed))
	}
	l.fields = slices.Concat(l.fields, fields)
	return l
}

// throttled is a core whose lines the throttle may hold back.
type throttled struct {
	zapcore.Core
	throttle *Throttle
	about    string // the part of the key that the logger's own fields make
}

// With implements zapcore.Core.
func (h *throttled) With(fields []zapcore.Field) zapcore.Core {
	return &throttled{h.Core.With(fields), h.throttle, h.about + about(fields)}
}

// Check implements zapcore.Core.
func (h *throttled) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if h.Enabled(e.Level) {
		return ce.AddCore(e, h)
	}
	return ce
}

// Write implements zapcore.Core.
func (h *throttled) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if !isCause(e.Level, fields) {
		return h.Core.Write(e, fields)
	}
	admitted, ok := h.throttle.admit(e.LoggerName+": "+e.Message, h.about+about(fields), line{h.Core, e, fields})
	if !ok {
		return nil
	}
	return h.Core.Write(admitted.entry, admitted.fields)
}

// admit returns the line to write now, or false when it is held back.
func (t *Throttle) admit(text, about string, l line) (line, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := text + about
	c := t.causes[key]
	if c == nil && len(t.causes) >= maxCauses {
		key = text
		c = t.causes[key]
	}
	switch {
	case c == nil:
		t.causes[key] = &cause{told: l.entry.Time}
		return l, true
	case l.entry.Time.Sub(c.told) < every:
		c.kept++
		c.line = l
		return l, false
	}
	l = l.with(c.kept)
	*c = cause{told: l.entry.Time}
	return l, true
}

// Encoding is the format of the log, and of the lines that are kept of it.
func Encoding() zapcore.EncoderConfig {
	c := zap.NewProductionEncoderConfig()
	c.TimeKey, c.EncodeTime, c.EncodeDuration = "time", zapcore.RFC3339NanoTimeEncoder, zapcore.StringDurationEncoder
	return c
}
