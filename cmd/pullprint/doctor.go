package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pullprint/connector"
	"pullprint/connector/bus"
	"pullprint/connector/config"
	"pullprint/connector/daemon"
	"pullprint/policy"
	"pullprint/trigger/graph"
)

func doctorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find what keeps it from working: network, sign-in, rights, printers, store",
		Long: `Checks the configuration, then what it names: the way to Graph and to the authority
with its certificates, the clock, the sign-in and the permissions in the token against
those that the configuration needs, the task definition and the subscription, each
printer, and the store. A line each. Nothing is changed. Exits with 1 when something
failed. The same as check --online.`,
		Args: wants(),
		RunE: func(cmd *cobra.Command, _ []string) error { return doctor(cmd, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// How a finding is.
const (
	fine   = "ok"
	warned = "warning"
	broken = "failed"
)

// finding is one line of the doctor.
type finding struct {
	About  string `json:"about"`
	Result string `json:"result"`
	Text   string `json:"text"`
	// Do is what to do next, when it is not ok.
	Do string `json:"do,omitempty"`
}

// examination gathers findings.
type examination struct {
	cfg    *config.Config
	policy *policy.Policy
	out    io.Writer // nil: said at the end
	all    []finding
}

func (e *examination) say(about, result, text, do string) {
	f := finding{about, result, printable(text), printable(do)}
	e.all = append(e.all, f)
	if e.out == nil {
		return
	}
	fmt.Fprintf(e.out, "%-8s %-14s %s\n", f.Result, f.About, f.Text)
	if f.Do != "" {
		fmt.Fprintf(e.out, "%-8s %-14s   -> %s\n", "", "", f.Do)
	}
}

func doctor(cmd *cobra.Command, asJSON bool) error {
	cfg, p, err := loadAll(cmd)
	if err != nil {
		return err
	}
	e := &examination{cfg: cfg, policy: p}
	if !asJSON {
		e.out = cmd.OutOrStdout()
	}
	e.say("configuration", fine, fmt.Sprintf("%s, policy: %s", counted(len(cfg.Queues), "queue"), p.Summary()), "")
	e.network(cmd.Context())
	e.tenant(cmd.Context())
	e.store(cmd.Context())
	if asJSON {
		if err := printJSON(cmd.OutOrStdout(), e.all); err != nil {
			return err
		}
	}
	if err := cmd.Context().Err(); err != nil {
		return err
	}
	n := 0
	for _, f := range e.all {
		if f.Result == broken {
			n++
		}
	}
	if n > 0 {
		return fmt.Errorf("%s failed", counted(n, "check"))
	}
	return nil
}

func (e *examination) graphConfig() graph.Config {
	c := e.cfg
	return graph.Config{TenantID: c.TenantID, Cloud: c.Cloud, Endpoints: c.Endpoints, Auth: c.Auth}
}

// stepAdvice says what to do when a step to a host fails.
var stepAdvice = map[string]string{
	"resolve": "check the DNS server of this machine",
	"connect": "let the firewall pass outgoing connections to it, or name a proxy in HTTPS_PROXY",
	"tls":     "something between opens the connection, or the root certificates of this machine are old",
	"http":    "check the proxy in HTTPS_PROXY",
}

// The clock may be that wrong before Entra refuses assertions, and before it is
// worth a word.
const (
	skewBroken = 4 * time.Minute
	skewWarned = 30 * time.Second
)

func (e *examination) network(ctx context.Context) {
	hosts, err := graph.Reachable(ctx, e.graphConfig())
	if err != nil {
		e.say("network", broken, err.Error(), "correct the configuration")
		return
	}
	for i, r := range hosts {
		about := []string{"graph", "authority"}[i]
		if r.Step != "" {
			e.say(about, broken, fmt.Sprintf("%s can't be reached (%s): %v", r.Host, r.Step, r.Err), stepAdvice[r.Step])
			continue
		}
		text := r.Host + " answers"
		if r.Issuer != "" {
			text += fmt.Sprintf(", certificate by %s until %s", r.Issuer, r.Expires.Format(time.DateOnly))
		}
		e.say(about, fine, text, "")
		skew := max(r.Skew, -r.Skew)
		switch {
		case i > 0:
		case skew >= skewBroken:
			e.say("clock", broken, fmt.Sprintf("it differs from Graph's by %s", skew), "let it be set by NTP: sign-in fails with a wrong clock")
		case skew >= skewWarned:
			e.say("clock", warned, fmt.Sprintf("it differs from Graph's by %s", skew), "let it be set by NTP")
		default:
			e.say("clock", fine, "as Graph's", "")
		}
	}
}

// tenant looks at what needs the app's token.
func (e *examination) tenant(ctx context.Context) {
	c, err := graph.New(e.graphConfig(), graph.Options{UserAgent: "pullprint/" + daemon.ReadBuild().Version})
	if err == nil {
		err = c.SignIn(ctx)
	}
	if err != nil {
		e.say("sign-in", broken, err.Error(), "mend that first: what needs a token was not looked at")
		return
	}
	e.say("sign-in", fine, "by "+strings.Join(e.cfg.Auth.Kinds(), ""), "")
	e.rights(ctx, c)
	e.definition(ctx, c)
	e.printers(ctx, c)
}

// right is a permission that something needs; any of its names will do.
type right struct {
	names []string
	why   string
}

// needed are the application permissions that the configuration needs.
func (e *examination) needed() []right {
	list := []right{
		{[]string{"PrintTaskDefinition.ReadWrite.All"}, "hearing of jobs"},
		{[]string{"PrintJob.ReadBasic.All", "PrintJob.Read.All", "PrintJob.ReadWriteBasic.All", "PrintJob.ReadWrite.All", "PrintJob.Manage.All"}, "reading jobs"},
		{[]string{"PrintJob.ReadWriteBasic.All", "PrintJob.ReadWrite.All", "PrintJob.Manage.All"}, "aborting jobs"},
		{[]string{"Printer.Read.All", "Printer.ReadWrite.All"}, "reading printers"},
	}
	var needs policy.Needs
	for _, q := range e.cfg.Queues {
		needs = needs.And(e.policy.Needs(policy.Arrival, q.Mode)).And(e.policy.Needs(policy.Release, q.Mode))
		if q.Mode == connector.ModePull {
			list = append(list, right{[]string{"PrintJob.Manage.All"}, "releasing jobs of " + q.Name})
		}
	}
	if needs.Pages && e.policy.Counts() {
		list = append(list, right{[]string{"PrintJob.Read.All", "PrintJob.ReadWrite.All"}, "counting pages, which the policy needs"})
	}
	if needs.Groups {
		list = append(list, right{[]string{"GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"}, "groups, which the policy looks at"},
			right{[]string{"User.ReadBasic.All", "User.Read.All", "Directory.Read.All"}, "groups, which the policy looks at"})
	}
	if needs.Language {
		list = append(list, right{[]string{"User.Read.All", "Directory.Read.All"}, "the language of owners, for texts in several"})
	}
	if e.cfg.Badges.EntraAttribute != "" {
		list = append(list, right{[]string{"User.Read.All", "Directory.Read.All"}, "badges.entra_attribute"})
	}
	return list
}

const grantAdvice = "add it under API permissions of the app registration, as an application permission of Microsoft Graph, and grant admin consent"

func (e *examination) rights(ctx context.Context, c *graph.Client) {
	roles, told, err := c.Roles(ctx)
	switch {
	case err != nil:
		e.say("rights", broken, err.Error(), "")
		return
	case !told:
		e.say("rights", warned, "the token does not tell its permissions", "")
		return
	}
	used, missing := map[string]bool{}, false
	for _, n := range e.needed() {
		has := false
		for _, name := range n.names {
			if slices.Contains(roles, name) {
				has, used[name] = true, true
			}
		}
		if !has && !used["missing "+n.names[0]] {
			missing, used["missing "+n.names[0]] = true, true
			e.say("rights", broken, fmt.Sprintf("%s is missing, for %s", n.names[0], n.why), grantAdvice)
		}
	}
	if !missing {
		e.say("rights", fine, "all that the configuration needs", "")
	}
	var extra []string
	for _, r := range roles {
		if !used[r] {
			extra = append(extra, r)
		}
	}
	if len(extra) > 0 {
		e.say("rights", warned, "granted and not needed: "+strings.Join(extra, ", "), "take away what nothing else of this app needs")
	}
}

func (e *examination) definition(ctx context.Context, c *graph.Client) {
	all, err := c.Definitions(ctx)
	if err != nil {
		e.say("definition", broken, err.Error(), "")
		return
	}
	i := slices.IndexFunc(all, func(d graph.Definition) bool {
		return d.DisplayName == e.cfg.Trigger.Definition && strings.EqualFold(d.AppID, e.cfg.Auth.ClientID)
	})
	if i < 0 {
		e.say("definition", warned, fmt.Sprintf("there is no task definition %q yet", e.cfg.Trigger.Definition), "the daemon makes it, and `pullprint register apply` puts its trigger on the queues")
		return
	}
	e.say("definition", fine, all[i].ID, "")
	subs, err := c.Subscriptions(ctx)
	if err != nil {
		e.say("subscription", broken, err.Error(), "")
		return
	}
	for _, s := range subs {
		if strings.EqualFold(strings.TrimPrefix(s.Resource, "/"), graph.TasksResource(all[i].ID)) && strings.HasPrefix(s.NotificationURL, e.cfg.Webhook.PublicURL) && s.Expires.After(time.Now()) {
			e.say("subscription", fine, "until "+s.Expires.UTC().Format(time.RFC3339)+": Graph has reached webhook.public_url", "")
			return
		}
	}
	e.say("subscription", warned, "there is none to webhook.public_url", "start the daemon: it makes one. If it can't, Graph does not reach "+e.cfg.Webhook.PublicURL+" from the internet")
}

func (e *examination) printers(ctx context.Context, c *graph.Client) {
	look := func(about, name, key, id string) {
		p, err := c.Printer(ctx, id)
		var ge *graph.Error
		switch {
		case errors.As(err, &ge) && ge.NotFound():
			e.say(about, broken, fmt.Sprintf("%s: Graph knows no printer %s", name, id), "correct "+key)
		case err != nil:
			e.say(about, broken, name+": "+err.Error(), "")
		case about == "device" && (!p.AcceptingJobs || p.State == graph.PrinterStopped):
			e.say(about, warned, fmt.Sprintf("%s: %q takes no jobs now", name, p.DisplayName), strings.Join(p.Details, ", "))
		default:
			e.say(about, fine, fmt.Sprintf("%s: %q", name, p.DisplayName), "")
		}
	}
	for _, q := range e.cfg.Queues {
		look("queue", q.Name, "queues[].printer_id", q.PrinterID)
	}
	for _, d := range e.cfg.Devices {
		look("device", d.ID, "devices[].printer_id", d.PrinterID)
	}
}

func (e *examination) store(ctx context.Context) {
	in, err := bus.Inspect(ctx, e.cfg.NATS)
	switch {
	case err != nil:
		e.say("store", broken, err.Error(), "")
	case !in.Embedded:
		e.say("store", fine, "NATS "+in.Version, "")
	case in.Free < in.Needed:
		e.say("store", warned, fmt.Sprintf("%d MiB are free, and the store may take %d MiB", in.Free>>20, in.Needed>>20), "make room, or lower nats.embedded.max_store")
	default:
		e.say("store", fine, fmt.Sprintf("embedded, every write on disk before it counts; %d MiB are free", in.Free>>20), "")
	}
}
