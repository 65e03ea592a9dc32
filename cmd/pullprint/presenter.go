package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/config"
	"pullprint/connector/decision"
	"pullprint/connector/release"
	"pullprint/connector/terminal"
	"pullprint/policy/reasons"
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
	out         io.Writer
	once        bool
	color       bool
	dir         string
	sim         *graphtest.Sim
	cfg         *config.Config
	at          addresses
	decidedJobs chan decision.Decision

	mu     sync.Mutex                 // guards out and what follows
	names  map[graphtest.JobID]string // who sent a job, for the lines only
	users  map[string]string          // user principal names by object id
	counts map[string]int
}

func newPresenter(o demoOptions, sim *graphtest.Sim, cfg *config.Config, at addresses) *presenter {
	return &presenter{
		out: o.out, once: o.once, color: o.color, sim: sim, cfg: cfg, at: at, decidedJobs: make(chan decision.Decision, 1024),
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

func (p *presenter) opening(dir string) {
	p.dir, p.users = dir, map[string]string{}
	for _, u := range p.sim.Users() {
		p.users[u.ID] = u.UPN
	}
	p.say(`pullprint demo: a small office, simulated on this machine only

  Universal Print, simulated   http://%s/   (seed %d)
  release station              http://%s/station/hq-2-west   (token %s)
  a person's own page          http://%[3]s/me   (sign in as whom you like)
  console                      http://%[3]s/   (sign in as admin, or with the token %[5]s)
  mail to people               http://%[1]s/#messages
  badges                       1001 teacher, 1002 office, 1003 student
  files, removed at the end    %[6]s
  queues                       Follow-Me (pull: waits for its owner), Poster (direct: prints at once)
`, p.at.sim, p.sim.Seed(), p.at.admin, demoReaderToken, demoAdminToken, dir)
}

// decided is called by the daemon for each decision that took effect.
func (p *presenter) decided(d decision.Decision) {
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
	case p.decidedJobs <- d:
	default:
	}
}

func (p *presenter) why(d decision.Decision) string {
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

// line tells of something that is no decision.
func (p *presenter) line(format string, args ...any) {
	p.say("%s  ·          %s", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// letterLines is how many lines of a message are shown.
const letterLines = 3

// letter shows a message to a person: its subject and first lines.
func (p *presenter) letter(m graphtest.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pad, shown := strings.Repeat(" ", 21), 0
	p.say0("%s  ·          %s gets mail", time.Now().Format("15:04:05"), m.To)
	p.say0("%ssubject %s", pad, m.Subject)
	for line := range strings.Lines(m.Text) {
		if line = strings.TrimSpace(line); line != "" && shown < letterLines {
			p.say0("%s        %s", pad, line)
			shown++
		}
	}
}

// tap shows a badge at a device; what is decided tells itself.
func (p *presenter) tap(ctx context.Context, c *apiclient.Client, who, device, number string) error {
	_, err := p.tapped(ctx, c, who, device, number)
	return err
}

func (p *presenter) tapped(
	ctx context.Context, c *apiclient.Client, who, device, number string,
) (release.Outcome, error) {
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

func (p *presenter) send(ctx context.Context, s scene) error {
	s.job.User = s.user
	// The line comes before the job: its decision may be faster than we are.
	p.say("%s  %s  %s prints %s", time.Now().Format("15:04:05"), "·        ", s.user, s.what)
	p.mu.Lock()
	id, err := p.sim.Submit(s.job)
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
	case <-p.decidedJobs:
		return nil
	}
}

// next says what can be done now; link is that of the sheet at hq-2-west.
func (p *presenter) next(link string) {
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
  pullprint policy check deploy/policy.example.yaml`, p.at.metrics)
		return
	}
	p.say(`
The student's photos are still waiting, and cost more than is left. Now try:

  open the station above, sign it in with its token, and show badge 1003
  open the console above, and look at a job's trace
  sign in as student at the page above, and see what waits, what is left and why
  scan the sheet at hq-2-west, by opening %[5]s
  go run ./cmd/pullprint policy explain Follow-Me/6 --config %[1]s/config.yaml
  curl -s -H 'Authorization: Bearer %[2]s' http://%[3]s/v1/jobs
  curl -s http://%[4]s/metrics | grep pullprint_decisions_total
  send jobs of your own, or make Graph hostile, on the simulator's page above

Ctrl-C ends the demo.
`, p.dir, demoAdminToken, p.at.admin, p.at.metrics, link)
}
