package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

const connectRetry = 500 * time.Millisecond

// connectExternal keeps trying until ctx ends; what can't get better by waiting
// (credentials, version, no JetStream) ends it at once.
func (b *Bus) connectExternal(ctx context.Context) error {
	opts := b.natsOptions(nats.Timeout(2 * time.Second))
	if f := b.cfg.CredentialsFile; f != "" {
		opts = append(opts, nats.UserCredentials(f))
	}
	for {
		nc, err := nats.Connect(b.cfg.URL, opts...)
		if err == nil {
			b.nc = nc
			break
		}
		if final(err) {
			return fmt.Errorf("connect to NATS at nats.url: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("connect to NATS at nats.url: %w (check that the server runs and can be reached)", err)
		case <-time.After(connectRetry):
		}
	}
	if err := checkVersion(b.nc.ConnectedServerVersion()); err != nil {
		return err
	}
	js, err := jetstream.New(b.nc)
	if err != nil {
		return fmt.Errorf("open JetStream: %w", err)
	}
	if _, err := js.AccountInfo(ctx); err != nil {
		return fmt.Errorf("ask NATS server for JetStream (it has to be enabled for our account): %w", err)
	}
	return nil
}

// natsOptions are those of both kinds of connection. Writes are not kept back
// while disconnected: a write must not happen after its caller was told that
// it failed.
func (b *Bus) natsOptions(more ...nats.Option) []nats.Option {
	return append([]nats.Option{
		nats.Name("pullprint " + b.instance),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(500 * time.Millisecond),
		nats.ReconnectBufSize(-1),
		nats.NoCallbacksAfterClientClose(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			b.metrics.connected.Set(0)
			b.log.Warn("disconnected", zap.Error(err))
		}),
		nats.ReconnectHandler(func(*nats.Conn) { b.reconnected() }),
		nats.ConnectHandler(func(*nats.Conn) { b.metrics.connected.Set(1) }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			b.log.Warn("connection error", zap.Error(err))
		}),
	}, more...)
}

func final(err error) bool {
	return errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) ||
		errors.Is(err, nats.ErrNkeysNotSupported) || errors.Is(err, nats.ErrSecureConnRequired) ||
		strings.Contains(err.Error(), "no such file") || strings.Contains(err.Error(), "invalid")
}

// checkVersion refuses servers without atomic batches whose staging is sound.
func checkVersion(version string) error {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	maj, err1 := strconv.Atoi(major)
	mnr, err2 := strconv.Atoi(minor)
	if err1 != nil || err2 != nil || maj < 2 || maj == 2 && mnr < 14 {
		return fmt.Errorf("%w: it is %q, want 2.14 or newer; upgrade it, or use nats.embedded", ErrTooOld, version)
	}
	return nil
}
