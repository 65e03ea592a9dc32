package daemon

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/config"
	"pullprint/connector/printer"
	"pullprint/connector/selftest"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/register"
)

// resumeEvery is how soon a kept sign-in that was of no use is looked at again: an
// administrator may have signed in anew.
const resumeEvery = 5 * time.Minute

// AdministratorRights are the delegated permissions that an administrator is asked
// for: what the triggers need, and the self-test if there is one.
func AdministratorRights(cfg *config.Config) []string {
	if cfg.SelfTest.Queue == "" {
		return graph.TriggerRights
	}
	return slices.Concat(graph.TriggerRights, graph.PrintRights)
}

// RegistrationRights are those that somebody is asked for who registers: sharing
// printers too, if some are to be made, and deleting them if that is asked for.
func RegistrationRights(cfg *config.Config, printers bool) []string {
	rights := slices.Clone(AdministratorRights(cfg))
	if slices.ContainsFunc(cfg.Queues, func(q printer.Queue) bool { return q.Create }) || printers {
		rights = append(rights, graph.ShareRights...)
	}
	if printers {
		rights = append(rights, graph.DeleteRights...)
	}
	return rights
}

// administrator acts by the sign-in that an administrator has kept for us. It is
// resumed when it is needed first, and again after it was refused or another was kept.
type administrator struct {
	cfg    graph.Config
	o      graph.Options
	keep   auth.StoredSignIn
	rights []string
	log    *zap.Logger

	turn   chan struct{} // of one place; has something in it while one uses what follows
	client *graph.Client
	failed error
	next   time.Time // not to be resumed before
}

// get is a Client that acts for the administrator. The error is auth.ErrNotStored
// while nobody's sign-in is kept. While one resumes it, which calls Entra, the others wait as
// long as their contexts last.
func (a *administrator) get(ctx context.Context) (*graph.Client, error) {
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-a.turn }()
	now := time.Now()
	if a.client != nil {
		if a.client.SignInStored(ctx) {
			return a.client, nil
		}
		a.client, a.next = nil, time.Time{} // somebody signed in anew, or had it forgotten
	}
	if now.Before(a.next) {
		return nil, a.failed
	}
	client, err := graph.ResumePerson(ctx, a.cfg, a.o, a.rights, a.keep)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if errors.Is(err, auth.ErrNotStored) {
		return nil, err // looked for again whenever it is asked for: somebody may keep one
	}
	a.client, a.next = client, now.Add(resumeEvery)
	switch {
	case err == nil:
		a.log.Info("administrator's sign-in resumed")
	case a.failed == nil, a.failed.Error() != err.Error():
		a.log.Warn("administrator's sign-in can't be used", zap.Error(err))
	}
	a.failed = err
	return client, err
}

// refused lets a client go whose sign-in is not honoured any more.
func (a *administrator) refused(err error) {
	var auth *auth.Error
	if !errors.As(err, &auth) || !auth.Permanent() {
		return
	}
	a.turn <- struct{}{}
	defer func() { <-a.turn }()
	a.client, a.failed, a.next = nil, err, time.Now().Add(resumeEvery)
	a.log.Warn("administrator's sign-in can't be used", zap.Error(err))
}

// trigger looks at the trigger of a printer; see connector.Deps.
func (a *administrator) trigger(ctx context.Context, printer, definition string) (state, holder string, err error) {
	c, err := a.get(ctx)
	if err != nil {
		return register.TriggerUnreadable, "", err
	}
	state, holder, err = register.CheckTrigger(ctx, c, printer, definition, a.cfg.Auth.ClientID)
	a.refused(err)
	return state, holder, err
}

// printing is who prints self-tests; see selftest.Options.
func (a *administrator) printing(ctx context.Context) (selftest.Printing, error) {
	c, err := a.get(ctx)
	if err != nil {
		return nil, err
	}
	return c, nil
}
