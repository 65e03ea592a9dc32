package bus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync/atomic"
	"time"

	"pullprint/connector/bus/disk"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

const (
	maxMemory = 64 << 20
	// storeCeiling is the server's own limit, out of reach: max_store is kept by
	// the shares of the streams. The server refuses to resize any stream while
	// they reserve more than its limit, so max_store could never be lowered.
	storeCeiling = 1 << 50
)

// startEmbedded locks the store directory, starts the server on it and
// connects. The server itself doesn't lock: two on one directory lose most of
// what they acknowledged.
func (b *Bus) startEmbedded(ctx context.Context) error {
	dir, err := filepath.Abs(b.cfg.Embedded.StoreDir)
	if err != nil {
		return fmt.Errorf("nats.embedded.store_dir: %w", err)
	}
	if b.lock, err = disk.Lock(dir); err != nil {
		return err
	}
	if err := disk.PutBack(dir, b.cfg.Embedded.markFile()); err != nil {
		return err
	}
	if !b.unchecked {
		if err := disk.CheckFiles(dir, b.cfg.Embedded.markFile()); err != nil {
			return err
		}
	}
	if err := b.keep(dir); err != nil {
		return err
	}
	log := &serverLog{log: b.log.Named("server")}
	b.srv, err = server.NewServer(&server.Options{
		ServerName:         "pullprint",
		DontListen:         true,
		NoSigs:             true,
		JetStream:          true,
		StoreDir:           dir,
		SyncAlways:         !b.unsynced,
		JetStreamMaxStore:  storeCeiling,
		JetStreamMaxMemory: maxMemory,
	})
	if err != nil {
		return fmt.Errorf("configure embedded NATS server: %w", err)
	}
	b.srv.SetLoggerV2(log, false, false, false)
	b.srv.Start()
	wait := openLimit
	if deadline, ok := ctx.Deadline(); ok {
		wait = time.Until(deadline)
	}
	if !b.srv.ReadyForConnections(wait) || !b.srv.JetStreamEnabled() {
		return fmt.Errorf("start embedded NATS server in %s: %s", dir, log.lastError())
	}
	b.link.NC, err = nats.Connect("", b.natsOptions(nats.InProcessServer(b.srv))...)
	if err != nil {
		return fmt.Errorf("connect to embedded NATS server: %w", err)
	}
	return nil
}

// InProcessConn is one more connection to the embedded server, as nats.InProcessServer
// asks for it: tests see by it what is written, in its order.
func (b *Bus) InProcessConn() (net.Conn, error) {
	if b.srv == nil {
		return nil, errors.New("no embedded server")
	}
	return b.srv.InProcessConn()
}

// serverLog passes the server's warnings and errors on to zap.
type serverLog struct {
	log  *zap.Logger
	last atomic.Pointer[string]
}

func (l *serverLog) Noticef(string, ...any) {}
func (l *serverLog) Debugf(string, ...any)  {}
func (l *serverLog) Tracef(string, ...any)  {}

func (l *serverLog) Warnf(format string, args ...any) {
	l.log.Warn("NATS server warning", zap.String("text", fmt.Sprintf(format, args...)))
}

func (l *serverLog) Errorf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.last.Store(&text)
	l.log.Error("NATS server error", zap.String("text", text))
}

// Fatalf is what the server calls when it can't start; it then shuts itself down.
func (l *serverLog) Fatalf(format string, args ...any) { l.Errorf(format, args...) }

func (l *serverLog) lastError() string {
	if text := l.last.Load(); text != nil {
		return *text
	}
	return "not ready in time"
}
