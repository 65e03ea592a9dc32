package register

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pullprint/trigger/graph"
	"pullprint/trigger/wait"
)

// Creating a printer is a long-running operation of Graph.
const (
	createTimeout      = 2 * time.Minute  // for the whole operation, which usually takes seconds
	pollEvery          = time.Second      // as Graph asks by Retry-After with the operation
	unconfirmedTimeout = 20 * time.Second // to find a printer whose creation was not confirmed
	notFoundRetries    = 10               // until a new printer is known everywhere in Graph
)

// operationPoll spaces the reads of the operation.
var operationPoll = wait.Backoff{First: pollEvery, Max: 5 * time.Second}

// create creates the printer of a queue, if there is none, and sets its attributes. The process
// may die at any point: the next run finds a printer that was created by its name and model,
// and sets attributes that are missing. It is shared last, once it has its trigger. Only while
// Graph is still creating the printer is there nothing to find: the next run then creates a
// second one, and later runs report the duplicate.
func (pr *Provisioner) create(ctx context.Context, v *VirtualPrinter, done func(string)) error {
	if v.PrinterID == "" {
		if err := pr.createPrinter(ctx, v); err != nil {
			return err
		}
		done("printer created, " + v.PrinterID)
	}
	if len(v.Missing) == 0 {
		return nil
	}
	err := pr.App.SetAttributes(ctx, v.PrinterID, v.offer, defaults(v.offer, v.current))
	for range notFoundRetries { // a new printer may not be known everywhere yet
		if !graph.IsNotFound(err) || wait.Sleep(ctx, pollEvery) != nil {
			break
		}
		err = pr.App.SetAttributes(ctx, v.PrinterID, v.offer, defaults(v.offer, v.current))
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case forbidden(err):
		return errAppForbidden
	case err != nil:
		return fmt.Errorf("set its attributes: %w", err)
	}
	v.Missing = nil
	done("attributes set")
	return nil
}

// createPrinter creates a printer and waits until it exists.
func (pr *Provisioner) createPrinter(ctx context.Context, v *VirtualPrinter) error {
	operation, err := pr.Admin.CreatePrinter(ctx,
		graph.NewPrinter{DisplayName: v.Name, Manufacturer: manufacturer, Model: printerModel(pr.AppID)})
	var ge *graph.Error
	switch {
	case errors.As(err, &ge) && ge.Ambiguous():
		return pr.findUnconfirmed(ctx, v, err)
	case forbidden(err):
		return ErrForbidden
	case err != nil:
		return fmt.Errorf("create the printer: %w", err)
	}
	began := time.Now()
	for n := 1; ; n++ {
		state, id, err := pr.Admin.Operation(ctx, operation)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf( //nolint:staticcheck // a name
				"Graph is still creating the printer: wait a minute before this is run again: %w",
				ctx.Err())
		case forbidden(err):
			return ErrForbidden
		case err != nil:
			return pr.findUnconfirmed(ctx, v, err)
		case state == graph.OperationSucceeded:
			v.PrinterID = id
			return nil
		case state == graph.OperationFailed:
			return errors.New("Graph could not create the printer: run this again; " + //nolint:staticcheck // a name
				"if it still fails, check that the tenant has a subscription to Universal Print")
		case time.Since(began) > createTimeout:
			return errors.New("Graph is still creating the printer: run this again in a few minutes") //nolint:staticcheck // a name
		}
		if wait.Sleep(ctx, operationPoll.Pause(n)) != nil {
			return fmt.Errorf( //nolint:staticcheck // a name
				"Graph is still creating the printer: wait a minute before this is run again: %w",
				ctx.Err())
		}
	}
}

// findUnconfirmed looks for a printer whose creation failed with cause but may have happened.
func (pr *Provisioner) findUnconfirmed(ctx context.Context, v *VirtualPrinter, cause error) error {
	for began := time.Now(); ; {
		ours, _, err := pr.listPrinters(ctx)
		if err == nil {
			v.match(ours, nil)
		}
		switch {
		case v.PrinterID != "":
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Since(began) > unconfirmedTimeout:
			return fmt.Errorf("create the printer: %w; it may have been created: run this again in a few minutes", cause)
		}
		_ = wait.Sleep(ctx, pollEvery) // ctx is checked above
	}
}

// share shares a printer and allows the configured groups to print to it; it removes none.
func (pr *Provisioner) share(ctx context.Context, v *VirtualPrinter, done func(string)) error {
	if v.ShareID == "" {
		all := len(v.ToGrant) > 0 && audience(v.ToGrant) == Everyone
		share, err := pr.Admin.CreateShare(ctx, v.PrinterID, shareName(v.Name), all)
		if err != nil {
			if err := pr.checkShareAfter(ctx, v, err); err != nil {
				return err
			}
		} else if v.ShareID = share.ID; all {
			v.ToGrant = nil
		}
		done("shared")
	}
	for len(v.ToGrant) > 0 {
		who := v.ToGrant[0]
		var err error
		if who == Everyone {
			err = pr.Admin.OpenShare(ctx, v.ShareID)
		} else {
			err = pr.Admin.AllowGroup(ctx, v.ShareID, who)
		}
		if err != nil {
			if err := pr.checkShareAfter(ctx, v, err); err != nil {
				return err
			}
			if len(v.ToGrant) > 0 && v.ToGrant[0] == who {
				return fmt.Errorf("let %s print: %w", who, err)
			}
			continue
		}
		v.ToGrant = v.ToGrant[1:]
		done("may print: " + who)
	}
	return nil
}

// checkShareAfter reads the share again after creating or changing it failed with cause: the
// answer may have been lost, or another process may have done it.
func (pr *Provisioner) checkShareAfter(ctx context.Context, v *VirtualPrinter, cause error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case forbidden(cause):
		return errShareForbidden
	}
	if err := pr.readShare(ctx, v); err != nil {
		return err
	}
	if v.ShareID == "" {
		return fmt.Errorf("share it: %w", cause)
	}
	return nil
}

// shareName returns a queue's name, cut to the length that Graph allows.
func shareName(name string) string {
	if r := []rune(name); len(r) > maxShareName {
		return string(r[:maxShareName])
	}
	return name
}

// createPrinters creates the virtual printers that are missing, before their triggers.
func (p *Planner) createPrinters(ctx context.Context, plan *Plan, done func(Step)) error {
	return p.eachPrinter(ctx, plan, done, p.Provisioner.create)
}

// sharePrinters shares virtual printers that have their triggers: a job that arrives at a queue
// without one is printed without pullprint.
func (p *Planner) sharePrinters(ctx context.Context, plan *Plan, done func(Step)) error {
	return p.eachPrinter(ctx, plan, done, func(ctx context.Context, v *VirtualPrinter, done func(string)) error {
		if i := slices.IndexFunc(plan.Steps, func(s Step) bool { return s.Name == v.Name }); i < 0 ||
			plan.Steps[i].State != TriggerOurs {
			return nil
		}
		return p.Provisioner.share(ctx, v, done)
	})
}

// eachPrinter calls do for each virtual printer that needs a change.
func (p *Planner) eachPrinter(
	ctx context.Context, plan *Plan, done func(Step), do func(context.Context, *VirtualPrinter, func(string)) error,
) error {
	for i := range plan.VirtualPrinters {
		v := &plan.VirtualPrinters[i]
		if !v.Changes() {
			continue
		}
		at := slices.IndexFunc(plan.Steps, func(s Step) bool { return s.Name == v.Name })
		s := &plan.Steps[at]
		v.Err = do(ctx, v, func(did string) {
			s.Queue.ID = v.PrinterID
			now := *s
			now.Done = did
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

// virtual returns the virtual printer of a queue; nil if there is none.
func (p *Plan) virtual(queue string) *VirtualPrinter {
	for i := range p.VirtualPrinters {
		if p.VirtualPrinters[i].Name == queue {
			return &p.VirtualPrinters[i]
		}
	}
	return nil
}
