package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"pullprint/connector/daemon"
	"pullprint/connector/printer"
	"pullprint/trigger"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/register"
)

// tenant looks at what needs the app's token.
func (ds *diagnostics) tenant(ctx context.Context) {
	o := graph.Options{UserAgent: "pullprint/" + daemon.ReadBuild().Version}
	c, err := graph.New(ds.Config.Graph(), o)
	if err == nil {
		err = c.SignIn(ctx)
	}
	if err != nil {
		ds.say("sign-in", Failed, err.Error(), "fix the sign-in first; checks that need a token were skipped")
		return
	}
	how := "by " + strings.Join(ds.Config.Auth.Kinds(), "")
	if ds.Config.Auth.ClientSecretFile != "" {
		how += "; only Entra knows when it ends: Certificates & secrets of the app registration"
	}
	ds.say("sign-in", OK, how, "")
	ds.rights(ctx, c)
	ds.teams(ctx, c)
	definition := ds.definition(ctx, c)
	if definition != "" {
		ds.subscription(ctx, c, definition)
	}
	ds.triggers(ctx, o, definition)
	ds.printers(ctx, c)
	ds.look(ctx, c)
}

// definition finds ours; empty when there is none.
func (ds *diagnostics) definition(ctx context.Context, c *graph.Client) string {
	all, err := c.Definitions(ctx)
	if err != nil {
		ds.say("definition", Failed, err.Error(), permissionAdvice(err))
		return ""
	}
	i := slices.IndexFunc(all, func(d graph.Definition) bool {
		return d.DisplayName == ds.Config.Trigger.Definition && strings.EqualFold(d.AppID, ds.Config.Auth.ClientID)
	})
	if i < 0 {
		result, do := Warning, "the daemon makes it, and `pullprint register apply` puts its trigger on the queues"
		if ds.runs {
			result, do = Failed, "the daemon runs and has not made it: its log says why (logger registrar)"
		}
		ds.say("definition", result, fmt.Sprintf("there is no task definition %q yet", ds.Config.Trigger.Definition), do)
		return ""
	}
	ds.say("definition", OK, all[i].ID, "")
	return all[i].ID
}

// permissionAdvice is what to do about a call that Graph refuses.
func permissionAdvice(err error) string {
	var ge *graph.Error
	switch {
	case errors.As(err, &ge) && ge.Status == http.StatusForbidden:
		return grantAdvice
	case errors.As(err, &ge) && ge.Unavailable():
		return "try again in a few minutes; https://status.cloud.microsoft tells of outages"
	}
	return "look up the code at https://learn.microsoft.com/graph/errors"
}

// subscription looks whether Graph has one to us: it made it only after
// webhook.public_url gave its question back.
func (ds *diagnostics) subscription(ctx context.Context, c *graph.Client, definition string) {
	if ds.Handshake {
		ds.shake(ctx, c, definition)
	}
	subs, err := c.Subscriptions(ctx)
	if err != nil {
		ds.say("subscription", Failed, err.Error(), permissionAdvice(err))
		return
	}
	var last time.Time
	elsewhere := false
	for _, s := range subs {
		switch ours := strings.EqualFold(strings.Trim(s.Resource, "/"), graph.TasksResource(definition)); {
		case ours && s.NotificationURL != strings.TrimRight(ds.Config.Webhook.PublicURL, "/")+trigger.NotificationPath:
			elsewhere = true
		case ours && s.Expires.After(last):
			last = s.Expires
		}
	}
	result, do := Warning, "start the daemon: it makes one; --handshake tries whether Graph reaches "+
		ds.Config.Webhook.PublicURL
	if ds.runs {
		result, do = Failed, "the daemon runs and gets none: Graph does not reach "+ds.Config.Webhook.PublicURL+
			" from the internet, or its log says why (logger registrar). Jobs are found by the sweep alone, within 2 minutes"
	}
	switch {
	case last.After(time.Now()):
		ds.live = last
		ds.say("subscription", OK, "until "+last.UTC().Format(time.RFC3339)+": Graph has reached webhook.public_url", "")
	case elsewhere:
		ds.say("subscription", result, "there is one to another URL than webhook.public_url", "the daemon deletes it and "+
			"makes its own, as there can be only one; while another installation with this app runs, they take it from each "+
			"other: give each an app of its own")
	case !last.IsZero():
		ds.say("subscription", result, "it ended at "+last.UTC().Format(time.RFC3339), do)
	default:
		ds.say("subscription", result, "there is none to webhook.public_url", do)
	}
}

// triggers looks at them if somebody's sign-in is kept: no app may.
func (ds *diagnostics) triggers(ctx context.Context, o graph.Options, definition string) {
	const byHand = "look with `pullprint register plan`, which signs a Printer Administrator in"
	keep := ds.Config.Administrator
	if !keep.Configured() {
		ds.say("triggers", Warning, "not looked at: only a person may read them",
			byHand+"; with administrator.sign_in_file the daemon and doctor look themselves")
		return
	}
	admin, err := graph.ResumePerson(ctx, ds.Config.Graph(), o, daemon.AdministratorRights(ds.Config), keep)
	switch {
	case errors.Is(err, auth.ErrNotStored):
		ds.say("triggers", Warning, "not looked at: nobody's sign-in is kept yet", "keep one: `pullprint register plan --keep`")
		return
	case err != nil:
		ds.say("triggers", Failed, err.Error(), "sign in again: `pullprint register plan --keep`")
		return
	}
	for _, q := range ds.made() {
		state, holder, err := register.CheckTrigger(ctx, admin, q.PrinterID, definition, ds.Config.Auth.ClientID)
		switch {
		case err != nil:
			ds.say("triggers", Failed, q.Name+": "+err.Error(), byHand)
		case state == register.TriggerOurs:
			ds.say("triggers", OK, q.Name+": ours", "")
		case state == register.TriggerForeign:
			ds.say("triggers", Failed, q.Name+": it has the trigger of another app, "+holder,
				"agree with whoever runs that app; `pullprint register apply --replace` takes its place")
		default:
			ds.say("triggers", Failed, q.Name+": "+state+", so no job of it is heard of",
				"`pullprint register apply` puts ours on")
		}
	}
}

// made are the queues that have a printer: others are still to be made.
func (ds *diagnostics) made() []printer.Queue {
	return slices.DeleteFunc(slices.Clone(ds.Config.Queues), func(q printer.Queue) bool { return q.PrinterID == "" })
}

func (ds *diagnostics) printers(ctx context.Context, c *graph.Client) {
	look := func(about, name, key, id string, unavailable func(p graph.Printer) (string, bool)) {
		p, err := c.Printer(ctx, id)
		why, no := unavailable(p)
		switch {
		case graph.IsNotFound(err):
			ds.say(about, Failed, fmt.Sprintf("%s: Graph knows no printer %s", name, id), "correct "+key)
		case err != nil:
			ds.say(about, Failed, name+": "+err.Error(), permissionAdvice(err))
		case no:
			why = cmp.Or(why, strings.Join(p.Details, ", "), string(p.State))
			ds.say(about, Warning, fmt.Sprintf("%s: %q takes no jobs now (%s)", name, p.DisplayName, why),
				"look at it in the Universal Print portal")
		default:
			ds.say(about, OK, fmt.Sprintf("%s: %q", name, p.DisplayName), "")
		}
	}
	for _, q := range ds.made() {
		look("queue", q.Name, "queues[].printer_id", q.PrinterID,
			func(p graph.Printer) (string, bool) { return "", !p.AcceptingJobs })
	}
	for _, d := range ds.Config.Devices {
		look("device", d.ID, "devices[].printer_id", d.PrinterID,
			func(p graph.Printer) (string, bool) { return d.Unavailable(p, time.Now()) })
	}
}

// look tries what the policy needs to know of people and documents, on somebody
// and on a document that is there.
func (ds *diagnostics) look(ctx context.Context, c *graph.Client) {
	needs := ds.needs()
	if !needs.Groups && !needs.Pages {
		return
	}
	user, job := ds.sample(ctx, c)
	if needs.Groups {
		ds.groups(ctx, c, user)
	}
	if needs.Pages {
		ds.document(ctx, c, job)
	}
}

// maxSamples is how many jobs of a queue are looked at for one with a document.
const maxSamples = 3

// sample is a job of a queue with a document, and a person: the one who is named,
// who prints self-tests, or whose job it is.
func (ds *diagnostics) sample(ctx context.Context, c *graph.Client) (user string, sample graph.Job) {
	user = cmp.Or(ds.User, ds.Config.SelfTest.User)
	for _, q := range ds.made() {
		looked := 0
		for listed, err := range c.Jobs(ctx, q.PrinterID) {
			if looked++; err != nil || looked > maxSamples {
				break
			}
			job, err := c.Job(ctx, listed.Ref) // with its documents
			if err != nil {
				break
			}
			if user == "" && graph.ValidID(job.CreatedBy.ID) {
				user = job.CreatedBy.ID
			}
			if len(job.Documents) > 0 {
				return user, job
			}
		}
	}
	return user, sample
}

// document reads the end of one, where its number of pages is found.
func (ds *diagnostics) document(ctx context.Context, c *graph.Client, job graph.Job) {
	d := ds.Config.Documents
	if len(job.Documents) == 0 {
		ds.documentHosts(ctx)
		ds.say("page count", Warning, "the policy counts pages, and there is no document to try it on; allowed are "+
			strings.Join(d.Hosts, ", "), "print something to a queue, and ask again")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, d.Within)
	defer cancel()
	r, err := c.OpenDocument(ctx, job.Ref, job.Documents[0],
		graph.DocumentOptions{Hosts: d.Hosts, MaxBytes: int64(d.MaxBytes)})
	switch {
	case errors.Is(err, graph.ErrDocumentHost):
		ds.say("page count", Failed, "Graph keeps documents on a host that documents.hosts does not name",
			"add it there; `pullprint jobs trace` and the proxy's log tell which")
	case err != nil:
		ds.say("page count", Failed, "a document can't be read: "+err.Error(),
			"let the firewall pass https to "+strings.Join(d.Hosts, ", ")+"; "+permissionAdvice(err))
	default:
		ds.say("page count", OK, fmt.Sprintf("a document of %s could be read", size(r.Size())), "")
	}
}

// documentHosts tries those that are named in full; a suffix names none.
func (ds *diagnostics) documentHosts(ctx context.Context) {
	dialer := tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: ds.roots}}
	for _, host := range ds.Config.Documents.Hosts {
		if strings.HasPrefix(host, ".") {
			continue
		}
		dialed, cancel := context.WithTimeout(ctx, nearby)
		conn, err := dialer.DialContext(dialed, "tcp", net.JoinHostPort(host, "443"))
		cancel()
		if err != nil {
			ds.say("page count", Failed, host+" can't be reached: "+plainly(err), "let the firewall pass https to it")
			continue
		}
		conn.Close()
		ds.say("page count", OK, host+" answers", "")
	}
}
