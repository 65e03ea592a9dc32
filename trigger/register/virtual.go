package register

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"pullprint/trigger/graph"
)

// Everyone, in Queue.ShareWith, means everyone in the tenant.
const Everyone = "everyone"

// manufacturer, and printerModel with the app's id, mark the printers that we created: only
// the app that registered a printer may set its attributes.
const manufacturer = "pullprint"

func printerModel(app string) string { return "queue of app " + strings.ToLower(app) }

// maxShareName is the longest name of a share, in characters.
const maxShareName = 50

// VirtualPrinter is the state of the virtual printer of one queue, and what is to be changed.
type VirtualPrinter struct {
	Queue
	// PrinterID is the id of the printer that exists, empty for none.
	PrinterID string
	// Duplicates are further printers of ours with that name: an interrupted run created
	// one twice.
	Duplicates []string
	// Missing are the capabilities that devices of the queue have, or that every queue needs,
	// and that the printer does not offer; in Graph's names.
	Missing []string
	// ShareID is the id of its share, empty for none; ToGrant are those of ShareWith who
	// may not print to it yet.
	ShareID string
	ToGrant []string
	// Foreign is a virtual printer that others created: it is never changed.
	Foreign bool
	// Err is why it can't be read or created.
	Err error

	offer   graph.Capabilities
	current graph.Defaults
}

// Changes reports whether something is to be done.
func (v *VirtualPrinter) Changes() bool {
	return v.Create && v.Err == nil && (v.PrinterID == "" || len(v.Missing) > 0 || v.ShareID == "" || len(v.ToGrant) > 0)
}

// Actions describes what is to be done.
func (v *VirtualPrinter) Actions() (list []string) {
	if !v.Changes() {
		return nil
	}
	if v.PrinterID == "" {
		list = append(list, "create")
	}
	if len(v.Missing) > 0 {
		list = append(list, "set attributes")
	}
	switch {
	case v.ShareID == "" && len(v.ToGrant) == 0:
		list = append(list, "share, with nobody yet")
	case v.ShareID == "":
		list = append(list, "share with "+audience(v.ToGrant))
	case len(v.ToGrant) > 0:
		list = append(list, "let print "+audience(v.ToGrant))
	}
	return list
}

func audience(to []string) string {
	if slices.Contains(to, Everyone) {
		return Everyone
	}
	if len(to) == 1 {
		return "1 group"
	}
	return fmt.Sprintf("%d groups", len(to))
}

// Provisioner creates virtual printers, shares and deletes them. It stores nothing: it finds
// what it created by display name, manufacturer and model.
type Provisioner struct {
	// App is for the attributes, Admin for all else.
	App, Admin *graph.Client
	// AppID is our application (client) id.
	AppID string
}

// errAppForbidden is for a 403 to the app's own token.
var errAppForbidden = errors.New("the app may not set what a printer can do: grant it the application permission " +
	"Printer.ReadWrite.All, with admin consent, and run this again")

// errShareForbidden is for a 403 to a change of a share.
var errShareForbidden = errors.New("whoever signed in may not share printers: consent to the delegated permission " +
	"PrinterShare.ReadWrite.All is missing, or the role Printer Administrator")

// listPrinters returns the printers of the tenant that this app created, the oldest first,
// and all others.
func (pr *Provisioner) listPrinters(ctx context.Context) (ours, others []graph.Registered, err error) {
	all, err := pr.Admin.Printers(ctx)
	switch {
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case forbidden(err):
		return nil, nil, fmt.Errorf("list printers: %w", ErrForbidden)
	case err != nil:
		return nil, nil, fmt.Errorf("list printers: %w", err)
	}
	for _, p := range all {
		if p.Manufacturer == manufacturer && strings.EqualFold(p.Model, printerModel(pr.AppID)) && !p.Physical {
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

// plan reads the virtual printers of queues: those to be created, and what those of others
// lack. It lists printers only if one is to be created.
func (pr *Provisioner) plan(ctx context.Context, queues []Queue) ([]VirtualPrinter, error) {
	var ours, others []graph.Registered
	if slices.ContainsFunc(queues, func(q Queue) bool { return q.Create }) {
		var err error
		if ours, others, err = pr.listPrinters(ctx); err != nil {
			return nil, err
		}
	}
	devices := map[string]*graph.Capabilities{}
	var out []VirtualPrinter
	for _, q := range queues {
		can, err := pr.deviceCapabilities(ctx, q, devices)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		v := VirtualPrinter{Queue: q, offer: can, Err: err}
		if !q.Create {
			if err == nil && pr.checkForeign(ctx, &v) {
				out = append(out, v)
			}
			continue
		}
		base := defaultCapabilities()
		fillMissing(&v.offer, &base)
		if v.match(ours, others); v.Err == nil {
			v.Err = pr.read(ctx, &v)
		}
		if err := abortCause(ctx, v.Err); err != nil {
			return nil, fmt.Errorf("virtual printer of %s: %w", q.Name, err)
		}
		out = append(out, v)
	}
	return out, nil
}

// deviceCapabilities returns what the devices of a queue can do. A device that Graph does not
// show to the app adds nothing. Any other failure is an error: a printer keeps what it offers,
// so one created without the capabilities of a device that was busy would stay wrong.
func (pr *Provisioner) deviceCapabilities(
	ctx context.Context, q Queue, known map[string]*graph.Capabilities,
) (graph.Capabilities, error) {
	var list []graph.Capabilities
	for _, id := range q.Devices {
		if known[id] == nil {
			a, err := pr.App.Attributes(ctx, id)
			if err != nil && !forbidden(err) && !graph.IsNotFound(err) {
				return graph.Capabilities{}, fmt.Errorf("read the capabilities of %s: %w", id, err)
			}
			known[id] = &a.Capabilities
		}
		list = append(list, *known[id])
	}
	return combine(list), nil
}

// checkForeign reports whether a queue that we did not create is a virtual printer that lacks
// capabilities of its devices. If it can't be read, its trigger reports that.
func (pr *Provisioner) checkForeign(ctx context.Context, v *VirtualPrinter) bool {
	if len(v.Devices) == 0 {
		return false
	}
	a, err := pr.App.Attributes(ctx, v.ID)
	if err != nil || a.Physical {
		return false
	}
	v.PrinterID, v.Foreign = v.ID, true
	v.Missing = missingFrom(a.Capabilities, v.offer)
	return len(v.Missing) > 0
}

// match finds the printer of the queue among those of the tenant.
func (v *VirtualPrinter) match(ours, others []graph.Registered) {
	if v.ID != "" {
		is := func(p graph.Registered) bool { return strings.EqualFold(p.ID, v.ID) }
		switch {
		case slices.ContainsFunc(ours, is):
			v.PrinterID = v.ID
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
		case v.PrinterID == "":
			v.PrinterID = p.ID
		default:
			v.Duplicates = append(v.Duplicates, p.ID)
		}
	}
	if i := slices.IndexFunc(others, func(p graph.Registered) bool {
		return strings.EqualFold(p.DisplayName, v.Name)
	}); v.PrinterID == "" && i >= 0 {
		v.Err = fmt.Errorf("there is a printer of that name already, %s, that pullprint did not make: give the queue "+
			"another name, or write that id into queues[].printer_id and leave create out", others[i].ID)
	}
}

// read reads what the printer offers, and who may print to it.
func (pr *Provisioner) read(ctx context.Context, v *VirtualPrinter) error {
	v.Missing, v.ToGrant = missingFrom(graph.Capabilities{}, v.offer), v.ShareWith
	if v.PrinterID == "" {
		return nil
	}
	a, err := pr.App.Attributes(ctx, v.PrinterID)
	if err != nil {
		return fmt.Errorf("read its attributes: %w", err)
	}
	v.Missing, v.current = missingFrom(a.Capabilities, v.offer), a.Defaults
	merge(&v.offer, &a.Capabilities) // it keeps what it offers already
	return pr.readShare(ctx, v)
}

func (pr *Provisioner) readShare(ctx context.Context, v *VirtualPrinter) error {
	shares, err := pr.Admin.Shares(ctx, v.PrinterID)
	switch {
	case forbidden(err):
		return errShareForbidden
	case err != nil:
		return fmt.Errorf("read its share: %w", err)
	case len(shares) == 0:
		v.ShareID, v.ToGrant = "", v.ShareWith
		return nil
	}
	v.ShareID, v.ToGrant = shares[0].ID, nil
	switch {
	case len(v.ShareWith) == 0, shares[0].Everyone:
		return nil
	case slices.Contains(v.ShareWith, Everyone):
		v.ToGrant = []string{Everyone}
		return nil
	}
	groups, err := pr.Admin.AllowedGroups(ctx, v.ShareID)
	if err != nil {
		return fmt.Errorf("read who may print to it: %w", err)
	}
	for _, g := range v.ShareWith {
		if !slices.ContainsFunc(groups, func(has graph.Group) bool { return strings.EqualFold(has.ID, g) }) {
			v.ToGrant = append(v.ToGrant, g)
		}
	}
	return nil
}
