package trigger

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"pullprint/trigger/graph"
)

// Definitions is what a Planner needs of Microsoft Graph with the token of the
// app; *graph.Client is one.
type Definitions interface {
	Definitions(ctx context.Context) ([]graph.Definition, error)
	CreateDefinition(ctx context.Context, displayName string) (graph.Definition, error)
	DeleteDefinition(ctx context.Context, definition string) error
}

// Triggers is what a Planner needs with the token of a Printer Administrator who
// signed in to the same app.
type Triggers interface {
	Triggers(ctx context.Context, printer string) ([]graph.Trigger, error)
	CreateTrigger(ctx context.Context, printer, definition string) error
	DeleteTrigger(ctx context.Context, printer, trigger string) error
}

// State of a queue's trigger, as a Plan has it.
const (
	// TriggerOurs is what should be: the printer has our trigger.
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

// What a plan does about a queue.
const (
	ActNothing = "nothing"
	ActCreate  = "create"
	ActReplace = "replace"
	ActRemove  = "remove"
	// ActRefuse leaves a foreign trigger alone, and the queue without ours.
	ActRefuse = "left alone"
)

// ErrForbidden says that whoever signed in may not do what a plan needs.
var ErrForbidden = errors.New("not allowed: sign in as a Printer Administrator (or Global Administrator) of this tenant, with admin consent to the delegated permissions Printer.Read.All and Printer.ReadWrite.All")

// errHidden says that Graph refuses a second trigger on a printer of which it
// lists none.
var errHidden = errors.New("graph says that the printer has a trigger, and lists none: try again in a few minutes; if it stays so, look for the other app's trigger in its own administration")

// Printer is a queue to plan for.
type Printer struct {
	// ID may be empty for one that is to be made.
	ID, Name string
	// Create has its virtual printer made, and kept as it should be.
	Create bool
	// ShareWith are who may print to one that is made: ids of groups, or Everyone.
	ShareWith []string
	// Devices are the printers that release its jobs.
	Devices []string
}

// Step is what is, and what would be done, about one queue.
type Step struct {
	Printer
	// State is one of the Trigger constants, Act one of the Act constants.
	State, Act string
	// Found is the trigger that is there, if any.
	Found graph.Trigger
	// Err is why the triggers could not be read, or the act failed.
	Err error
	// Did is what was just done, for who follows it.
	Did string
}

// Plan compares what is configured with what is there.
type Plan struct {
	// Definition is ours; without an id it would be created.
	Definition graph.Definition
	Steps      []Step
	// Virtual are the virtual printers, as far as there is something about them.
	Virtual []Virtual
	// Gone are printers of ours that a removal deletes.
	Gone []graph.Registered
}

// Changes counts the steps that would change something.
func (p *Plan) Changes() int {
	n := 0
	for i := range p.Steps {
		if a := p.Steps[i].Act; a == ActCreate || a == ActReplace || a == ActRemove {
			n++
		}
	}
	for i := range p.Virtual {
		if p.Virtual[i].Changes() {
			n++
		}
	}
	return n + len(p.Gone)
}

// Open are the steps after which a queue would still be without our trigger.
func (p *Plan) Open() (list []Step) {
	for _, s := range p.Steps {
		if s.Act == ActRefuse || s.State == TriggerUnreadable || s.Err != nil {
			list = append(list, s)
		}
	}
	for i := range p.Virtual {
		if v := &p.Virtual[i]; v.Err != nil && !slices.ContainsFunc(list, func(s Step) bool { return s.Name == v.Name }) {
			list = append(list, Step{Printer: v.Printer, State: TriggerUnreadable, Act: ActNothing, Err: v.Err})
		}
	}
	return list
}

// Planner compares and puts right what makes jobs start tasks: our task
// definition, and a trigger on each queue. It keeps nothing: what was done is
// read from Graph, so it may be interrupted anywhere and run again.
type Planner struct {
	App   Definitions
	Admin Triggers
	// AppID is our application (client) id, Definition the display name of ours.
	AppID, Definition string
	// Replace lets a trigger of another app be replaced by ours.
	Replace bool
	// Maker makes virtual printers; without one none is made or looked at.
	Maker *Maker
	// Printers has a removal delete the virtual printers that we made.
	Printers bool
}

// Plan looks and changes nothing.
func (p *Planner) Plan(ctx context.Context, queues []Printer) (*Plan, error) {
	all, err := p.App.Definitions(ctx)
	if err != nil {
		return nil, fmt.Errorf("list task definitions: %w", err)
	}
	plan := &Plan{}
	plan.Definition, _ = named(all, p.Definition, p.AppID)
	if p.Maker != nil {
		if plan.Virtual, err = p.Maker.plan(ctx, queues); err != nil {
			return nil, err
		}
	}
	for _, q := range queues {
		if v := plan.virtual(q.Name); v != nil && q.ID == "" {
			q.ID = v.Found
			if v.Found == "" {
				s := Step{Printer: q, State: TriggerMissing, Act: ActCreate}
				if v.Err != nil {
					s.State, s.Act, s.Err = TriggerUnreadable, ActNothing, v.Err
				}
				plan.Steps = append(plan.Steps, s)
				continue
			}
		}
		s, err := p.step(ctx, q, plan.Definition.ID)
		if err != nil {
			return nil, err
		}
		plan.Steps = append(plan.Steps, s)
	}
	return plan, nil
}

// step looks at one queue. Its error is one that every queue would have.
func (p *Planner) step(ctx context.Context, q Printer, definition string) (Step, error) {
	s := Step{Printer: q, State: TriggerMissing, Act: ActCreate}
	list, err := p.Admin.Triggers(ctx, q.ID)
	switch {
	case ctx.Err() != nil:
		return s, ctx.Err()
	case forbidden(err):
		return s, fmt.Errorf("read the triggers of %s: %w", q.Name, ErrForbidden)
	case err != nil:
		s.State, s.Act, s.Err = TriggerUnreadable, ActNothing, err
		return s, nil
	case len(list) == 0:
		return s, nil
	}
	s.Found = list[0]
	switch s.State = stateOf(s.Found, definition, p.AppID); {
	case s.State == TriggerOurs:
		s.Act = ActNothing
	case s.State == TriggerOld || p.Replace:
		s.Act = ActReplace
	default:
		s.Act = ActRefuse
	}
	return s, nil
}

// stateOf tells whose a trigger is.
func stateOf(t graph.Trigger, definition, app string) string {
	switch d := t.Definition; {
	case definition != "" && d.ID == definition:
		return TriggerOurs
	case strings.EqualFold(d.AppID, app):
		return TriggerOld
	}
	return TriggerForeign
}

// LookAt reads the trigger of a printer, with the token of a Printer Administrator:
// its state as one of the Trigger constants, and who holds it when it is another's.
// That no trigger is listed does not quite mean that there is none: Graph's list once
// came back empty for a printer that had one.
func LookAt(ctx context.Context, admin Triggers, printer, definition, app string) (state, holder string, err error) {
	list, err := admin.Triggers(ctx, printer)
	switch {
	case forbidden(err):
		return TriggerUnreadable, "", ErrForbidden
	case err != nil:
		return TriggerUnreadable, "", err
	case len(list) == 0:
		return TriggerMissing, "", nil
	}
	if state = stateOf(list[0], definition, app); state == TriggerForeign {
		holder = Foreign(list[0])
	}
	return state, holder, nil
}

// Apply does what a plan says and calls done after each step. A step that fails
// has its error and does not keep the others from being done; the error is that
// of a context that ended, or one that every step would have.
func (p *Planner) Apply(ctx context.Context, plan *Plan, done func(Step)) error {
	if plan.Changes() > 0 && plan.Definition.ID == "" {
		var err error
		if plan.Definition, err = p.App.CreateDefinition(ctx, p.Definition); err != nil {
			return fmt.Errorf("create the task definition: %w", err)
		}
	}
	if err := p.make(ctx, plan, done); err != nil {
		return err
	}
	for i := range plan.Steps {
		s := &plan.Steps[i]
		if s.Act != ActCreate && s.Act != ActReplace || s.Err != nil {
			continue
		}
		s.Err = p.put(ctx, s, plan.Definition.ID)
		if err := fatal(ctx, s.Err); err != nil {
			return fmt.Errorf("trigger of %s: %w", s.Name, err)
		}
		if s.Err == nil {
			s.State, s.Act = TriggerOurs, ActNothing
			s.Did = "trigger"
		}
		done(*s)
	}
	return p.share(ctx, plan, done)
}

// put makes our trigger that of a printer. When Graph refuses, it looks again,
// once: another may have been there, or the list before may have been empty by
// mistake.
func (p *Planner) put(ctx context.Context, s *Step, definition string) error {
	if s.Act == ActReplace {
		if err := p.Admin.DeleteTrigger(ctx, s.Printer.ID, s.Found.ID); err != nil {
			return fmt.Errorf("remove the trigger that is there: %w", err)
		}
	}
	err := p.Admin.CreateTrigger(ctx, s.Printer.ID, definition)
	if err == nil || fatal(ctx, err) != nil {
		return err
	}
	now, lerr := p.step(ctx, s.Printer, definition)
	switch {
	case lerr != nil:
		return lerr
	case now.State == TriggerOurs:
		return nil // it was made, and its answer got lost, or another made it
	case now.State == TriggerForeign:
		s.State, s.Act, s.Found = now.State, ActRefuse, now.Found
		return fmt.Errorf("the printer has a trigger of another app, %s", Foreign(now.Found))
	case status(err) == http.StatusBadRequest:
		return errHidden
	}
	return err
}

// Foreign names the app of a trigger that is not ours.
func Foreign(t graph.Trigger) string {
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
	return "one that Graph does not name"
}

// fatal is an error that ends everything: the context ended, or whoever signed in
// may not.
func fatal(ctx context.Context, err error) error {
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

// named is the definition of a name and an app; two that choose choose the same.
func named(all []graph.Definition, name, app string) (graph.Definition, bool) {
	var list []graph.Definition
	for _, d := range all {
		if d.DisplayName == name && strings.EqualFold(d.AppID, app) {
			list = append(list, d)
		}
	}
	if len(list) == 0 {
		return graph.Definition{}, false
	}
	return slices.MinFunc(list, func(a, b graph.Definition) int { return strings.Compare(a.ID, b.ID) }), true
}
