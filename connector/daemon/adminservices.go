package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"pullprint/connector/access"
	"pullprint/connector/admin"
	"pullprint/connector/console"
	"pullprint/connector/console/station"
	"pullprint/connector/directory"
	"pullprint/connector/health"
	"pullprint/connector/job"
	"pullprint/connector/phone"
	"pullprint/connector/privacy"
	"pullprint/connector/tap"
	"pullprint/policy/badge"
	"pullprint/policy/pin"
	"pullprint/trigger/graph"

	"go.uber.org/zap"
)

// adminServices are what people use: badges, releases, the API and the
// pages. They are empty when neither admin.listen nor an external NATS lets anybody
// in.
type adminServices struct {
	api    *admin.API
	recent *console.Recent
	server *admin.Server
}

// openAdminServices makes them.
func (d *daemon) openAdminServices(ctx context.Context, jobs *job.Store) error {
	cfg, log := d.o.Config, d.o.Logger
	if cfg.Admin.Listen == "" && (cfg.NATS.URL == "" || len(cfg.Devices) == 0) {
		return nil // nobody could reach it
	}
	releaser := d.jobs.Releaser
	registry, err := d.openBadges(ctx)
	if err != nil {
		return err
	}
	var taps *tap.Taps
	if registry != nil {
		var directory tap.Directory
		if cfg.Badges.EntraAttribute != "" {
			directory = d.graph
		}
		owners := tap.NewBadgeOwners(registry, directory, log)
		taps = tap.New(releaser, owners, d.o.Registry, log)
		d.health.Advise(health.Check{Name: "badges", Ready: func(context.Context) error { return owners.Differing() }})
		d.owners = owners
		if cfg.NATS.Embedded == nil {
			taps.Share(d.bus.State())
		}
		taps.AskPINs(cfg.Devices, d.pins, d.graph)
		if d.enrolAt() != "" {
			taps.SelfEnrol()
		}
	}
	readers := tap.NewReaders(d.bus.State(), releaser.Devices(), log)
	d.health.Advise(health.Check{Name: "readers", Ready: readers.Check})
	tokens, err := access.NewTokens(cfg.Admin.TokenSources(cfg.Devices), log)
	if err != nil {
		return err
	}
	d.health.Advise(health.Check{Name: "tokens", Ready: tokens.Lost})
	d.services.recent = console.NewRecent(d.bus, log)
	visits, users := station.NewVisits(d.bus.State()), directory.NewUsers(d.graph)
	sessions := access.NewSessions(d.bus.State(), tokens)
	signIn, err := d.openSignIn(sessions)
	if err != nil {
		return err
	}
	phones := phone.New(d.bus.State(), registry, cfg.SignIn.PublicURL, cfg.Devices)
	d.services.api = admin.NewAPI(admin.Deps{
		Jobs: jobs, Index: d.index, Evaluator: d.jobs.Evaluator, TellUsage: d.jobs.Sweeper.TellUsage,
		Releaser: releaser, Taps: taps, Readers: readers, Badges: registry, PINs: d.pins,
		Delegations: releaser.Delegations(), People: d.people(), Users: users, Visits: visits,
		Audit: d.bus, Ledger: d.ledger, History: d.bus, Forget: d.services.recent.Forget, Backup: d.bus.Backup,
		Tokens: tokens, Sessions: sessions, Phones: phones, Health: d.health, Queues: cfg.Queues, Devices: cfg.Devices,
		Process: d.processInfo(), Instance: d.instance, Logger: log,
	})
	pages, err := d.openPages(pageParts{readers, tokens, sessions, signIn, visits, users, taps, registry, phones, d.pins})
	if err != nil {
		return fmt.Errorf("read pages: %w", err)
	}
	d.services.server = admin.NewServer(cfg.Admin, d.services.api, pages)
	return nil
}

// openSignIn lets people sign in with Entra; it is nil when that is not configured.
func (d *daemon) openSignIn(sessions *access.Sessions) (*access.SignIn, error) {
	cfg := d.o.Config.SignIn
	if !cfg.Configured() {
		return nil, nil //nolint:nilnil // it is no error
	}
	entra, err := graph.NewOpenID(d.graphConfig(), d.graphOptions(), cfg.RedirectURI())
	if err != nil {
		return nil, fmt.Errorf("sign_in: %w", err)
	}
	return access.NewSignIn(cfg, entra, d.graph, sessions), nil
}

// processInfo is how the process is.
func (d *daemon) processInfo() admin.Process {
	b := ReadBuild()
	return admin.Process{
		Version: b.Version, Revision: b.Revision, Go: b.Go, Started: time.Now(),
		Metrics: d.o.Registry, Streams: d.bus.Streams, Lines: d.lines.Last().Lines,
	}
}

// people finds and erases persons.
func (d *daemon) people() *privacy.People {
	return &privacy.People{
		Records: d.bus, Jobs: d.bus.Jobs(), Badges: d.bus.Badges(), Quota: d.bus.Quota(), State: d.bus.State(),
		Ledger: d.ledger, JobRetention: d.o.Config.Retention.KeepJobs(), Cancel: d.jobs.Releaser.CancelForErasure, Users: d.graph,
	}
}

// openBadges is nil when no key file is configured.
func (d *daemon) openBadges(ctx context.Context) (*badge.Registry, error) {
	cfg := d.o.Config.Badges
	if cfg.KeyFile == "" {
		return nil, nil //nolint:nilnil // no badges are no error
	}
	src, err := os.ReadFile(cfg.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("badges.key_file: %w", err)
	}
	keys, err := badge.ParseKeys(src)
	if err != nil {
		return nil, fmt.Errorf("badges.key_file: %w", err)
	}
	chain, err := badge.ParseChain(cfg.Normalise)
	if err != nil {
		return nil, fmt.Errorf("badges.normalise: %w", err)
	}
	registry := badge.NewRegistry(d.bus.Badges(), keys, chain)
	d.pins = openPINs(d.bus.Badges(), keys)
	registry.FindOwners(func(ctx context.Context, name string) (string, bool, error) {
		u, ok, err := d.graph.User(ctx, name)
		if err != nil {
			err = fmt.Errorf("%w: %w", directory.ErrDirectory, err)
		}
		return u.ID, ok, err
	})
	registry.Consult(tap.EnrolmentDirectory(d.graph, cfg.EntraAttribute != ""))
	switch err := registry.Check(ctx); {
	case errors.Is(err, badge.ErrKeyChanged):
		// Jobs are still taken in and held; those badges are unknown meanwhile.
		d.log.Error("badges can't be looked up", zap.Error(err))
		d.lostKey.Store(true)
	case err != nil:
		return nil, fmt.Errorf("badges.key_file: %w", err)
	}
	d.badges = registry
	return registry, nil
}

// openPINs are the PINs of people, under secrets made of the keys of badges.
func openPINs(kv pin.KV, keys badge.Keys) *pin.PINs {
	var peppers []pin.Pepper
	for _, k := range keys.Derived("pin") {
		peppers = append(peppers, pin.Pepper(k))
	}
	return pin.New(kv, peppers, rand.Reader)
}

// badgesReady says whether every stored badge can be found. Once that is so, it
// stays so until the next start: the key file is read then.
func (d *daemon) badgesReady(ctx context.Context) error {
	if !d.lostKey.Load() {
		return nil
	}
	err := d.badges.Check(ctx)
	if err == nil {
		d.lostKey.Store(false)
	}
	return err
}
