package trigger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"pullprint/trigger/graph"
)

// Everyone, in Printer.ShareWith, is everyone of the tenant.
const Everyone = "everyone"

// manufacturer, and model with the app's id, are the mark of the printers that we
// made: only the app that registered a printer may say what it can do.
const manufacturer = "pullprint"

func model(app string) string { return "queue of app " + strings.ToLower(app) }

// maxShareName is how many characters the name of a share has at most.
const maxShareName = 50

// Virtual is what is, and what would be done, about the virtual printer of one queue.
type Virtual struct {
	Printer
	// Found is the id of the printer that is there, empty for none.
	Found string
	// Spare are further printers of ours by that name: one was made twice, by a run
	// that was interrupted.
	Spare []string
	// Lacks is what the queue does not offer of what its devices can do, in Graph's
	// words, and of what a queue needs.
	Lacks []string
	// Shared is the id of its share, empty for none; Grant are those of ShareWith who
	// may not print to it yet.
	Shared string
	Grant  []string
	// Foreign is a virtual printer that somebody else made: nothing is done to it.
	Foreign bool
	// Err is why it can't be made or read, or what failed.
	Err error

	can  graph.Capabilities
	says graph.Defaults
}

// Changes reports whether something would be done.
func (v *Virtual) Changes() bool {
	return v.Create && v.Err == nil && (v.Found == "" || len(v.Lacks) > 0 || v.Shared == "" || len(v.Grant) > 0)
}

// Acts are what would be done, in words.
func (v *Virtual) Acts() (list []string) {
	if !v.Changes() {
		return nil
	}
	if v.Found == "" {
		list = append(list, "create")
	}
	if len(v.Lacks) > 0 {
		list = append(list, "set attributes")
	}
	switch {
	case v.Shared == "" && len(v.Grant) == 0:
		list = append(list, "share, with nobody yet")
	case v.Shared == "":
		list = append(list, "share with "+granted(v.Grant))
	case len(v.Grant) > 0:
		list = append(list, "let print "+granted(v.Grant))
	}
	return list
}

func granted(to []string) string {
	if slices.Contains(to, Everyone) {
		return Everyone
	}
	if len(to) == 1 {
		return "1 group"
	}
	return fmt.Sprintf("%d groups", len(to))
}

// Maker makes virtual printers, and keeps no state either: what was made is found
// again by its name and its mark.
type Maker struct {
	// App is for the attributes, Admin for all else.
	App, Admin *graph.Client
	// AppID is our application (client) id.
	AppID string
}

// errAppForbidden is the 403 to the app's own token.
var errAppForbidden = errors.New("the app may not set what a printer can do: grant it the application permission Printer.ReadWrite.All, with admin consent, and run this again")

// errShareForbidden is the 403 to a share.
var errShareForbidden = errors.New("whoever signed in may not share printers: consent to the delegated permission PrinterShare.ReadWrite.All is missing, or the role Printer Administrator")

// ours are the printers of the tenant that this app made, the oldest first.
func (m *Maker) ours(ctx context.Context) (ours, others []graph.Registered, err error) {
	all, err := m.Admin.Printers(ctx)
	switch {
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case forbidden(err):
		return nil, nil, fmt.Errorf("list printers: %w", ErrForbidden)
	case err != nil:
		return nil, nil, fmt.Errorf("list printers: %w", err)
	}
	for _, p := range all {
		if p.Manufacturer == manufacturer && strings.EqualFold(p.Model, model(m.AppID)) && !p.Physical {
			ours = append(ours, p)
		} else {
			others = append(others, p)
		}
	}
	slices.SortFunc(ours, func(a, b graph.Registered) int {
		return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.ID, b.ID))
	})
	return ours, others, nil
}

// plan looks at the virtual printers of queues: those to be made, and what those of
// others lack. Nothing is listed when none is to be made.
func (m *Maker) plan(ctx context.Context, queues []Printer) ([]Virtual, error) {
	var ours, others []graph.Registered
	if slices.ContainsFunc(queues, func(q Printer) bool { return q.Create }) {
		var err error
		if ours, others, err = m.ours(ctx); err != nil {
			return nil, err
		}
	}
	devices := map[string]*graph.Capabilities{}
	var out []Virtual
	for _, q := range queues {
		can, err := m.devices(ctx, q, devices)
		if err != nil {
			return nil, err
		}
		v := Virtual{Printer: q, can: can}
		if !q.Create {
			if m.another(ctx, &v) {
				out = append(out, v)
			}
			continue
		}
		base := plain()
		fill(&v.can, &base)
		v.find(ours, others)
		if v.Err == nil {
			v.Err = m.look(ctx, &v)
		}
		if err := fatal(ctx, v.Err); err != nil {
			return nil, fmt.Errorf("virtual printer of %s: %w", q.Name, err)
		}
		out = append(out, v)
	}
	return out, nil
}

// devices is what the devices of a queue can do. One that can't be read says nothing.
func (m *Maker) devices(ctx context.Context, q Printer, known map[string]*graph.Capabilities) (graph.Capabilities, error) {
	var list []graph.Capabilities
	for _, id := range q.Devices {
		if known[id] == nil {
			known[id] = &graph.Capabilities{}
			a, err := m.App.Attributes(ctx, id)
			if ctx.Err() != nil {
				return graph.Capabilities{}, ctx.Err()
			}
			if err == nil {
				*known[id] = a.Capabilities
			}
		}
		list = append(list, *known[id])
	}
	return together(list), nil
}

// another looks whether a queue that we did not make is a virtual printer that lacks
// something of its devices. That it can't be read is told by its trigger.
func (m *Maker) another(ctx context.Context, v *Virtual) bool {
	if len(v.Devices) == 0 {
		return false
	}
	a, err := m.App.Attributes(ctx, v.ID)
	if err != nil || a.Physical {
		return false
	}
	v.Found, v.Foreign = v.ID, true
	v.Lacks = lacking(a.Capabilities, v.can)
	return len(v.Lacks) > 0
}

// find takes the printer of a queue out of those that there are.
func (v *Virtual) find(ours, others []graph.Registered) {
	if v.ID != "" {
		is := func(p graph.Registered) bool { return strings.EqualFold(p.ID, v.ID) }
		switch {
		case slices.ContainsFunc(ours, is):
			v.Found = v.ID
		case slices.ContainsFunc(others, is):
			v.Err = errors.New("its printer was not made by pullprint: leave create out")
		default:
			v.Err = errors.New("there is no such printer: correct queues[].printer_id, or leave it out to have one made")
		}
		return
	}
	for _, p := range ours {
		switch {
		case p.DisplayName != v.Name:
		case v.Found == "":
			v.Found = p.ID
		default:
			v.Spare = append(v.Spare, p.ID)
		}
	}
	if i := slices.IndexFunc(others, func(p graph.Registered) bool { return strings.EqualFold(p.DisplayName, v.Name) }); v.Found == "" && i >= 0 {
		v.Err = fmt.Errorf("there is a printer of that name already, %s, that pullprint did not make: give the queue another name, or write that id into queues[].printer_id and leave create out", others[i].ID)
	}
}

// look reads what the printer offers, and who may print to it.
func (m *Maker) look(ctx context.Context, v *Virtual) error {
	v.Lacks, v.Grant = lacking(graph.Capabilities{}, v.can), v.ShareWith
	if v.Found == "" {
		return nil
	}
	a, err := m.App.Attributes(ctx, v.Found)
	if err != nil {
		return fmt.Errorf("read its attributes: %w", err)
	}
	v.Lacks, v.says = lacking(a.Capabilities, v.can), a.Defaults
	add(&v.can, &a.Capabilities) // what it offers already stays
	return m.lookAtShare(ctx, v)
}

func (m *Maker) lookAtShare(ctx context.Context, v *Virtual) error {
	shares, err := m.Admin.Shares(ctx, v.Found)
	switch {
	case forbidden(err):
		return errShareForbidden
	case err != nil:
		return fmt.Errorf("read its share: %w", err)
	case len(shares) == 0:
		v.Shared, v.Grant = "", v.ShareWith
		return nil
	}
	v.Shared, v.Grant = shares[0].ID, nil
	switch {
	case len(v.ShareWith) == 0 || shares[0].Everyone:
		return nil
	case slices.Contains(v.ShareWith, Everyone):
		v.Grant = []string{Everyone}
		return nil
	}
	groups, err := m.Admin.AllowedGroups(ctx, v.Shared)
	if err != nil {
		return fmt.Errorf("read who may print to it: %w", err)
	}
	for _, g := range v.ShareWith {
		if !slices.ContainsFunc(groups, func(has graph.Group) bool { return strings.EqualFold(has.ID, g) }) {
			v.Grant = append(v.Grant, g)
		}
	}
	return nil
}
