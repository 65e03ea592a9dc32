package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pullprint/connector/bus/dial"
	"pullprint/connector/bus/fault"
	"pullprint/connector/bus/write"
	"pullprint/trigger/wait"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

const (
	connectRetry = 500 * time.Millisecond
	// credentialsWarning is how long before their end a start warns of credentials.
	credentialsWarning = 14 * 24 * time.Hour
)

// connectExternal keeps trying until ctx ends; what can't get better by waiting
// (credentials, certificates, version, no JetStream) ends it at once.
func (b *Bus) connectExternal(ctx context.Context) error {
	opts, err := b.cfg.server().Options()
	if err != nil {
		return err
	}
	if at, ok := b.cfg.server().CredentialsEnd(); ok && time.Until(at) < credentialsWarning {
		b.log.Warn("NATS credentials end soon", zap.Time("at", at),
			zap.String("remedy", "put new ones into nats.credentials_file: they are read at every connect"))
	}
	opts = append(b.natsOptions(nats.Timeout(2*time.Second),
		// Better credentials or certificates may stand in the files by the next try.
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { b.logConnectionError(err) }),
	), opts...)
	if b.inProcess != nil {
		opts = append(opts, nats.InProcessServer(b.inProcess))
	}
	for {
		nc, err := nats.Connect(b.cfg.URL, opts...)
		if err == nil {
			b.link.NC = nc
			break
		}
		err = b.cfg.server().Explained(err)
		if dial.Final(err) {
			return err
		}
		if wait.Sleep(ctx, connectRetry) != nil {
			return err
		}
	}
	if err := dial.CheckVersion(b.link.NC.ConnectedServerVersion()); err != nil {
		return err
	}
	ctx, end := b.denial.Until(ctx)
	defer end()
	_, _, err = checkJetStream(ctx, b.link.NC)
	return err
}

// checkJetStream asks whether our account may use JetStream. A cluster that has
// just begun has no answer yet: then it is asked again until ctx ends.
func checkJetStream(
	ctx context.Context, nc *nats.Conn,
) (js jetstream.JetStream, account *jetstream.AccountInfo, err error) {
	if js, err = jetstream.New(nc); err != nil {
		return nil, nil, fmt.Errorf("open JetStream: %w", err)
	}
	err = soon(ctx, "ask NATS server for JetStream (it has to be enabled for our account)",
		func(ctx context.Context) error {
			account, err = js.AccountInfo(ctx)
			return err
		})
	return js, account, err
}

// ensureSoon is ensure; a cluster whose servers are still finding each other is
// asked again until ctx ends.
func (b *Bus) ensureSoon(ctx context.Context) error {
	ctx, end := b.denial.Until(ctx)
	defer end()
	return soon(ctx, "make the streams", b.ensure)
}

// soon calls do until it works, fails for good, or ctx ends.
func soon(ctx context.Context, what string, do func(context.Context) error) error {
	for {
		try, cancel := context.WithTimeout(ctx, write.Limit)
		err := do(try)
		cancel()
		if err == nil {
			return nil
		}
		if why := context.Cause(ctx); errors.Is(why, dial.ErrDenied) {
			return why
		}
		if !fault.Temporary(err) {
			return fmt.Errorf("%s: %w", what, err)
		}
		if wait.Sleep(ctx, connectRetry) != nil {
			return fmt.Errorf("%s: %w (is a majority of the NATS servers running?)", what, err)
		}
	}
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
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { b.connectionError(err) }),
	}, more...)
}

// connectionError is told what the server says beside its answers: above all
// that a permission is missing, which leaves the call without an answer.
func (b *Bus) connectionError(err error) {
	if errors.Is(err, nats.ErrPermissionViolation) {
		denied := dial.Permission(err)
		b.log.Error("NATS permission missing", zap.Error(denied))
		b.denial.Denied(denied)
		return
	}
	b.logConnectionError(err)
}

// logConnectionError logs what keeps the connection from working.
func (b *Bus) logConnectionError(err error) {
	b.log.Warn("connection error", zap.Error(b.cfg.server().Explained(err)))
}
