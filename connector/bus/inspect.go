package bus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"pullprint/connector/bus/dial"
	"pullprint/connector/bus/link"
	"pullprint/connector/store"

	"github.com/nats-io/nats.go"
)

// Inspection is what can be told of the store from outside, without opening it.
type Inspection struct {
	// Embedded is true for the store in our own process.
	Embedded bool
	// Free is how many bytes are free where the embedded store is, Needed how many
	// it may take besides what it has.
	Free, Needed int64
	// Version and Cluster are those of an external server, Streams ours on it, and
	// Used and Limit what our account has and may have there (-1: no limit).
	Version, Cluster string
	Streams          []store.StreamState
	Used, Limit      int64
	// CredentialsEnd is when the user in nats.credentials_file expires; zero when
	// it does not.
	CredentialsEnd time.Time
}

// Inspect looks at the store and changes nothing. The error says what is wrong
// and what to do.
func Inspect(ctx context.Context, cfg Config) (Inspection, error) {
	if cfg.Embedded != nil {
		return inspectEmbedded(cfg.Embedded)
	}
	opts, err := cfg.server().Options()
	if err != nil {
		return Inspection{}, err
	}
	var d dial.Denial
	opts = append(opts, nats.Name("pullprint doctor"), nats.Timeout(5*time.Second), nats.NoReconnect(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrPermissionViolation) {
				d.Denied(dial.Permission(err))
			}
		}))
	nc, err := nats.Connect(cfg.URL, opts...)
	if err != nil {
		return Inspection{}, cfg.server().Explained(err)
	}
	defer nc.Close()
	in := Inspection{Version: nc.ConnectedServerVersion(), Cluster: nc.ConnectedClusterName()}
	in.CredentialsEnd, _ = cfg.server().CredentialsEnd()
	if err := dial.CheckVersion(in.Version); err != nil {
		return in, err
	}
	ctx, cancel := link.WithLimit(ctx, 10*time.Second)
	defer cancel()
	ctx, end := d.Until(ctx)
	defer end()
	js, account, err := checkJetStream(ctx, nc)
	if err != nil {
		return in, err
	}
	in.Used, in.Limit = int64(account.Store), account.Limits.MaxStore //nolint:gosec // below exabytes
	if in.Streams, err = survey(ctx, js); err != nil {
		return in, err
	}
	if cfg.Replicas > 1 && in.Cluster == "" {
		return in, fmt.Errorf("nats.replicas is %d, and the server is in no cluster", cfg.Replicas)
	}
	return in, nil
}

func inspectEmbedded(e *Embedded) (Inspection, error) {
	in := Inspection{Embedded: true, Needed: e.maxStore()}
	dir := e.StoreDir
	st, err := os.Stat(dir)
	for os.IsNotExist(err) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		st, err = os.Stat(dir)
	}
	if err != nil {
		return in, fmt.Errorf("nats.embedded.store_dir: %w", err)
	}
	if !st.IsDir() {
		return in, fmt.Errorf("nats.embedded.store_dir: %s is no folder", dir)
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return in, fmt.Errorf("nats.embedded.store_dir: ask for free space: %w", err)
	}
	in.Free = int64(fs.Bavail) * fs.Bsize //nolint:gosec // a disk of exabytes is none that we have
	in.Needed = max(0, in.Needed-taken(e.StoreDir))
	return in, nil
}
