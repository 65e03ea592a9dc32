package trigger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pullprint/trigger/graph"
)

// How long Graph may take to make a printer, how often that is looked at, and how
// long a printer is looked for whose making was not confirmed.
const (
	makeWithin = 2 * time.Minute
	makeLook   = time.Second
	makeSlow   = 5 * time.Second
	makeLost   = 20 * time.Second
	makeKnown  = 10 // looks
)

// make makes the printer of a queue, if there is none, and says what it can do. The
// order matters when it dies in between: a printer that is made is found by its name
// and mark, one without attributes by what it lacks, and it is shared last, once its
// trigger is there. Only while Graph still makes the printer, there is nothing to find:
// whoever runs this again then makes it twice, and is told of the spare one.
func (m *Maker) make(ctx context.Context, v *Virtual, done func(string)) error {
	if v.Found == "" {
		if err := m.create(ctx, v); err != nil {
			return err
		}
		done("printer made, " + v.Found)
	}
	if len(v.Lacks) == 0 {
		return nil
	}
	err := m.App.SetAttributes(ctx, v.Found, v.can, defaults(v.can, v.says))
	var ge *graph.Error
	for range makeKnown { // a printer just made may not be known everywhere yet
		if !errors.As(err, &ge) || !ge.NotFound() || !wait(ctx, makeLook) {
			break
		}
		err = m.App.SetAttributes(ctx, v.Found, v.can, defaults(v.can, v.says))
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case forbidden(err):
		return errAppForbidden
	case err != nil:
		return fmt.Errorf("set its attributes: %w", err)
	}
	v.Lacks = nil
	done("attributes set")
	return nil
}

// create makes a printer and waits until it is there.
func (m *Maker) create(ctx context.Context, v *Virtual) error {
	operation, err := m.Admin.CreatePrinter(ctx, graph.NewPrinter{DisplayName: v.Name, Manufacturer: manufacturer, Model: model(m.AppID)})
	var ge *graph.Error
	switch {
	case errors.As(err, &ge) && ge.Ambiguous():
		return m.lost(ctx, v, err)
	case forbidden(err):
		return ErrForbidden
	case err != nil:
		return fmt.Errorf("make the printer: %w", err)
	}
	began := time.Now()
	for d := makeLook; ; d = min(2*d, makeSlow) {
		state, id, err := m.Admin.Operation(ctx, operation)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("graph goes on making the printer: wait a minute before this is run again, it is found then: %w", ctx.Err())
		case forbidden(err):
			return ErrForbidden
		case err != nil:
			return m.lost(ctx, v, err)
		case state == graph.OperationSucceeded:
			v.Found = id
			return nil
		case state == graph.OperationFailed:
			return errors.New("graph could not make the printer: run this again; if it stays so, see whether the tenant has a subscription to Universal Print")
		case time.Since(began) > makeWithin:
			return errors.New("graph still makes the printer: run this again in a few minutes, it is found then")
		}
		if !wait(ctx, d) {
			return fmt.Errorf("graph goes on making the printer: wait a minute before this is run again, it is found then: %w", ctx.Err())
		}
	}
}

// lost looks for a printer whose making was not confirmed, because of why.
func (m *Maker) lost(ctx context.Context, v *Virtual, why error) error {
	for began := time.Now(); ; {
		ours, _, err := m.ours(ctx)
		if err == nil {
			v.find(ours, nil)
		}
		switch {
		case v.Found != "":
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Since(began) > makeLost:
			return fmt.Errorf("make the printer: %w; whether it is made is not known: run this again in a few minutes", why)
		}
		wait(ctx, makeLook)
	}
}

// share shares a printer, and lets those print who are configured to; nobody is taken
// away.
func (m *Maker) share(ctx context.Context, v *Virtual, done func(string)) error {
	if v.Shared == "" {
		all := len(v.Grant) > 0 && granted(v.Grant) == Everyone
		share, err := m.Admin.CreateShare(ctx, v.Found, shareName(v.Name), all)
		if err != nil {
			if err := m.shared(ctx, v, err); err != nil {
				return err
			}
		} else if v.Shared = share.ID; all {
			v.Grant = nil
		}
		done("shared")
	}
	for len(v.Grant) > 0 {
		who := v.Grant[0]
		var err error
		if who == Everyone {
			err = m.Admin.OpenShare(ctx, v.Shared)
		} else {
			err = m.Admin.AllowGroup(ctx, v.Shared, who)
		}
		if err != nil {
			if err := m.shared(ctx, v, err); err != nil {
				return err
			}
			if len(v.Grant) > 0 && v.Grant[0] == who {
				return fmt.Errorf("let %s print: %w", who, err)
			}
			continue
		}
		v.Grant = v.Grant[1:]
		done("may print: " + who)
	}
	return nil
}

// shared looks again after a share could not be made or changed, because of why:
// the answer may have got lost, or another may have done it.
func (m *Maker) shared(ctx context.Context, v *Virtual, why error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case forbidden(why):
		return errShareForbidden
	}
	if err := m.lookAtShare(ctx, v); err != nil {
		return err
	}
	if v.Shared == "" {
		return fmt.Errorf("share it: %w", why)
	}
	return nil
}

// shareName is a queue's name, as far as it fits.
func shareName(name string) string {
	if r := []rune(name); len(r) > maxShareName {
		return string(r[:maxShareName])
	}
	return name
}

// make makes the virtual printers that are missing, before their triggers.
func (p *Planner) make(ctx context.Context, plan *Plan, done func(Step)) error {
	return p.each(ctx, plan, done, p.Maker.make)
}

// share shares them, once their triggers are there: a job that comes to a queue
// without one waits for nobody.
func (p *Planner) share(ctx context.Context, plan *Plan, done func(Step)) error {
	return p.each(ctx, plan, done, func(ctx context.Context, v *Virtual, told func(string)) error {
		if i := slices.IndexFunc(plan.Steps, func(s Step) bool { return s.Name == v.Name }); i < 0 || plan.Steps[i].State != TriggerOurs {
			return nil
		}
		return p.Maker.share(ctx, v, told)
	})
}

// each does something about the virtual printers that have something to be done.
func (p *Planner) each(ctx context.Context, plan *Plan, done func(Step), do func(context.Context, *Virtual, func(string)) error) error {
	for i := range plan.Virtual {
		v := &plan.Virtual[i]
		if !v.Changes() {
			continue
		}
		at := slices.IndexFunc(plan.Steps, func(s Step) bool { return s.Name == v.Name })
		s := &plan.Steps[at]
		v.Err = do(ctx, v, func(did string) {
			s.Printer.ID = v.Found
			now := *s
			now.Did = did
			done(now)
		})
		switch {
		case ctx.Err() != nil && v.Err != nil:
			return fmt.Errorf("virtual printer of %s: %w", v.Name, v.Err)
		case v.Err != nil:
			s.Err = v.Err
			done(*s)
		}
	}
	return nil
}

// virtual is the virtual printer of a queue; nil when there is nothing about it.
func (p *Plan) virtual(queue string) *Virtual {
	for i := range p.Virtual {
		if p.Virtual[i].Name == queue {
			return &p.Virtual[i]
		}
	}
	return nil
}
