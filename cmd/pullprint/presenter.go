package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"pullprint/connector/held"
	"pullprint/trigger/graph/graphtest"
)

type demoOptions struct {
	once, log, hostile bool
	seed               uint64
	out, logTo         io.Writer
}

// presenter tells a person what happens in the demo, a line each.
type presenter struct {
	out   io.Writer
	once  bool
	color bool
	heard chan held.Decision

	mu     sync.Mutex
	names  map[graphtest.JobID]string // who sent a job, for the lines only
	counts map[string]int
}

func newPresenter(o demoOptions, _ *graphtest.Sim) *presenter {
	f, ok := o.out.(*os.File)
	color := false
	if ok && os.Getenv("NO_COLOR") == "" {
		if st, err := f.Stat(); err == nil {
			color = st.Mode()&os.ModeCharDevice != 0
		}
	}
	return &presenter{
		out: o.out, once: o.once, color: color, heard: make(chan held.Decision, 1024),
		names: map[graphtest.JobID]string{}, counts: map[string]int{},
	}
}

func (p *presenter) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, format+"\n", args...)
}

func (p *presenter) opening(dir string, sim *graphtest.Sim, addr string) {
	p.say(`pullprint demo: a small office, simulated on this machine only

  Universal Print, simulated   http://%s/   (seed %d)
  files, removed at the end    %s
  queues                       Follow-Me (pull: waits for its owner), Poster (direct: prints at once)
`, addr, sim.Seed(), dir)
}

// decided is called by the daemon for each decision that took effect.
func (p *presenter) decided(d held.Decision) {
	p.mu.Lock()
	p.counts[d.Verdict]++
	who := p.names[graphtest.JobID{Printer: d.Printer, Job: d.Job}]
	p.mu.Unlock()
	what := map[string]string{"hold": "held", "complete": "completed", "abort": "aborted"}[d.Verdict]
	p.say("%s  %s  %-9s %-4s %s", time.Now().Format("15:04:05"), p.paint(what, fmt.Sprintf("%-9s", what)), d.Queue, "#"+d.Job, who+p.why(d))
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
	}
	pad := "\n" + strings.Repeat(" ", 21)
	return fmt.Sprintf(": %s%sreason  %s%sremedy  %s", d.Reason, pad, d.Text, pad, d.Remedy)
}

func (p *presenter) paint(what, text string) string {
	code := map[string]string{"held": "33", "completed": "32", "aborted": "31"}[what]
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
	{"teacher@contoso.com", "a worksheet, 28 copies, black and white, to Follow-Me", graphtest.JobSpec{Printer: demoPull, Copies: 28, Pages: 2, Duplex: true}},
	{"student@contoso.com", "a term paper to Follow-Me", graphtest.JobSpec{Printer: demoPull, Pages: 14}},
	{"teacher@contoso.com", "a poster, A1, colour, to Poster", graphtest.JobSpec{Printer: demoDirect, Color: true, MediaSize: "A1"}},
	{"student@contoso.com", "a poster to Poster", graphtest.JobSpec{Printer: demoDirect, Color: true, MediaSize: "A1"}},
	{"office@contoso.com", "a flyer, 200 copies, colour, to Follow-Me", graphtest.JobSpec{Printer: demoPull, Copies: 200, Color: true}},
	{"office@contoso.com", "the same in black and white", graphtest.JobSpec{Printer: demoPull, Copies: 200}},
}

// morning plays the script: it waits for the daemon to register, puts the
// triggers on the queues as an administrator would, and sends the jobs.
func (p *presenter) morning(ctx context.Context, sim *graphtest.Sim, metrics string) error {
	definition, err := awaitRegistration(ctx, sim)
	if err != nil {
		return err
	}
	for _, printer := range []string{demoPull, demoDirect} {
		if _, err := sim.AddTrigger(printer, definition); err != nil {
			return fmt.Errorf("put the trigger on a queue: %w", err)
		}
	}
	p.say("%s  pullprint has registered; an administrator has put its trigger on both queues\n", time.Now().Format("15:04:05"))
	for _, s := range morning {
		if err := p.send(ctx, sim, s); err != nil {
			return err
		}
		if err := p.await(ctx); err != nil {
			return err
		}
		if err := pause(ctx, 300*time.Millisecond); err != nil {
			return err
		}
	}
	p.next(metrics)
	if p.once {
		return nil
	}
	return p.lostNotification(ctx, sim)
}

// lostNotification sends one more job and loses its notification.
func (p *presenter) lostNotification(ctx context.Context, sim *graphtest.Sim) error {
	before := sim.Knobs().LoseNotification
	sim.Change(func(k *graphtest.Knobs) { k.LoseNotification = 1 })
	defer sim.Change(func(k *graphtest.Knobs) { k.LoseNotification = before })
	p.say("%s  The next job's notification gets lost on purpose: the sweep finds it within a minute.", time.Now().Format("15:04:05"))
	if err := p.send(ctx, sim, scene{"teacher@contoso.com", "a letter to Follow-Me", graphtest.JobSpec{Printer: demoPull}}); err != nil {
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

func (p *presenter) next(metrics string) {
	p.mu.Lock()
	held, completed, aborted := p.counts["hold"], p.counts["complete"], p.counts["abort"]
	p.mu.Unlock()
	p.say("\n%d jobs held, %d completed, %d aborted with a reason.", held, completed, aborted)
	if p.once {
		p.say(`
Without --once it stays up: its metrics can be scraped then (here they were at
http://%s/metrics), and the simulator's page takes jobs of your own. Now try:

  pullprint demo
  pullprint demo --hostile
  pullprint policy check deploy/policy.example.yaml`, metrics)
		return
	}
	p.say(`Now try:

  curl -s http://%s/metrics | grep pullprint_decisions_total
  curl -s 'http://%[1]s/readyz?verbose'
  send jobs of your own, or make Graph hostile, on the simulator's page above
  pullprint policy check deploy/policy.example.yaml

Ctrl-C ends the demo.
`, metrics)
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
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return "", fmt.Errorf("the daemon has not registered: %w", err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
