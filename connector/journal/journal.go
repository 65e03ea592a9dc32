// Package journal limits repeated log messages to one a minute for each cause and keeps
// the most recent lines.
package journal

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Every is how often one cause is told.
const Every = time.Minute

// lookEvery is how often a cause that went quiet is looked for, to tell how often
// it was met.
const lookEvery = 5 * time.Second

// maxCauses bounds what is remembered; past it a cause is the line's own text alone.
const maxCauses = 1000

// Journal stands between loggers and what writes their lines. It is safe for
// concurrent use.
type Journal struct {
	last *Last

	mu     sync.Mutex
	causes map[string]*cause
}

// cause is what is known of one.
type cause struct {
	told time.Time // when its line was last written
	kept int       // lines since then that were not
	line held      // the last of them
}

// held is a line that is not written yet.
type held struct {
	core   zapcore.Core
	entry  zapcore.Entry
	fields []zapcore.Field
}

// New makes a journal that starts nothing.
func New() *Journal { return &Journal{last: newLast(), causes: map[string]*cause{}} }

// Last are the lines that were written last.
func (j *Journal) Last() *Last { return j.last }

// Wrap makes a logger that writes what log would: everything but what is told
// again within a minute for the same cause. A warning or an error is about a cause,
// and so is whatever carries an error; what is about one job and carries none is an
// event of that job, and always written. The line that comes after says in the
// field suppressed how many were not written. Debug lines are written all.
func (j *Journal) Wrap(log *zap.Logger) *zap.Logger {
	return log.WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core {
		return &quiet{Core: zapcore.NewTee(c, zapcore.NewCore(zapcore.NewJSONEncoder(Encoding()), j.last, c)), journal: j}
	}))
}

// Start runs the journal until stop is called, which comes last: after whatever still
// logs while it ends. It returns when all has been told.
func (j *Journal) Start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = j.Run(ctx) // ends with ctx
	}()
	return func() {
		cancel()
		<-done
	}
}

// Run tells once a minute of the causes whose lines are still held back, and of all
// of them when ctx ends.
func (j *Journal) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			j.flush(time.Now(), 0)
			return ctx.Err()
		case now := <-tick.C:
			j.flush(now, Every)
		}
	}
}

// flush writes the last line of each cause that was told of longer ago than age,
// and forgets those that had none.
func (j *Journal) flush(now time.Time, age time.Duration) {
	var due []held
	j.mu.Lock()
	for key, c := range j.causes {
		switch {
		case now.Sub(c.told) < age:
		case c.kept == 0:
			delete(j.causes, key)
		default:
			l := c.line.with(c.kept - 1)
			l.entry.Time = now // lines come in the order of their times
			due = append(due, l)
			*c = cause{told: now}
		}
	}
	j.mu.Unlock()
	for _, l := range due {
		_ = l.core.Write(l.entry, l.fields) // there is nobody to tell that telling fails
	}
}

// with adds how many lines before this one were not written.
func (l held) with(suppressed int) held {
	if suppressed > 0 {
		l.fields = append(l.fields[:len(l.fields):len(l.fields)], zap.Int("suppressed", suppressed))
	}
	return l
}

// quiet is a core that asks the journal.
type quiet struct {
	zapcore.Core
	journal *Journal
	about   string // of the fields that every line has
}

// With implements zapcore.Core.
func (q *quiet) With(fields []zapcore.Field) zapcore.Core {
	return &quiet{q.Core.With(fields), q.journal, q.about + about(fields)}
}

// Check implements zapcore.Core.
func (q *quiet) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if q.Enabled(e.Level) {
		return ce.AddCore(e, q)
	}
	return ce
}

// Write implements zapcore.Core.
func (q *quiet) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if !isCause(e.Level, fields) {
		return q.Core.Write(e, fields)
	}
	line, ok := q.journal.admit(e.LoggerName+": "+e.Message, q.about+about(fields), held{q.Core, e, fields})
	if !ok {
		return nil
	}
	return q.Core.Write(line.entry, line.fields)
}

// admit decides whether a line is written now.
func (j *Journal) admit(text, about string, l held) (held, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	key := text + about
	c := j.causes[key]
	if c == nil && len(j.causes) >= maxCauses {
		key = text
		c = j.causes[key]
	}
	switch {
	case c == nil:
		j.causes[key] = &cause{told: l.entry.Time}
		return l, true
	case l.entry.Time.Sub(c.told) < Every:
		c.kept++
		c.line = l
		return l, false
	}
	l = l.with(c.kept)
	*c = cause{told: l.entry.Time}
	return l, true
}

// Encoding is how lines look, of the log and of what is kept of it.
func Encoding() zapcore.EncoderConfig {
	c := zap.NewProductionEncoderConfig()
	c.TimeKey, c.EncodeTime, c.EncodeDuration = "time", zapcore.RFC3339NanoTimeEncoder, zapcore.StringDurationEncoder
	return c
}
