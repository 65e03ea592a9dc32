package trigger

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"pullprint/trigger/graph"
)

// PlanRemoval plans to take ours away: the triggers, and then the definition.
func (p *Planner) PlanRemoval(ctx context.Context, queues []Printer) (*Plan, error) {
	plan, err := p.Plan(ctx, queues)
	if err != nil {
		return nil, err
	}
	for i := range plan.Steps {
		s := &plan.Steps[i]
		switch s.State {
		case TriggerOurs, TriggerOld:
			s.Act = ActRemove
		default:
			s.Act = ActNothing
		}
		if s.Printer.ID == "" || status(s.Err) == http.StatusNotFound { // it was never made, or is gone already
			s.State, s.Err = TriggerMissing, nil
		}
	}
	plan.Virtual = nil
	if p.Maker != nil && p.Printers {
		if plan.Gone, _, err = p.Maker.ours(ctx); err != nil {
			return nil, err
		}
	}
	return plan, nil
}

// Remove does what PlanRemoval planned, and nothing else is touched. The
// definition goes last, and only if no trigger of ours is left that is known.
func (p *Planner) Remove(ctx context.Context, plan *Plan, done func(Step)) error {
	left := false
	for i := range plan.Steps {
		s := &plan.Steps[i]
		if s.Act != ActRemove {
			left = left || s.State == TriggerUnreadable
			continue
		}
		s.Err = p.Admin.DeleteTrigger(ctx, s.Printer.ID, s.Found.ID)
		if err := fatal(ctx, s.Err); err != nil {
			return fmt.Errorf("trigger of %s: %w", s.Name, err)
		}
		if s.Err == nil {
			s.State, s.Act, s.Did = TriggerMissing, ActNothing, "trigger"
		}
		left = left || s.Err != nil
		done(*s)
	}
	failed, err := p.unmake(ctx, plan, done)
	if left = left || failed; err != nil {
		return err
	}
	if left || plan.Definition.ID == "" {
		return nil
	}
	if err := p.App.DeleteDefinition(ctx, plan.Definition.ID); err != nil {
		return fmt.Errorf("delete the task definition: %w", err)
	}
	plan.Definition = graph.Definition{}
	return nil
}

// unmake deletes the printers that we made.
func (p *Planner) unmake(ctx context.Context, plan *Plan, done func(Step)) (failed bool, err error) {
	for len(plan.Gone) > 0 {
		g := plan.Gone[0]
		s := Step{Printer: Printer{ID: g.ID, Name: g.DisplayName}, Did: "printer deleted, " + g.ID}
		s.Err = p.Maker.unmake(ctx, g.ID)
		if ctx.Err() != nil {
			return true, fmt.Errorf("virtual printer %s: %w", g.DisplayName, ctx.Err())
		}
		done(s)
		if s.Err != nil {
			return true, fmt.Errorf("virtual printer %s: %w", g.DisplayName, s.Err)
		}
		plan.Gone = plan.Gone[1:]
	}
	return false, nil
}

// unmake takes a printer of ours away, with its share.
func (m *Maker) unmake(ctx context.Context, printer string) error {
	shares, err := m.Admin.Shares(ctx, printer)
	for i := 0; err == nil && i < len(shares); i++ {
		err = m.Admin.DeleteShare(ctx, shares[i].ID)
	}
	var ge *graph.Error
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case forbidden(err):
		return errShareForbidden
	case err != nil && (!errors.As(err, &ge) || !ge.NotFound()):
		return fmt.Errorf("end its share: %w", err)
	}
	err = m.Admin.DeletePrinter(ctx, printer)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case forbidden(err):
		return errors.New("whoever signed in may not delete printers: consent to the delegated permission Printer.FullControl.All is missing, or the role Printer Administrator")
	}
	return err
}
