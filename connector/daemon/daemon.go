// Package daemon composes all parts into one running program.
package daemon

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"

	"pullprint/connector"
	"pullprint/connector/bus"
	"pullprint/connector/config"
	"pullprint/connector/decision"
	"pullprint/connector/health"
	"pullprint/connector/index"
	"pullprint/connector/integrity"
	"pullprint/connector/logthrottle"
	"pullprint/connector/notify"
	"pullprint/connector/selftest"
	"pullprint/connector/tap"
	"pullprint/policy/badge"
	"pullprint/policy/pin"
	"pullprint/policy/quota/ledger"
	"pullprint/trigger"
	"pullprint/trigger/graph"
	"pullprint/trigger/webhook"
)

// Options are what a daemon is made of.
type Options struct {
	Config *config.Config
	Logger *zap.Logger
	// Registry takes the metrics; nil makes one.
	Registry *prometheus.Registry
	// Reload asks for the policy file to be read again.
	Reload <-chan struct{}
	// Listen opens the listeners; nil is net.Listen.
	Listen func(network, address string) (net.Listener, error)
	// Transport carries the calls to Graph; nil is the client's own.
	Transport http.RoundTripper
	// NATS makes the connections to an external NATS server; nil is sockets.
	NATS bus.InProcess
	// OnDecision, when set, is told of each decision after it took effect.
	OnDecision func(decision.Decision)
	// Notify, when set, is told what a supervisor wants to know, in the words of
	// sd_notify(3). It must be safe for concurrent use.
	Notify func(state string)
	// Watchdog is within how long the supervisor wants to hear that the loops of the
	// daemon turn; 0 when it does not care.
	Watchdog time.Duration
	// Opened, when set, is called once when the store is open, before anything is done.
	Opened func(*bus.Bus)
	// Started, when set, is called once when the listeners are open.
	Started func(Addresses)
}

// Addresses are where a started daemon listens; Admin is nil without an API.
type Addresses struct{ Webhook, Metrics, Admin net.Addr }

// daemon holds the components that Run joins.
type daemon struct {
	o           Options
	log         *zap.Logger
	lines       *logthrottle.Throttle
	instance    string
	bus         *bus.Bus
	graph       *graph.Client
	policy      *policyFile
	shadow      *policyFile // nil when none is tried out
	verifier    *trigger.Verifier
	registrar   *trigger.Registrar
	index       *index.Index
	integrity   *integrity.Checker
	owners      *tap.BadgeOwners // nil without badges
	jobs        *connector.Connector
	services    adminServices
	badges      *badge.Registry
	pins        *pin.PINs // nil without badges
	ledger      *ledger.Ledger
	admin       *administrator   // nil when no sign-in is kept
	selfTester  *selftest.Tester // nil without self-tests
	notifier    *notify.Notifier
	texts       *notify.Texts
	lostKey     atomic.Bool
	webhook     *webhook.Server
	health      *health.Checks
	metrics     *health.Server
	canary      *canary
	signInTried chan struct{} // closed when Entra and Graph were asked to let us in
	ready       atomic.Bool   // the supervisor was told so

	webhookLn, metricsLn, adminLn net.Listener
}

// Run is the daemon: it blocks until ctx ends, then refuses intake, finishes
// what is in hand and returns nil within 25 seconds. Any other end is an error:
// a policy that does not load, a store that is taken or broken, a sign-in that
// Entra refuses for good. Graph being unreachable is no reason to end.
func Run(ctx context.Context, o Options) error {
	o.Registry = cmp.Or(o.Registry, prometheus.NewRegistry())
	if o.Listen == nil {
		o.Listen = net.Listen
	}
	if o.Notify == nil {
		o.Notify = func(string) {}
	}
	o.Registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), ReadBuild().collector())
	lines := logthrottle.New()
	o.Logger = lines.Wrap(o.Logger)
	defer lines.Start()() // ends after the rest: what repeats while that ends is told, too
	d := &daemon{
		o: o, log: o.Logger.Named("daemon"), lines: lines, instance: instanceName(), signInTried: make(chan struct{}),
	}
	if err := d.open(ctx); err != nil {
		if closed := d.close(); closed != nil || ctx.Err() == nil { // told to end while it starts, it just ends
			return errors.Join(err, closed)
		}
		return nil
	}
	err := d.run(ctx)
	if cerr := d.close(); err == nil && cerr != nil {
		err = fmt.Errorf("close: %w", cerr)
	}
	return err
}

// open makes every component and listens, and starts nothing but the store.
func (d *daemon) open(ctx context.Context) error {
	cfg, log, reg := d.o.Config, d.o.Logger, d.o.Registry
	var err error
	if d.policy, err = openPolicy(cfg.Policy.File, reg, log); err != nil {
		return err
	}
	if d.shadow, err = openShadow(cfg.Policy.ShadowFile, reg, log); err != nil {
		return err
	}
	if d.graph, err = graph.New(d.graphConfig(), d.graphOptions()); err != nil {
		return err
	}
	if d.bus, err = bus.Open(ctx, StoreConfig(cfg), bus.Options{
		Logger: log, Registerer: reg, Instance: d.instance, InProcess: d.o.NATS,
	}); err != nil {
		return err
	}
	if d.o.Opened != nil {
		d.o.Opened(d.bus)
	}
	if d.webhookLn, err = d.o.Listen("tcp", cfg.Webhook.Listen); err != nil {
		return fmt.Errorf("webhook.listen: %w", err)
	}
	if d.metricsLn, err = d.o.Listen("tcp", cfg.Metrics.Listen); err != nil {
		return fmt.Errorf("metrics.listen: %w", err)
	}
	if cfg.Admin.Listen != "" {
		if d.adminLn, err = d.o.Listen("tcp", cfg.Admin.Listen); err != nil {
			return fmt.Errorf("admin.listen: %w", err)
		}
	}
	if err := d.compose(ctx); err != nil {
		return err
	}
	if d.o.Started != nil {
		at := Addresses{Webhook: d.webhookLn.Addr(), Metrics: d.metricsLn.Addr()}
		if d.adminLn != nil {
			at.Admin = d.adminLn.Addr()
		}
		d.o.Started(at)
	}
	return nil
}

func (d *daemon) graphConfig() graph.Config {
	c := d.o.Config
	return graph.Config{TenantID: c.TenantID, Cloud: c.Cloud, Endpoints: c.Endpoints, Auth: c.Auth, MaxConcurrent: 64}
}

func (d *daemon) graphOptions() graph.Options {
	return graph.Options{
		Logger: d.o.Logger, Registerer: d.o.Registry, Transport: d.o.Transport, UserAgent: "pullprint/" + ReadBuild().Version,
	}
}

// close gives back what open took.
func (d *daemon) close() error {
	var errs []error
	for _, ln := range []net.Listener{d.webhookLn, d.metricsLn, d.adminLn} {
		if ln != nil {
			if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	if d.bus != nil {
		errs = append(errs, d.bus.Close())
	}
	return errors.Join(errs...)
}

// instanceName is new at every start, so that a record's intent tells whether
// this process stored it.
func instanceName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "host"
	}
	host, _, _ = strings.Cut(host, ".")
	var b [4]byte
	rand.Read(b[:])
	return host + "-" + hex.EncodeToString(b[:])
}

// answering says with an error that Graph does not answer.
func (d *daemon) answering(context.Context) error { return d.graph.Answers() }

// checks are what readiness means.
func (d *daemon) checks() []health.Check {
	return []health.Check{
		{Name: "store", Ready: func(context.Context) error { return d.canary.Ready() }},
		{Name: "records", Ready: func(context.Context) error { return d.index.Err() }},
		{Name: "integrity", Ready: func(context.Context) error { return d.integrity.Ready() }},
		{Name: "token", Ready: func(context.Context) error { return d.graph.TokenFresh() }},
		{Name: "badges", Ready: d.badgesReady},
		{Name: "subscription", Ready: func(context.Context) error { return d.verifier.SubscriptionLive() }},
	}
}
