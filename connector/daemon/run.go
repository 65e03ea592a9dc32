package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/connector"
	"pullprint/connector/arrival"
	"pullprint/connector/delegation"
	"pullprint/connector/evaluate"
	"pullprint/connector/health"
	"pullprint/connector/index"
	"pullprint/connector/integrity"
	"pullprint/connector/job"
	"pullprint/connector/ledgerexport"
	"pullprint/connector/selftest"
	"pullprint/policy"
	"pullprint/policy/quota/ledger"
	"pullprint/trigger"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/wait"
	"pullprint/trigger/webhook"
)

// leaseLife is how long a replica that died keeps the others from registering
// and sweeping.
const leaseLife = 10 * time.Second

// signInEvery is how often is looked whether the token is to be renewed.
const signInEvery = 30 * time.Second

// compose makes the components that need the store.
func (d *daemon) compose(ctx context.Context) error {
	cfg, log, reg := d.o.Config, d.o.Logger, d.o.Registry
	d.verifier = trigger.NewVerifier(trigger.VerifierOptions{
		TenantID: cfg.TenantID, State: d.bus.State(), Logger: log, Registerer: reg,
	})
	d.canary = newStoreCanary(d.bus, cfg.NATS.Embedded != nil, log)
	if err := d.openMetrics(); err != nil {
		return err
	}
	jobs := job.NewStore(d.bus.Jobs(), cfg.Retention.KeepJobs())
	d.index = index.New(jobs, cfg.Queues, reg, log)
	d.integrity = integrity.New(d.bus.Quota(), d.bus.Badges(), d.bus.State(), reg, log)
	d.ledger = ledger.New(d.bus.Quota(), d.bus, rand.Text)
	look, selfTests := d.newAdministrator()
	d.jobs = connector.New(connector.Deps{
		Trigger: look, SelfTests: selfTests, Graph: d.graph, Jobs: jobs, Ledger: d.ledger, Next: d.next,
		Pages: evaluate.PageCounter(d.graph, cfg.Documents), Audit: d.bus, Inflight: d.bus.Inflight(), Notices: d.bus,
		Feed: d.bus, Delegations: delegation.New(d.bus.State()),
		Verifier: d.verifier, Policy: d.policy.current.Load, Queues: cfg.Queues, Devices: cfg.Devices,
		GroupTTL: cfg.Policy.GroupTTL,
		Index:    d.index, Registerer: reg, Logger: log, Instance: d.instance, Sole: cfg.NATS.Embedded != nil,
		OnDecision: d.o.OnDecision,
	})
	if err := d.openAdminServices(ctx, jobs); err != nil {
		return err
	}
	var err error
	if d.notifier, err = d.newNotifier(); err != nil {
		return err
	}
	d.registrar, err = trigger.NewRegistrar(trigger.RegistrarOptions{
		Graph: d.graph, State: d.bus.State(), Verifier: d.verifier, AppID: cfg.Auth.ClientID,
		Definition: cfg.Trigger.Definition,
		PublicURL:  cfg.Webhook.PublicURL, Logger: log, Registerer: reg, OnResubscribed: d.jobs.Sweeper.Kick,
	})
	if err != nil {
		return err
	}
	h := webhook.New(webhook.Options{
		PublicURL: cfg.Webhook.PublicURL, Store: d.bus, Verifier: d.verifier, Logger: log, Registerer: reg,
	})
	d.webhook, err = webhook.NewServer(cfg.Webhook, h, log)
	return err
}

// newAdministrator makes what uses the administrator's sign-in, if one is configured: look, which reads
// a queue's trigger, and the self-tests. Both are nil without.
func (d *daemon) newAdministrator() (
	look func(ctx context.Context, printer, definition string) (state, holder string, err error), tests evaluate.SelfTests,
) {
	cfg, log := d.o.Config, d.o.Logger
	metrics := selftest.NewMetrics(d.o.Registry)
	if !cfg.Administrator.Configured() {
		return nil, nil
	}
	d.admin = &administrator{
		turn: make(chan struct{}, 1),
		cfg:  d.graphConfig(), o: d.graphOptions(), keep: cfg.Administrator, rights: AdministratorRights(cfg),
		log: log.Named("administrator"),
	}
	if cfg.SelfTest.Queue == "" {
		return d.admin.trigger, nil
	}
	d.selfTester = selftest.New(selftest.Options{
		Config: cfg.SelfTest, Queues: cfg.Queues, State: d.bus.State(), Person: d.admin.printing, Index: d.index,
		Metrics: metrics, Logger: log,
	})
	return d.admin.trigger, d.selfTester
}

// openMetrics makes the page of metrics and health.
func (d *daemon) openMetrics() error {
	d.health = health.New(d.checks()...)
	d.health.Lives = d.turning
	d.health.Advise(health.Check{Name: "policy", Ready: d.policy.inForce}, health.Check{Name: "graph", Ready: d.answering},
		health.Check{Name: "owners", Ready: func(context.Context) error { return d.integrity.Owners() }})
	reg := d.o.Registry
	if err := reg.Register(d.health.Collector()); err != nil {
		return err
	}
	var err error
	d.metrics, err = health.NewServer(health.ServerOptions{
		Gatherer: reg, Health: d.health, WebConfigFile: d.o.Config.Metrics.WebConfigFile, Version: ReadBuild().Version,
		Logger: d.o.Logger,
	})
	return err
}

// next is the policy that is tried out; nil when there is none.
func (d *daemon) next() *policy.Policy {
	if d.shadow == nil {
		return nil
	}
	return d.shadow.current.Load()
}

// components are what runs, by the name that the error of one has.
func (d *daemon) components() map[string]func(context.Context) error {
	all := map[string]func(context.Context) error{
		"metrics":   func(ctx context.Context) error { return d.metrics.Serve(ctx, d.metricsLn) },
		"webhook":   func(ctx context.Context) error { return d.webhook.Serve(ctx, d.webhookLn) },
		"policy":    func(ctx context.Context) error { return d.policy.follow(ctx, d.o.Reload, d.reloading) },
		"canary":    d.canary.Run,
		"host":      d.host,
		"token":     d.keepSignedIn,
		"verifier":  d.verifier.Run,
		"index":     d.index.Run,
		"measure":   d.bus.Measure,
		"integrity": d.integrity.Run,
		"trigger":   d.register,
		"worker": d.whenReady(func(ctx context.Context) error {
			return d.bus.Consume(ctx, arrival.Workers, d.jobs.Arrivals.Handle)
		}),
		"sweep": d.whenReady(func(ctx context.Context) error {
			return d.bus.WithLease(ctx, "sweep", d.instance, leaseLife, d.jobs.Sweeper.Run)
		}),
	}
	all["notices"] = d.whenReady(func(ctx context.Context) error {
		return d.bus.WithLease(ctx, "notices", d.instance, leaseLife, d.notifier.Run)
	})
	if d.owners != nil {
		all["badges"] = d.owners.Run
	}
	if d.shadow != nil {
		all["shadow policy"] = func(ctx context.Context) error { return d.shadow.Run(ctx, nil) }
	}
	if d.selfTester != nil {
		all["selftest"] = d.whenReady(func(ctx context.Context) error {
			return d.bus.WithLease(ctx, "selftest", d.instance, leaseLife, d.selfTester.Run)
		})
	}
	if export := d.o.Config.LedgerExport; export.Dir != "" {
		e := ledgerexport.New(export, d.bus, d.bus.State(), d.o.Logger)
		all["ledger export"] = d.whenReady(func(ctx context.Context) error {
			return d.bus.WithLease(ctx, "ledger-export", d.instance, leaseLife, e.Run)
		})
	}
	if d.adminLn != nil {
		all["api"] = d.withState(func(ctx context.Context) error { return d.services.server.Serve(ctx, d.adminLn) })
	}
	if d.services.api != nil {
		all["taps"] = d.withState(func(ctx context.Context) error {
			return d.bus.ServeTaps(ctx, d.services.api.AnswerTap)
		})
		all["recent"] = d.services.recent.Run
		all["tokens"] = d.services.api.Tokens.Run
	}
	return all
}

// run joins the components: the first that fails ends all of them.
func (d *daemon) run(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	d.log.Info("daemon started", zap.String("instance", d.instance), zap.String("policy", d.policy.current.Load().Hash()),
		zap.Int("queues", len(d.o.Config.Queues)))
	for name, component := range d.components() {
		g.Go(func() error {
			err := component(gctx)
			if gctx.Err() != nil && (errors.Is(err, context.Canceled) || err == nil) {
				return nil
			}
			if err == nil {
				err = errors.New("ended by itself")
			}
			return fmt.Errorf("component %s: %w", name, err)
		})
	}
	stop := context.AfterFunc(ctx, func() {
		d.log.Info("daemon stops: new notifications are refused, what is in hand is finished")
		d.health.Stop()
	})
	defer stop()
	err := g.Wait()
	if err == nil {
		d.log.Info("daemon stopped")
	}
	return err
}

// withState lets a component wait until the state that was stored before is known.
func (d *daemon) withState(component func(context.Context) error) func(context.Context) error {
	return after(d.verifier.Ready(), component)
}

// whenReady lets a component wait for the job records that were stored before as well: whoever acts
// on what the index does not know would act on a part of the jobs.
func (d *daemon) whenReady(component func(context.Context) error) func(context.Context) error {
	return d.withState(after(d.index.Ready(), component))
}

// after lets a component wait until ready is closed.
func after(ready <-chan struct{}, component func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ready:
			return component(ctx)
		}
	}
}

// register signs in and keeps definition and subscription, one replica at a
// time. A sign-in that Entra refuses for good ends the daemon, unless it worked
// before: then the intake stays open while somebody replaces the secret.
func (d *daemon) register(ctx context.Context) error {
	if err := d.graph.SignIn(ctx); err != nil {
		if refused(err) {
			return err
		}
		if ctx.Err() == nil {
			d.log.Warn("graph unreachable at start, tried again until it answers", zap.Error(err))
		}
	}
	close(d.signInTried)
	for {
		err := d.bus.WithLease(ctx, "registrar", d.instance, leaseLife, d.registrar.Run)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !refused(err) || d.graph.LastSuccess().IsZero() {
			return err
		}
		d.log.Error("sign-in refused, tried again in a minute", zap.Error(err))
		if err := wait.Sleep(ctx, time.Minute); err != nil {
			return err
		}
	}
}

// keepSignedIn keeps a replica ready that nobody has asked for anything: most of
// them, while one registers and sweeps. Failures are the registrar's to tell.
func (d *daemon) keepSignedIn(ctx context.Context) error {
	tick := time.NewTicker(signInEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if err := d.graph.KeepSignedIn(ctx); err != nil && ctx.Err() == nil {
			d.log.Debug("token not refreshed", zap.Error(err))
		}
	}
}

// refused reports whether Entra said no for good.
func refused(err error) bool {
	var ae *auth.Error
	return errors.As(err, &ae) && ae.Permanent()
}
