package bus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"pullprint/connector/bus/fault"
	"pullprint/connector/bus/link"
	"pullprint/connector/bus/schema"
	"pullprint/connector/recovery"
)

var (
	// ErrFrozen: the embedded server takes no more writes for a stream after one that
	// failed, as on a full disk, until it is started again.
	ErrFrozen = errors.New("the server refuses all writes until it is started again")
	// ErrGone says that a stream or bucket was removed while it was in use.
	ErrGone = errors.New("stream is gone")
)

const (
	probeName = "pullprint.probe"
	// probeSize is what has to fit on the disk before a restart is worth it: a start
	// writes its lock, its mark, and a few messages and indexes.
	probeSize = 256 << 10
)

// Canary says whether the store can be worked with: a durable write to the state
// bucket succeeds, every stream and bucket is there and takes writes, the consumer of
// tasks is there, and tasks can be fetched. Streams that can be made again without
// harm are. The error names each stream with what is wrong; it is ErrFrozen when only
// a restart of the embedded server helps. Without a deadline in ctx it gives up after
// 2 s.
func (b *Bus) Canary(ctx context.Context) error {
	ctx, cancel := link.WithLimit(ctx, 2*time.Second)
	defer cancel()
	parts := b.cfg.wanted()
	found := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, p := range parts {
		wg.Go(func() { found[i] = recovery.Catch(func() error { return b.probe(ctx, p) }) })
	}
	wg.Wait()
	var list probeErrors
	for i, err := range found {
		if err != nil {
			list = append(list, fmt.Errorf("%s: %w", parts[i].Config.Name, err))
		}
	}
	if list == nil {
		return nil
	}
	return list
}

// probeErrors are errors told on one line.
type probeErrors []error

func (t probeErrors) Error() string {
	texts := make([]string, len(t))
	for i, err := range t {
		texts[i] = strings.Join(strings.Fields(err.Error()), " ")
	}
	return strings.Join(texts, "; ")
}

func (t probeErrors) Unwrap() []error { return t }

// probe says what is wrong with one stream.
func (b *Bus) probe(ctx context.Context, p schema.Stream) error {
	name := p.Config.Name
	if b.srv != nil && !b.srv.JetStreamEnabled() {
		err := fmt.Errorf("%w: it has switched JetStream off", ErrFrozen)
		b.writers[name].Freeze(err)
		return err
	}
	var err error
	if b.srv != nil {
		err = b.askFrozen(ctx, name)
	} else {
		_, err = b.link.JS.Stream(ctx, name)
	}
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		err = b.replace(ctx, p.Config)
	case err == nil, errors.Is(err, ErrFrozen):
		b.writers[name].Freeze(err)
	}
	if err != nil {
		return fault.Unavailable(err)
	}
	if name == "KV_"+schema.StateBucket {
		return b.writeCanary(ctx)
	}
	err = b.writers[name].RetryUnanswered(ctx, b.instance)
	if err == nil && name == schema.Tasks {
		if err = b.ensureConsumer(ctx); err == nil {
			err = b.Fetching()
		}
	}
	return fault.Unavailable(err)
}

// writeCanary writes to the state bucket: it is the write that is always tried, and
// tells other processes that we are alive.
func (b *Bus) writeCanary(ctx context.Context) error {
	now := []byte(time.Now().UTC().Format(time.RFC3339))
	if err := b.state.Put(ctx, schema.Canary(b.instance), now, time.Hour); err != nil {
		return fmt.Errorf("write canary: %w", err)
	}
	return nil
}

// askFrozen asks the embedded server whether a stream still takes writes, without
// writing anything. The server keeps the first error of a stream's files and answers
// each later change with it, before it looks at what is to be changed: so removing a
// message that can't exist tells. A bucket does not let messages be removed; there a
// key that can't exist is purged. A stream of tasks is not purged: the server would
// look through what its consumer has in hand.
func (b *Bus) askFrozen(ctx context.Context, stream string) error {
	subject, req := "$JS.API.STREAM.MSG.DELETE."+stream,
		any(map[string]any{"seq": uint64(math.MaxUint64), "no_erase": true})
	bucket, isBucket := strings.CutPrefix(stream, "KV_")
	if isBucket {
		subject, req = "$JS.API.STREAM.PURGE."+stream, map[string]string{"filter": "$KV." + bucket + "._"}
	}
	err := b.link.Ask(ctx, subject, req, nil)
	e, answered := errors.AsType[*jetstream.APIError](err)
	switch {
	case !answered:
		return err
	case e.ErrorCode == jetstream.JSErrCodeStreamNotFound:
		return jetstream.ErrStreamNotFound
	case e.ErrorCode == codeNoSuchMessage, e.Description == server.ErrStoreEOF.Error(),
		e.Description == server.ErrStoreMsgNotFound.Error():
		return nil // a stream that is well says that there is no such message
	}
	return fmt.Errorf("%w: %s", ErrFrozen, e.Description)
}

// codeNoSuchMessage is the server's answer to the removal of a message that is gone.
const codeNoSuchMessage = 10043

// remade is true of the streams that can be made again without harm: the sweep finds the
// jobs of lost tasks again, and nothing is decided by the others.
func remade(stream string) bool {
	return stream == schema.Tasks || stream == schema.Decisions || stream == schema.Dead || stream == schema.Notices
}

// replace creates a removed stream again where that is safe. For any other stream it
// returns ErrGone, because an empty one would be taken for complete.
func (b *Bus) replace(ctx context.Context, cfg jetstream.StreamConfig) error {
	if !remade(cfg.Name) {
		return fmt.Errorf("%w with all that was stored in it: restore it from a backup with `pullprint restore FILE`, or "+
			"stop every `pullprint run` and give it up with `pullprint accept-loss`", ErrGone)
	}
	if _, err := b.ensureStream(ctx, cfg); err != nil {
		return err
	}
	b.writers[cfg.Name].Forget()
	if b.marks != nil {
		st, err := b.positionOf(ctx, cfg.Name)
		if err == nil {
			err = b.marks.Replaced(cfg.Name, st.position())
		}
		if err != nil {
			return err
		}
	}
	b.log.Error("stream was removed, created again: its content is lost", zap.String("stream", cfg.Name))
	return nil
}

// Unanswered has something in it after a write that got no answer: it is time for a
// Canary then.
func (b *Bus) Unanswered() <-chan struct{} { return b.unanswered }

// ProbeDisk says whether the disk of the embedded store takes writes: a small file is
// written, synced and removed. It is nil with an external server.
func (b *Bus) ProbeDisk() error {
	if b.cfg.Embedded == nil {
		return nil
	}
	file := filepath.Join(b.cfg.Embedded.StoreDir, probeName)
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write to nats.embedded.store_dir: %w", err)
	}
	text := make([]byte, probeSize)
	rand.Read(text) // zeros take no room on some file systems
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close(), os.Remove(file)); err != nil {
		return fmt.Errorf("write to nats.embedded.store_dir: %w", err)
	}
	return nil
}
