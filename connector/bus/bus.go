// Package bus is, with the packages below it, the only code that uses NATS: a server
// inside this process or an external one, the streams of tasks, records and dead
// letters, the consumer of tasks, and the key-value buckets.
//
// # What is stored where
//
// The embedded store has a cap, nats.embedded.max_store. Each stream and bucket
// owns a fixed share, so that none can starve another:
//
//	PULLPRINT_TASKS      30 %  refuses when full: the webhook answers 503 and Graph retries
//	PULLPRINT_DECISIONS  18 %  removes its oldest messages when full
//	PULLPRINT_AUDIT       3 %  removes its oldest messages when full
//	PULLPRINT_LEDGER      6 %  removes its oldest messages when full
//	PULLPRINT_DEAD        2 %  removes its oldest messages when full
//	PULLPRINT_NOTICES     1 %  removes its oldest messages when full
//	pullprint_jobs       25 %  refuses when full: jobs wait in Graph
//	pullprint_quota       4 %  refuses when full
//	pullprint_badges      3 %  refuses when full
//	pullprint_state       3 %  refuses when full
//	reserve               5 %  batches being staged
//
// A held job takes 700 to 1,200 bytes: the default of 2 GiB has room for 450,000 and more.
//
// # What a write promises
//
// A write that returned without an error is on disk (embedded) or in a quorum
// of replicas. After an error it is unknown whether the write happened, and the
// caller has to read again. Every write ends within the deadline of its
// context, or 5 s.
package bus

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"pullprint/connector/bus/consume"
	"pullprint/connector/bus/dial"
	"pullprint/connector/bus/disk"
	"pullprint/connector/bus/fault"
	"pullprint/connector/bus/lease"
	"pullprint/connector/bus/link"
	"pullprint/connector/bus/notes"
	"pullprint/connector/bus/schema"
	"pullprint/connector/bus/stored"
	"pullprint/connector/bus/write"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Options are what Open needs beside the configuration. All may be empty.
type Options struct {
	Logger     *zap.Logger
	Registerer prometheus.Registerer
	// Instance names this process among replicas: shown in the server's list
	// of connections and used as the key of the canary.
	Instance string
	// CheckRecord, when set, reports with an error a record of accounts, badges or state
	// that can't be read. AcceptLoss uses it.
	CheckRecord func(bucket, key string, value []byte) error
	// InProcess, when set, makes the connections to an external server in place of sockets
	// to its URL.
	InProcess InProcess

	// unsynced is for a store that is synced as a whole when it is made.
	unsynced bool
	// unchecked is for a store whose damage is known.
	unchecked bool
}

// InProcess makes connections to a NATS server in this process, as nats.InProcessServer asks
// for them.
type InProcess interface {
	InProcessConn() (net.Conn, error)
}

// Bus is a connection to the streams and buckets. Its methods may be used by
// many goroutines at once.
type Bus struct {
	*consume.Tasks // those of the stream of tasks

	cfg      Config
	log      *zap.Logger
	metrics  *metrics
	instance string
	unsynced bool

	unchecked bool
	inProcess InProcess // nil with sockets
	saidEmpty bool      // that an external store is new

	lock  *disk.StoreLock
	kept  *disk.Kept   // while the embedded server starts
	marks *disk.Marker // nil with an external server
	srv   *server.Server
	link  *link.Link

	writers  map[string]*write.Writer
	jobs     *stored.KV
	badges   *stored.KV
	quota    *stored.KV
	state    *stored.KV
	inflight *notes.Notes

	holds      holds
	denial     dial.Denial   // of the external server
	unanswered chan struct{} // has room for one

	short sync.Map // names of streams of which it was said that their share is too small

	closing atomic.Bool
	ended   chan struct{} // closed when nothing is left running
	closed  error
}

// openLimit is how long an opening may take whose caller sets no limit: a cluster of which a
// server was just restarted has a leader within some seconds, and who waits longer than half
// a minute wants to know why.
const openLimit = 30 * time.Second

// Open starts the embedded server, or connects to the external one, and makes
// sure that streams, buckets and the consumer are there. On an error nothing is
// left running. Without a deadline in ctx it gives up after openLimit.
func Open(ctx context.Context, cfg Config, o Options) (*Bus, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	ctx, cancel := link.WithLimit(ctx, openLimit)
	defer cancel()
	b, err := attach(ctx, cfg, o)
	if err != nil {
		return nil, err
	}
	if b.cfg.Embedded != nil {
		err = b.checkMark(ctx)
	}
	if err == nil {
		err = b.complete(ctx)
	}
	if err != nil {
		_ = b.Close()
		return nil, err
	}
	return b, nil
}

// attach starts or connects to the server, and leaves what is stored as it is.
func attach(ctx context.Context, cfg Config, o Options) (*Bus, error) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Instance == "" {
		o.Instance = "pullprint"
	}
	b := &Bus{
		cfg: cfg, log: o.Logger.Named("bus"), instance: o.Instance,
		unsynced: o.unsynced, unchecked: o.unchecked, inProcess: o.InProcess, metrics: newMetrics(),
		unanswered: make(chan struct{}, 1), ended: make(chan struct{}), holds: holds{turn: make(chan struct{}, 1)},
	}
	b.link = &link.Link{Log: b.log, Local: cfg.Embedded != nil, Replicated: cfg.replicas() > 1}
	b.Tasks = consume.New(b.link, b.log.Named("consumer"), b.metrics.rebuilds, b.metrics.redelivered)
	ctx, cancel := link.WithLimit(ctx, openLimit)
	defer cancel()
	if err := b.connect(ctx, o); err != nil {
		_ = b.Close()
		return nil, err
	}
	return b, nil
}

// attached does something with what is stored, without a daemon.
func attached(ctx context.Context, cfg Config, o Options, do func(b *Bus) error) error {
	b, err := attach(ctx, cfg, o)
	if err != nil {
		return err
	}
	if err := do(b); err != nil {
		_ = b.Close()
		return err
	}
	return b.Close()
}

func (b *Bus) connect(ctx context.Context, o Options) error {
	if err := b.metrics.register(o.Registerer, b.cfg.Embedded != nil); err != nil {
		return err
	}
	var err error
	if b.cfg.Embedded != nil {
		err = b.startEmbedded(ctx)
	} else {
		err = b.connectExternal(ctx)
	}
	if err != nil {
		return err
	}
	if b.link.JS, err = jetstream.New(b.link.NC); err != nil {
		return fmt.Errorf("open JetStream: %w", err)
	}
	return b.checkRecovered(ctx)
}

// complete makes sure that everything is there, and begins to write.
func (b *Bus) complete(ctx context.Context) error {
	if err := b.ensureSoon(ctx); err != nil {
		return err
	}
	if b.kept != nil {
		if err := b.kept.Drop(); err != nil {
			return err
		}
		b.kept = nil
	}
	if b.cfg.Embedded != nil {
		var err error
		if b.marks, err = b.newMarker(ctx); err != nil {
			return err
		}
	}
	b.writers = make(map[string]*write.Writer)
	o := write.Options{Metrics: b.metrics.write, Unanswered: b.unanswered}
	if b.marks != nil {
		o.Acked = b.marks.Acked
	}
	for _, p := range schema.Streams(1) {
		b.writers[p.Config.Name] = write.New(b.link.JS, p.Config.Name, o)
	}
	b.jobs, b.state = b.bucket(schema.JobsBucket), b.bucket(schema.StateBucket)
	b.badges, b.quota = b.bucket(schema.BadgesBucket), b.bucket(schema.QuotaBucket)
	b.inflight = notes.InBucket(b.link, b.state)
	if e := b.cfg.Embedded; e != nil {
		b.inflight = notes.InFile(e.StoreDir, b.instance)
	}
	if !b.unchecked {
		if err := b.verify(ctx); err != nil {
			return err
		}
	}
	if err := b.upgrade(ctx, steps); err != nil {
		return err
	}
	if b.cfg.Embedded != nil {
		return lease.DropAll(ctx, b.state)
	}
	return b.serveHolds()
}

func (b *Bus) reconnected() {
	b.metrics.connected.Set(1)
	b.log.Info("reconnected")
	b.link.EndSessions(fault.ErrCutOff)
}

func (b *Bus) bucket(name string) *stored.KV {
	return stored.NewKV(b.link, name, b.writers["KV_"+name])
}

// Jobs is the bucket of job records.
func (b *Bus) Jobs() *stored.KV { return b.jobs }

// Badges is the bucket of enrolled badges.
func (b *Bus) Badges() *stored.KV { return b.badges }

// Quota is the bucket of accounts.
func (b *Bus) Quota() *stored.KV { return b.quota }

// State is the bucket of the program's own state: definition, subscription, leases.
func (b *Bus) State() *stored.KV { return b.state }

// Inflight is where notes of what is being worked on are kept.
func (b *Bus) Inflight() *notes.Notes { return b.inflight }

// WithLease waits for the lease called name and runs fn while this process holds it: see
// lease.Run.
func (b *Bus) WithLease(
	ctx context.Context, name, holder string, ttl time.Duration, fn func(ctx context.Context) error,
) error {
	o := lease.Options{
		KV: b.state, Name: name, Holder: holder, TTL: ttl, Pause: b.link.Pause, Lost: b.metrics.leasesLost,
		Log: b.log.Named("lease").With(zap.String("lease", name)),
	}
	return lease.Run(ctx, o, fn)
}
