package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"pullprint/connector"
	"pullprint/connector/admin"
	"pullprint/connector/config"
	"pullprint/connector/daemon"
	"pullprint/connector/held"
	"pullprint/connector/terminal"
	"pullprint/policy/badge"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/graphtest"
	waits "pullprint/trigger/wait"
)

type demoOptions struct {
	once, log, hostile bool
	seed               uint64
	out, logTo         io.Writer
	color              bool // out is a terminal's, which shows colours
}

// presenter tells a person what happens in the demo, a line each.
type presenter struct {
	out   io.Writer
	once  bool
	color bool
	dir   string
	heard chan held.Decision

	mu     sync.Mutex
	names  map[graphtest.JobID]string // who sent a job, for the lines only
	users  map[string]string          // user principal names by object id
	counts map[string]int
}

func newPresenter(o demoOptions) *presenter {
	return &presenter{
		out: o.out, once: o.once, color: o.color, heard: make(chan held.Decision, 1024),
		names: map[graphtest.JobID]string{}, counts: map[string]int{},
	}
}

func (p *presenter) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.say0(format, args...)
}

// say0 is say for who holds the lock.
func (p *presenter) say0(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

func (p *presenter) opening(dir string, sim *graphtest.Sim, at addresses) {
	p.dir, p.users = dir, map[string]string{}
	for _, u := range sim.Users() {
		p.users[u.ID] = u.UPN
	}
	p.say(`pullprint demo: a small office, simulated on this machine only

  Universal Print, simulated   http://%s/   (seed %d)
  release station              http://%s/station/hq-2-west   (token %s)
  console                      http://%[3]s/   (token %[5]s)
  badges                       1001 teacher, 1002 office, 1003 student
  files, removed at the end    %[6]s
  queues                       Follow-Me (pull: waits for its owner), Poster (direct: prints at once)
`, at.sim, sim.Seed(), at.admin, demoReaderToken, demoAdminToken, dir)
}

// decided is called by the daemon for each decision that took effect.
func (p *presenter) decided(d held.Decision) {
	p.mu.Lock()
	p.counts[d.Verdict]++
	who := p.names[graphtest.JobID{Printer: d.Printer, Job: d.Job}]
	p.mu.Unlock()
	switch {
	case d.Reason == reasons.SelfTest:
		who = "self-test"
	case who == "": // printed by hand, beside the script
		who = p.users[d.Owner]
	}
	what := map[string]string{
		"hold": "held", "complete": "completed", "abort": "aborted", "redirect": "released", "keep": "kept",
	}[d.Verdict]
	p.say("%s  %s  %-9s %-4s %s", time.Now().Format("15:04:05"), p.paint(what, fmt.Sprintf("%-9s", what)), d.Queue,
		"#"+d.Job, who+p.why(d))
	select {
	case p.heard <- d:
	default:
	}
}

func (p *presenter) why(d held.Decision) string {
	switch d.Verdict {
	case "hold":
		return ": waits for its owner, until " + time.Now().Add(24*time.Hour).Format("Mon 15:04")
	case "complete":
		return ": prints now"
	case "redirect":
		return ": prints at " + d.Device
	}
	pad := "\n" + strings.Repeat(" ", 21)
	return fmt.Sprintf(": %s%sreason  %s%sremedy  %s", d.Reason, pad, d.Text, pad, d.Remedy)
}

func (p *presenter) paint(what, text string) string {
	code := map[string]string{"held": "33", "kept": "33", "completed": "32", "released": "32", "aborted": "31"}[what]
	if !p.color || code == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// scene is one moment of the morning.
type scene struct {
	user, what string
	job        graphtest.JobSpec
}

var morning = []scene{
	{"teacher@contoso.com", "a worksheet, 28 copies, black and white, to Follow-Me", graphtest.JobSpec{
		Printer: demoPull, Copies: 28, Pages: 2, Duplex: true,
	}},
	{"student@contoso.com", "a term paper to Follow-Me", graphtest.JobSpec{Printer: demoPull, Pages: 14}},
	{"teacher@contoso.com", "a poster, A1, colour, to Poster", graphtest.JobSpec{
		Printer: demoDirect, Color: true, MediaSize: "A1",
	}},
	{"student@contoso.com", "a poster to Poster", graphtest.JobSpec{Printer: demoDirect, Color: true, MediaSize: "A1"}},
	{"office@contoso.com", "a flyer, 200 copies, colour, to Follow-Me", graphtest.JobSpec{
		Printer: demoPull, Copies: 200, Color: true,
	}},
	{"office@contoso.com", "the same in black and white", graphtest.JobSpec{Printer: demoPull, Copies: 200}},
}

// morning plays the script: it waits for the daemon to register, puts the
// triggers on the queues as an administrator would, and sends the jobs.
func (p *presenter) morning(ctx context.Context, sim *graphtest.Sim, cfg *config.Config, at addresses) error {
	definition, err := awaitRegistration(ctx, sim)
	if err != nil {
		return err
	}
	for _, printer := range []string{demoPull, demoDirect} {
		if _, err := sim.AddTrigger(printer, definition); err != nil {
			return fmt.Errorf("put the trigger on a queue: %w", err)
		}
	}
	p.say("%s  pullprint has registered; an administrator has put its trigger on both queues",
		time.Now().Format("15:04:05"))
	if err := p.selfTest(ctx, sim, cfg); err != nil {
		return err
	}
	p.say("")
	for _, s := range morning {
		if err := p.send(ctx, sim, s); err != nil {
			return err
		}
		if err := p.await(ctx); err != nil {
			return err
		}
		if err := waits.Sleep(ctx, 300*time.Millisecond); err != nil {
			return err
		}
	}
	if err := p.atTheDevices(ctx, sim, at); err != nil {
		return err
	}
	p.next(at)
	if p.once {
		return nil
	}
	return p.lostNotification(ctx, sim)
}

// selfTest has the administrator sign in and the sign-in kept, as with
// `pullprint register plan --keep`, and waits for the daemon's test of itself.
func (p *presenter) selfTest(ctx context.Context, sim *graphtest.Sim, cfg *config.Config) error {
	gc := graph.Config{TenantID: cfg.TenantID, Endpoints: cfg.Endpoints, Auth: cfg.Auth}
	person, err := graph.SignInPerson(ctx, gc, graph.Options{}, daemon.AdministratorRights(cfg), func(code auth.Prompt) {
		_ = sim.ApproveDevice(code.Code, demoAdmin) // the user is there: what else is wrong, the sign-in tells
	})
	if err == nil {
		err = person.StoreSignIn(cfg.Administrator)
	}
	if err != nil {
		return fmt.Errorf("sign the administrator in: %w", err)
	}
	p.line("the administrator's sign-in is kept: the daemon prints a page to test itself")
	select {
	case <-p.heard:
	case <-ctx.Done():
	case <-time.After(20 * time.Second):
		p.line("that page has not come through: the daemon tries again within the hour")
	}
	return ctx.Err()
}

// atTheDevices enrols everybody's badge and has people show them: the teacher
// where the job prints, the office at a printer that is out of order first.
func (p *presenter) atTheDevices(ctx context.Context, sim *graphtest.Sim, at addresses) error {
	c := admin.NewClient("http://"+at.admin, demoAdminToken)
	for _, who := range demoPeople {
		if _, err := c.Enrol(ctx, who.badge, badge.Enrolment{Owner: who.id, UserPrincipalName: who.upn}); err != nil {
			return fmt.Errorf("enrol a badge: %w", err)
		}
	}
	p.say("")
	if err := p.tap(ctx, c, demoPeople[0].upn, "hq-2-west", demoPeople[0].badge); err != nil {
		return err
	}
	if err := sim.SetPrinter(demoWest, "stopped", true); err != nil {
		return err
	}
	p.line("hq-2-west is out of paper")
	if err := p.tap(ctx, c, demoPeople[1].upn, "hq-2-west", demoPeople[1].badge); err != nil {
		return err
	}
	if err := p.tap(ctx, c, demoPeople[1].upn, "hq-2-east", demoPeople[1].badge); err != nil {
		return err
	}
	if err := sim.SetPrinter(demoWest, "idle", true); err != nil {
		return err
	}
	p.line("hq-2-west has paper again")
	return p.outOfBudget(ctx, sim, c)
}

// outOfBudget has the student run out, see the remedy, and release the cheaper
// variant.
func (p *presenter) outOfBudget(ctx context.Context, sim *graphtest.Sim, c *admin.Client) error {
	student := demoPeople[2]
	p.say("")
	if err := p.showLeft(ctx, c, student.id); err != nil {
		return err
	}
	slides := scene{
		student.upn, "6 slides in colour to Follow-Me", graphtest.JobSpec{Printer: demoPull, Pages: 6, Color: true},
	}
	if err := p.send(ctx, sim, slides); err != nil {
		return err
	}
	if err := p.await(ctx); err != nil {
		return err
	}
	out, err := p.tapped(ctx, c, student.upn, "hq-2-west", student.badge)
	if err != nil {
		return err
	}
	for _, k := range out.Kept {
		if k.Variant == nil {
			continue
		}
		p.line("%s takes the cheaper variant", student.upn)
		if _, err := c.Release(ctx, k.Ref, "hq-2-west", k.Variant); err != nil {
			return fmt.Errorf("release the variant: %w", err)
		}
		if err := p.await(ctx); err != nil {
			return err
		}
	}
	if err := p.showLeft(ctx, c, student.id); err != nil {
		return err
	}
	p.say("")
	photos := scene{
		student.upn, "3 photos in colour to Follow-Me", graphtest.JobSpec{Printer: demoPull, Pages: 3, Color: true},
	}
	if err := p.send(ctx, sim, photos); err != nil {
		return err
	}
	return p.await(ctx)
}

// showLeft tells what is on an account.
func (p *presenter) showLeft(ctx context.Context, c *admin.Client, account string) error {
	s, err := c.Quota(ctx, account)
	if err != nil {
		return fmt.Errorf("look at the account: %w", err)
	}
	for _, b := range s.Balances {
		p.line("the student has %s of %s pages left this week", b.Left, b.Limit)
	}
	return nil
}

// line tells of something that is no decision.
func (p *presenter) line(format string, args ...any) {
	p.say("%s  ·          %s", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// tap shows a badge at a device; what is decided tells itself.
func (p *presenter) tap(ctx context.Context, c *admin.Client, who, device, number string) error {
	_, err := p.tapped(ctx, c, who, device, number)
	return err
}

func (p *presenter) tapped(
	ctx context.Context, c *admin.Client, who, device, number string,
) (connector.Outcome, error) {
	p.line("%s shows a badge at %s", who, device)
	out, err := c.Tap(ctx, device, number)
	if err != nil {
		return out, fmt.Errorf("show a badge: %w", err)
	}
	for range len(out.Released) + len(out.Kept) + len(out.Aborted) {
		if err := p.await(ctx); err != nil {
			return out, err
		}
	}
	return out, waits.Sleep(ctx, 300*time.Millisecond)
}

// lostNotification sends one more job and loses its notification.
func (p *presenter) lostNotification(ctx context.Context, sim *graphtest.Sim) error {
	before := sim.Knobs().LoseNotification
	sim.Change(func(k *graphtest.Knobs) { k.LoseNotification = 1 })
	defer sim.Change(func(k *graphtest.Knobs) { k.LoseNotification = before })
	p.say("%s  The next job's notification gets lost on purpose: the sweep finds it within a minute.",
		time.Now().Format("15:04:05"))
	if err := p.send(ctx, sim,
		scene{"teacher@contoso.com", "a letter to Follow-Me", graphtest.JobSpec{Printer: demoPull}}); err != nil {
		return err
	}
	return p.await(ctx)
}

func (p *presenter) send(ctx context.Context, sim *graphtest.Sim, s scene) error {
	s.job.User = s.user
	// The line comes before the job: its decision may be faster than we are.
	p.say("%s  %s  %s prints %s", time.Now().Format("15:04:05"), "·        ", s.user, s.what)
	p.mu.Lock()
	id, err := sim.Submit(s.job)
	p.names[id] = s.user
	p.mu.Unlock()
	if err != nil {
		return fmt.Errorf("send a job: %w", err)
	}
	return ctx.Err()
}

// await waits for the next decision.
func (p *presenter) await(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.heard:
		return nil
	}
}

func (p *presenter) next(at addresses) {
	p.mu.Lock()
	n := p.counts
	held := terminal.Counted(n["hold"], "job")
	p.say0("\n%s held, %d completed, %d aborted with a reason; %d released, %d kept.", held, n["complete"], n["abort"],
		n["redirect"], n["keep"])
	p.mu.Unlock()
	if p.once {
		p.say(`
Without --once it stays up: the station, the console and the simulator's page
can be used then, and metrics be scraped (here at http://%s/metrics). Now try:

  pullprint demo
  pullprint demo --hostile
  pullprint policy check deploy/policy.example.yaml`, at.metrics)
		return
	}
	p.say(`
The student's photos are still waiting, and cost more than is left. Now try:

  open the station above, sign it in with its token, and show badge 1003
  open the console above, and look at a job's trace
  go run ./cmd/pullprint policy explain Follow-Me/6 --config %[1]s/config.yaml
  curl -s -H 'Authorization: Bearer %[2]s' http://%[3]s/v1/jobs
  curl -s http://%[4]s/metrics | grep pullprint_decisions_total
  send jobs of your own, or make Graph hostile, on the simulator's page above

Ctrl-C ends the demo.
`, p.dir, demoAdminToken, at.admin, at.metrics)
}

// awaitRegistration waits until the daemon has made its definition and its
// subscription; it gives up after 30 seconds.
func awaitRegistration(ctx context.Context, sim *graphtest.Sim) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		if defs := sim.Definitions(); len(defs) > 0 && len(sim.Subscriptions()) > 0 {
			return defs[0], nil
		}
		if err := waits.Sleep(ctx, 20*time.Millisecond); err != nil {
			return "", fmt.Errorf("the daemon has not registered: %w", err)
		}
	}
}
