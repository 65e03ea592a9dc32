// Package register puts pullprint's triggers on print queues, for an administrator: it plans,
// applies and removes the task definition, the triggers and, where the configuration asks
// for them, virtual printers with their shares.
//
// Microsoft Graph lets only a signed-in Printer Administrator read and change triggers, so
// the daemon itself changes none. This package stores nothing: every run reads from Graph what
// exists, so a run may be interrupted anywhere and repeated. Triggers of other apps are
// reported and not changed unless Planner.Replace is set.
package register

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"pullprint/trigger/graph"
)

// Definitions is what a Planner needs of Microsoft Graph with the token of the app;
// *graph.Client implements it.
type Definitions interface {
	Definitions(ctx context.Context) ([]graph.Definition, error)
	CreateDefinition(ctx context.Context, displayName string) (graph.Definition, error)
	DeleteDefinition(ctx context.Context, definition string) error
}

// Triggers is what a Planner needs with the token of a Printer Administrator who signed in to
// the same app; *graph.Client implements it.
type Triggers interface {
	Triggers(ctx context.Context, printer string) ([]graph.Trigger, error)
	CreateTrigger(ctx context.Context, printer, definition string) error
	DeleteTrigger(ctx context.Context, printer, trigger string) error
}

// States of a queue's trigger in a Plan.
const (
	// TriggerOurs is a printer that has our trigger, as it should.
	TriggerOurs = "ours"
	// TriggerMissing is a printer without a trigger.
	TriggerMissing = "missing"
	// TriggerOld is a trigger of another definition of our app.
	TriggerOld = "old"
	// TriggerForeign is one of another app.
	TriggerForeign = "foreign"
	// TriggerUnreadable is a printer whose triggers could not be read.
	TriggerUnreadable = "unreadable"
)

// Actions of a Plan on a queue.
const (
	ActionNone    = "nothing"
	ActionCreate  = "create"
	ActionReplace = "replace"
	ActionRemove  = "remove"
	// ActionSkip leaves the trigger of another app, and the queue without ours.
	ActionSkip = "left alone"
)

// ErrForbidden says that the person who signed in lacks a permission that a plan needs.
var ErrForbidden = errors.New("not allowed: sign in as a Printer Administrator (or Global Administrator) of this " +
	"tenant, with admin consent to the delegated permissions Printer.Read.All and Printer.ReadWrite.All")

// errHidden says that Graph refuses a second trigger on a printer, but lists no first one.
var errHidden = errors.New("graph says that the printer has a trigger, and lists none: try again in a few minutes; " +
	"if it stays so, look for the other app's trigger in its own administration")

// Queue is a queue to plan for.
type Queue struct {
	// ID may be empty for one that is to be created.
	ID, Name string
	// Create has its virtual printer created, and its attributes and share kept up to date.
	Create bool
	// ShareWith are the ids of groups that may print to one that is created, or Everyone.
	ShareWith []string
	// Devices are the printers that release its jobs.
	Devices []string
}

// Step is the state of one queue, and what is to be changed.
type Step struct {
	Queue
	// State is one of the Trigger constants, Action one of the Action constants.
	State, Action string
	// Found is the trigger that exists, if any.
	Found graph.Trigger
	// Err is why the triggers could not be read, or why the action failed.
	Err error
	// Done is what was just done, for reporting progress.
	Done string
}

// Plan is the difference between what is configured and what exists.
type Plan struct {
	// Definition is ours; without an id it is to be created.
	Definition graph.Definition
	Steps      []Step
	// VirtualPrinters are those to be created, and printers of others that lack capabilities.
	VirtualPrinters []VirtualPrinter
	// Deletions are printers of ours that a removal deletes.
	Deletions []graph.Registered
}

// Changes returns the number of steps that would change something.
func (p *Plan) Changes() int {
	n := 0
	for i := range p.Steps {
		if a := p.Steps[i].Action; a == ActionCreate || a == ActionReplace || a == ActionRemove {
			n++
		}
	}
	for i := range p.VirtualPrinters {
		if p.VirtualPrinters[i].Changes() {
			n++
		}
	}
	return n + len(p.Deletions)
}

// Incomplete returns the steps after which a queue still lacks our trigger, and those that
// failed.
func (p *Plan) Incomplete() (list []Step) {
	for _, s := range p.Steps {
		if s.Action == ActionSkip || s.State == TriggerUnreadable || s.Err != nil {
			list = append(list, s)
		}
	}
	for i := range p.VirtualPrinters {
		if v := &p.VirtualPrinters[i]; v.Err != nil &&
			!slices.ContainsFunc(list, func(s Step) bool { return s.Name == v.Name }) {
			list = append(list, Step{Queue: v.Queue, State: TriggerUnreadable, Action: ActionNone, Err: v.Err})
		}
	}
	return list
}

// Planner compares what is configured with what exists, and changes that: our task definition
// and a trigger on each queue, which together make jobs start tasks.
type Planner struct {
	App   Definitions
	Admin Triggers
	// AppID is our application (client) id, Definition the display name of ours.
	AppID, Definition string
	// Replace allows replacing the trigger of another app by ours.
	Replace bool
	// Provisioner creates virtual printers; if nil, none is created or read.
	Provisioner *Provisioner
	// Printers makes a removal delete the virtual printers that we created.
	Printers bool
}

// Plan reads what exists and changes nothing.
func (p *Planner) Plan(ctx context.Context, queues []Queue) (*Plan, error) {
	all, err := p.App.Definitions(ctx)
	if err != nil {
		return nil, fmt.Errorf("list task definitions: %w", err)
	}
	plan := &Plan{}
	plan.Definition, _ = graph.FindDefinition(all, p.Definition, p.AppID)
	if p.Provisioner != nil {
		if plan.VirtualPrinters, err = p.Provisioner.plan(ctx, queues); err != nil {
			return nil, err
		}
	}
	for _, q := range queues {
		if v := plan.virtual(q.Name); v != nil && q.ID == "" {
			q.ID = v.PrinterID
			if v.PrinterID == "" {
				s := Step{Queue: q, State: TriggerMissing, Action: ActionCreate}
				if v.Err != nil {
					s.State, s.Action, s.Err = TriggerUnreadable, ActionNone, v.Err
				}
				plan.Steps = append(plan.Steps, s)
				continue
			}
		}
		s, err := p.planQueue(ctx, q, plan.Definition.ID)
		if err != nil {
			return nil, err
		}
		plan.Steps = append(plan.Steps, s)
	}
	return plan, nil
}

// planQueue reads the trigger of one queue. It returns an error only if every queue would have
// it.
func (p *Planner) planQueue(ctx context.Context, q Queue, definition string) (Step, error) {
	s := Step{Queue: q, State: TriggerMissing, Action: ActionCreate}
	list, err := p.Admin.Triggers(ctx, q.ID)
	switch {
	case ctx.Err() != nil:
		return s, ctx.Err()
	case forbidden(err):
		return s, fmt.Errorf("read the triggers of %s: %w", q.Name, ErrForbidden)
	case err != nil:
		s.State, s.Action, s.Err = TriggerUnreadable, ActionNone, err
		return s, nil
	case len(list) == 0:
		return s, nil
	}
	s.Found = list[0]
	switch s.State = triggerState(s.Found, definition, p.AppID); {
	case s.State == TriggerOurs:
		s.Action = ActionNone
	case s.State == TriggerOld || p.Replace:
		s.Action = ActionReplace
	default:
		s.Action = ActionSkip
	}
	return s, nil
}

// triggerState returns whose trigger t is.
func triggerState(t graph.Trigger, definition, app string) string {
	switch d := t.Definition; {
	case definition != "" && d.ID == definition:
		return TriggerOurs
	case strings.EqualFold(d.AppID, app):
		return TriggerOld
	}
	return TriggerForeign
}

// CheckTrigger reads the trigger of a printer, with the token of a Printer Administrator. It
// returns its state, one of the Trigger constants, and its owner if it is another app's. An
// empty list does not quite prove that there is no trigger: Graph has once returned one for a
// printer that had a trigger.
func CheckTrigger(
	ctx context.Context, admin Triggers, printer, definition, app string,
) (state, holder string, err error) {
	list, err := admin.Triggers(ctx, printer)
	switch {
	case forbidden(err):
		return TriggerUnreadable, "", ErrForbidden
	case err != nil:
		return TriggerUnreadable, "", err
	case len(list) == 0:
		return TriggerMissing, "", nil
	}
	if state = triggerState(list[0], definition, app); state == TriggerForeign {
		holder = HolderName(list[0])
	}
	return state, holder, nil
}

// Apply carries out a plan and calls done after each step. A step that fails has its error, and
// the others are carried out all the same. Apply returns an error only if ctx ended, or if
// every step would have it.
func (p *Planner) Apply(ctx context.Context, plan *Plan, done func(Step)) error {
	if plan.Changes() > 0 && plan.Definition.ID == "" {
		var err error
		if plan.Definition, err = p.App.CreateDefinition(ctx, p.Definition); err != nil {
			return fmt.Errorf("create the task definition: %w", err)
		}
	}
	if err := p.createPrinters(ctx, plan, done); err != nil {
		return err
	}
	for i := range plan.Steps {
		s := &plan.Steps[i]
		if s.Action != ActionCreate && s.Action != ActionReplace || s.Err != nil {
			continue
		}
		s.Err = p.putTrigger(ctx, s, plan.Definition.ID)
		if err := abortCause(ctx, s.Err); err != nil {
			return fmt.Errorf("trigger of %s: %w", s.Name, err)
		}
		if s.Err == nil {
			s.State, s.Action = TriggerOurs, ActionNone
			s.Done = "trigger"
		}
		done(*s)
	}
	return p.sharePrinters(ctx, plan, done)
}

// putTrigger puts our trigger on a printer. If Graph refuses, it reads the triggers once more:
// another may have existed, or the earlier list may have been empty by mistake.
func (p *Planner) putTrigger(ctx context.Context, s *Step, definition string) error {
	if s.Action == ActionReplace {
		if err := p.Admin.DeleteTrigger(ctx, s.Queue.ID, s.Found.ID); err != nil {
			return fmt.Errorf("remove the trigger that is there: %w", err)
		}
	}
	err := p.Admin.CreateTrigger(ctx, s.Queue.ID, definition)
	if err == nil || abortCause(ctx, err) != nil {
		return err
	}
	now, lerr := p.planQueue(ctx, s.Queue, definition)
	switch {
	case lerr != nil:
		return lerr
	case now.State == TriggerOurs:
		return nil // it was created but the answer was lost, or another process created it
	case now.State == TriggerForeign:
		s.State, s.Action, s.Found = now.State, ActionSkip, now.Found
		return fmt.Errorf("the printer has a trigger of another app, %s", HolderName(now.Found))
	case status(err) == http.StatusBadRequest:
		return errHidden
	}
	return err
}

// HolderName returns the app of a trigger that is not ours.
func HolderName(t graph.Trigger) string {
	d := t.Definition
	name := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, d.DisplayName)
	switch {
	case name != "" && d.AppID != "":
		return fmt.Sprintf("%q of app %s", name, d.AppID)
	case d.AppID != "":
		return "app " + d.AppID
	case name != "":
		return fmt.Sprintf("%q", name)
	}
	return "an app that Graph does not name"
}

// abortCause returns the error that ends the whole run: ctx ended, or the person who signed in
// lacks a permission.
func abortCause(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case forbidden(err):
		return ErrForbidden
	}
	return nil
}

func forbidden(err error) bool {
	s := status(err)
	return s == http.StatusForbidden || s == http.StatusUnauthorized
}

func status(err error) int {
	var ge *graph.Error
	if errors.As(err, &ge) {
		return ge.Status
	}
	return 0
}
