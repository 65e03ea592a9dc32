package register

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"pullprint/trigger/graph"
)

// PlanRemoval plans to remove what is ours: the triggers, the virtual printers if asked for,
// and then the definition.
func (p *Planner) PlanRemoval(ctx context.Context, queues []Queue) (*Plan, error) {
	plan, err := p.Plan(ctx, queues)
	if err != nil {
		return nil, err
	}
	for i := range plan.Steps {
		s := &plan.Steps[i]
		switch s.State {
		case TriggerOurs, TriggerOld:
			s.Action = ActionRemove
		default:
			s.Action = ActionNone
		}
		if s.Queue.ID == "" || status(s.Err) == http.StatusNotFound { // never created, or gone already
			s.State, s.Err = TriggerMissing, nil
		}
	}
	plan.VirtualPrinters = nil
	if p.Provisioner != nil && p.Printers {
		if plan.Deletions, _, err = p.Provisioner.listPrinters(ctx); err != nil {
			return nil, err
		}
	}
	return plan, nil
}

// Remove carries out a plan of PlanRemoval. The definition is deleted last, and only if no
// trigger of ours is known to be left: without it, nobody could tell whose trigger that is.
func (p *Planner) Remove(ctx context.Context, plan *Plan, done func(Step)) error {
	left := false
	for i := range plan.Steps {
		s := &plan.Steps[i]
		if s.Action != ActionRemove {
			left = left || s.State == TriggerUnreadable
			continue
		}
		s.Err = p.Admin.DeleteTrigger(ctx, s.Queue.ID, s.Found.ID)
		if err := abortCause(ctx, s.Err); err != nil {
			return fmt.Errorf("trigger of %s: %w", s.Name, err)
		}
		if s.Err == nil {
			s.State, s.Action, s.Done = TriggerMissing, ActionNone, "trigger"
		}
		left = left || s.Err != nil
		done(*s)
	}
	failed, err := p.deletePrinters(ctx, plan, done)
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

// deletePrinters deletes the printers that we created.
func (p *Planner) deletePrinters(ctx context.Context, plan *Plan, done func(Step)) (failed bool, err error) {
	for len(plan.Deletions) > 0 {
		g := plan.Deletions[0]
		s := Step{Queue: Queue{ID: g.ID, Name: g.DisplayName}, Done: "printer deleted, " + g.ID}
		s.Err = p.Provisioner.deletePrinter(ctx, g.ID)
		if ctx.Err() != nil {
			return true, fmt.Errorf("virtual printer %s: %w", g.DisplayName, ctx.Err())
		}
		done(s)
		if s.Err != nil {
			return true, fmt.Errorf("virtual printer %s: %w", g.DisplayName, s.Err)
		}
		plan.Deletions = plan.Deletions[1:]
	}
	return false, nil
}

// deletePrinter deletes a printer of ours with its share.
func (pr *Provisioner) deletePrinter(ctx context.Context, printer string) error {
	shares, err := pr.Admin.Shares(ctx, printer)
	for i := 0; err == nil && i < len(shares); i++ {
		err = pr.Admin.DeleteShare(ctx, shares[i].ID)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case forbidden(err):
		return errShareForbidden
	case err != nil && !graph.IsNotFound(err):
		return fmt.Errorf("end its share: %w", err)
	}
	err = pr.Admin.DeletePrinter(ctx, printer)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case forbidden(err):
		return errors.New("whoever signed in may not delete printers: consent to the delegated permission " +
			"Printer.FullControl.All is missing, or the role Printer Administrator")
	}
	return err
}
