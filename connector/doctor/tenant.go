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
	"syscall"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/daemon"
	"pullprint/connector/job"
	"pullprint/policy"
	"pullprint/trigger"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/register"
	"pullprint/trigger/webhook"
)

// tenant looks at what needs the app's token.
func (e *examination) tenant(ctx context.Context) {
	o := graph.Options{UserAgent: "pullprint/" + daemon.ReadBuild().Version}
	c, err := graph.New(e.graphConfig(), o)
	if err == nil {
		err = c.SignIn(ctx)
	}
	if err != nil {
		e.say("sign-in", Failed, err.Error(), "fix the sign-in first; checks that need a token were skipped")
		return
	}
	how := "by " + strings.Join(e.Config.Auth.Kinds(), "")
	if e.Config.Auth.ClientSecretFile != "" {
		how += "; only Entra knows when it ends: Certificates & secrets of the app registration"
	}
	e.say("sign-in", OK, how, "")
	e.rights(ctx, c)
	definition := e.definition(ctx, c)
	if definition != "" {
		e.subscription(ctx, c, definition)
	}
	e.triggers(ctx, o, definition)
	e.printers(ctx, c)
	e.look(ctx, c)
}

// definition finds ours; empty when there is none.
func (e *examination) definition(ctx context.Context, c *graph.Client) string {
	all, err := c.Definitions(ctx)
	if err != nil {
		e.say("definition", Failed, err.Error(), permissionAdvice(err))
		return ""
	}
	i := slices.IndexFunc(all, func(d graph.Definition) bool {
		return d.DisplayName == e.Config.Trigger.Definition && strings.EqualFold(d.AppID, e.Config.Auth.ClientID)
	})
	if i < 0 {
		result, do := Warning, "the daemon makes it, and `pullprint register apply` puts its trigger on the queues"
		if e.runs {
			result, do = Failed, "the daemon runs and has not made it: its log says why (logger registrar)"
		}
		e.say("definition", result, fmt.Sprintf("there is no task definition %q yet", e.Config.Trigger.Definition), do)
		return ""
	}
	e.say("definition", OK, all[i].ID, "")
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
func (e *examination) subscription(ctx context.Context, c *graph.Client, definition string) {
	if e.Handshake {
		e.shake(ctx, c, definition)
	}
	subs, err := c.Subscriptions(ctx)
	if err != nil {
		e.say("subscription", Failed, err.Error(), permissionAdvice(err))
		return
	}
	var last time.Time
	elsewhere := false
	for _, s := range subs {
		switch ours := strings.EqualFold(strings.Trim(s.Resource, "/"), graph.TasksResource(definition)); {
		case ours && s.NotificationURL != strings.TrimRight(e.Config.Webhook.PublicURL, "/")+trigger.NotificationPath:
			elsewhere = true
		case ours && s.Expires.After(last):
			last = s.Expires
		}
	}
	result, do := Warning, "start the daemon: it makes one; --handshake tries whether Graph reaches "+
		e.Config.Webhook.PublicURL
	if e.runs {
		result, do = Failed, "the daemon runs and gets none: Graph does not reach "+e.Config.Webhook.PublicURL+
			" from the internet, or its log says why (logger registrar). Jobs are found by the sweep alone, within 2 minutes"
	}
	switch {
	case last.After(time.Now()):
		e.live = last
		e.say("subscription", OK, "until "+last.UTC().Format(time.RFC3339)+": Graph has reached webhook.public_url", "")
	case elsewhere:
		e.say("subscription", result, "there is one to another URL than webhook.public_url", "the daemon deletes it and "+
			"makes its own, as there can be only one; while another installation with this app runs, they take it from each "+
			"other: give each an app of its own")
	case !last.IsZero():
		e.say("subscription", result, "it ended at "+last.UTC().Format(time.RFC3339), do)
	default:
		e.say("subscription", result, "there is none to webhook.public_url", do)
	}
}

// handshakeLife is how long the subscription of a try would live; Graph makes 45
// minutes of less.
const handshakeLife = 45 * time.Minute

// shake has Graph make a subscription, for which it posts its question to
// webhook.public_url, and deletes it again. When no daemon listens, this program
// does meanwhile; real notifications are refused, and Graph repeats them.
func (e *examination) shake(ctx context.Context, c *graph.Client, definition string) {
	stop, err := e.standIn(ctx)
	if err != nil {
		e.say("handshake", Failed, "webhook.listen: "+plainly(err), portAdvice(err))
		return
	}
	defer stop()
	base := strings.TrimRight(e.Config.Webhook.PublicURL, "/")
	s, err := c.CreateSubscription(ctx, graph.NewSubscription{
		Resource: graph.TasksResource(definition), NotificationURL: base + trigger.NotificationPath,
		LifecycleNotificationURL: base + trigger.LifecyclePath, ClientState: "doctor", Expires: time.Now().Add(handshakeLife),
	})
	var ge *graph.Error
	switch {
	case errors.As(err, &ge) && ge.Status == http.StatusBadRequest:
		e.say("handshake", Failed, "Graph does not get its question back from "+e.Config.Webhook.PublicURL+": "+err.Error(),
			"let https from the internet through to webhook.listen: POST "+trigger.NotificationPath+" and "+
				trigger.LifecyclePath+", within 10 s")
		return
	case errors.As(err, &ge) && ge.Status == http.StatusConflict:
		e.say("handshake", Warning, "not tried: there is a subscription already, and Graph allows one",
			"the line subscription says where it posts to; to try anyway, stop the daemon, delete that subscription and run "+
				"this again")
		return
	case err != nil:
		e.say("handshake", Failed, err.Error(), permissionAdvice(err))
		return
	}
	if err := c.DeleteSubscription(context.WithoutCancel(ctx), s.ID); err != nil {
		e.say("handshake", Warning, "Graph reached webhook.public_url; the subscription of the try is left: "+err.Error(),
			"it ends by itself within the hour, and the daemon deletes it before")
		return
	}
	e.say("handshake", OK, "Graph reached webhook.public_url just now", "")
}

// standIn listens for a daemon that does not run.
func (e *examination) standIn(ctx context.Context) (stop func(), err error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", e.Config.Webhook.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return func() {}, nil // the daemon, most likely; it answers the same
	}
	if err != nil {
		return nil, err
	}
	h := webhook.New(webhook.Options{
		PublicURL: e.Config.Webhook.PublicURL, Store: nowhere{},
		Verifier: trigger.NewVerifier(trigger.VerifierOptions{TenantID: e.Config.TenantID}),
	})
	server, err := webhook.NewServer(e.Config.Webhook, h, zap.NewNop())
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(ctx, ln) // its end is ours
	}()
	return func() { cancel(); <-ended }, nil
}

// nowhere stores nothing, so that Graph comes again with what is real.
type nowhere struct{}

func (nowhere) PublishTask(context.Context, string, string, []byte) (bool, error) {
	return false, errors.New("this is the doctor, no daemon")
}

// triggers looks at them if somebody's sign-in is kept: no app may.
func (e *examination) triggers(ctx context.Context, o graph.Options, definition string) {
	const byHand = "look with `pullprint register plan`, which signs a Printer Administrator in"
	keep := e.Config.Administrator
	if !keep.Configured() {
		e.say("triggers", Warning, "not looked at: only a person may read them",
			byHand+"; with administrator.sign_in_file the daemon and doctor look themselves")
		return
	}
	admin, err := graph.ResumePerson(ctx, e.graphConfig(), o, daemon.AdministratorRights(e.Config), keep)
	switch {
	case errors.Is(err, auth.ErrNotStored):
		e.say("triggers", Warning, "not looked at: nobody's sign-in is kept yet", "keep one: `pullprint register plan --keep`")
		return
	case err != nil:
		e.say("triggers", Failed, err.Error(), "sign in again: `pullprint register plan --keep`")
		return
	}
	for _, q := range e.made() {
		state, holder, err := register.CheckTrigger(ctx, admin, q.PrinterID, definition, e.Config.Auth.ClientID)
		switch {
		case err != nil:
			e.say("triggers", Failed, q.Name+": "+err.Error(), byHand)
		case state == register.TriggerOurs:
			e.say("triggers", OK, q.Name+": ours", "")
		case state == register.TriggerForeign:
			e.say("triggers", Failed, q.Name+": it has the trigger of another app, "+holder,
				"agree with whoever runs that app; `pullprint register apply --replace` takes its place")
		default:
			e.say("triggers", Failed, q.Name+": "+state+", so no job of it is heard of",
				"`pullprint register apply` puts ours on")
		}
	}
}

// made are the queues that have a printer: others are still to be made.
func (e *examination) made() []job.Queue {
	return slices.DeleteFunc(slices.Clone(e.Config.Queues), func(q job.Queue) bool { return q.PrinterID == "" })
}

func (e *examination) printers(ctx context.Context, c *graph.Client) {
	look := func(about, name, key, id string, unavailable func(p graph.Printer) (string, bool)) {
		p, err := c.Printer(ctx, id)
		why, no := unavailable(p)
		switch {
		case graph.IsNotFound(err):
			e.say(about, Failed, fmt.Sprintf("%s: Graph knows no printer %s", name, id), "correct "+key)
		case err != nil:
			e.say(about, Failed, name+": "+err.Error(), permissionAdvice(err))
		case no:
			why = cmp.Or(why, strings.Join(p.Details, ", "), string(p.State))
			e.say(about, Warning, fmt.Sprintf("%s: %q takes no jobs now (%s)", name, p.DisplayName, why),
				"look at it in the Universal Print portal")
		default:
			e.say(about, OK, fmt.Sprintf("%s: %q", name, p.DisplayName), "")
		}
	}
	for _, q := range e.made() {
		look("queue", q.Name, "queues[].printer_id", q.PrinterID,
			func(p graph.Printer) (string, bool) { return "", !p.AcceptingJobs })
	}
	for _, d := range e.Config.Devices {
		look("device", d.ID, "devices[].printer_id", d.PrinterID,
			func(p graph.Printer) (string, bool) { return d.Unavailable(p, time.Now()) })
	}
}

// look tries what the policy needs to know of people and documents, on somebody
// and on a document that is there.
func (e *examination) look(ctx context.Context, c *graph.Client) {
	var needs policy.Needs
	for _, q := range e.Config.Queues {
		needs = needs.And(e.Policy.Needs(policy.Arrival, q.Mode)).And(e.Policy.Needs(policy.Release, q.Mode))
	}
	pages := needs.Pages && e.Policy.Counts()
	if !needs.Groups && !pages {
		return
	}
	user, job := e.sample(ctx, c)
	if needs.Groups {
		e.groups(ctx, c, user)
	}
	if pages {
		e.document(ctx, c, job)
	}
}

// maxSamples is how many jobs of a queue are looked at for one with a document.
const maxSamples = 3

// sample is a job of a queue with a document, and a person: the one who is named,
// who prints self-tests, or whose job it is.
func (e *examination) sample(ctx context.Context, c *graph.Client) (user string, sample graph.Job) {
	user = e.User
	if user == "" {
		user = e.Config.SelfTest.User
	}
	for _, q := range e.made() {
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
func (e *examination) document(ctx context.Context, c *graph.Client, job graph.Job) {
	d := e.Config.Documents
	if len(job.Documents) == 0 {
		e.documentHosts(ctx)
		e.say("page count", Warning, "the policy counts pages, and there is no document to try it on; allowed are "+
			strings.Join(d.Hosts, ", "), "print something to a queue, and ask again")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, d.Within)
	defer cancel()
	r, err := c.OpenDocument(ctx, job.Ref, job.Documents[0],
		graph.DocumentOptions{Hosts: d.Hosts, MaxBytes: int64(d.MaxBytes)})
	switch {
	case errors.Is(err, graph.ErrDocumentHost):
		e.say("page count", Failed, "Graph keeps documents on a host that documents.hosts does not name",
			"add it there; `pullprint jobs trace` and the proxy's log tell which")
	case err != nil:
		e.say("page count", Failed, "a document can't be read: "+err.Error(),
			"let the firewall pass https to "+strings.Join(d.Hosts, ", ")+"; "+permissionAdvice(err))
	default:
		e.say("page count", OK, fmt.Sprintf("a document of %s could be read", size(r.Size())), "")
	}
}

// documentHosts tries those that are named in full; a suffix names none.
func (e *examination) documentHosts(ctx context.Context) {
	dialer := tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: e.roots}}
	for _, host := range e.Config.Documents.Hosts {
		if strings.HasPrefix(host, ".") {
			continue
		}
		dialed, cancel := context.WithTimeout(ctx, nearby)
		conn, err := dialer.DialContext(dialed, "tcp", net.JoinHostPort(host, "443"))
		cancel()
		if err != nil {
			e.say("page count", Failed, host+" can't be reached: "+plainly(err), "let the firewall pass https to it")
			continue
		}
		conn.Close()
		e.say("page count", OK, host+" answers", "")
	}
}
