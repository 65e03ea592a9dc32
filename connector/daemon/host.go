package daemon

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/consume"
	"pullprint/connector/index"
	"pullprint/connector/job"
	"pullprint/connector/sweep"
	"pullprint/connector/terminal"
	"pullprint/trigger"
)

// hostEvery is how often the loops and what the supervisor shows are looked at, unless
// the watchdog wants to hear more often.
const hostEvery = 2 * time.Second

// askedWithin is how long the start waits for the first sign-in. If the sign-in is refused,
// the start fails; if it is not answered, it is tried further while the intake is open.
const askedWithin = 25 * time.Second

// stopStatus is what the supervisor shows while the daemon ends.
const stopStatus = "stopping: finishing current work, refusing new notifications"

// loop is one of the loops without which the daemon is of no use. All that it waits for has
// a time-out, so that a turn ends within limit even when Graph or an external NATS hangs.
// If one does not, only a restart helps.
type loop struct {
	name  string
	since func() time.Time // when it turned last; zero while it has no need to
	limit time.Duration
}

// loops are the loops that are watched. Each limit is above the longest possible turn with
// every time-out reached, and leaves room for a slow machine:
//
//	loop       longest turn                                                        limit
//	consumer   attach 5 s, fetch 5 s, skipped tasks 5 s, lag 5 s, pause 0.5 s    = 20.5 s       1 min
//	worker     wait to be alone 30 s, task and job 3 x 20 s, groups 45 s,
//	           document 10 s, effect 45 s, reading back 2 x 20 s, writes 10 x 5 s,
//	           looking for an earlier redirect at printers 2 min               = 6 min 40 s  10 min
//	sweep      pause 60 s, sweep 5 min, an effect begun at its end 45 s          = 6 min 45 s  10 min
//	registrar  8 steps x 1 min, pause 50 s                                       = 8 min 50 s  12 min
//	canary     write 2 s, pause 5 s                                              = 7 s         1 min
func (d *daemon) loops() []loop {
	return []loop{
		{"consumer", func() time.Time { turned, _ := d.bus.Consuming(); return turned }, consume.FetchLimit},
		{"worker", func() time.Time { _, oldest := d.bus.Consuming(); return oldest }, job.HandleLimit},
		{"sweep", d.jobs.Sweeper.Turned, sweep.Limit},
		{"registrar", d.registrar.Turned, trigger.RoundLimit},
		{"canary", d.canary.Turned, canaryLimit},
	}
}

// turning is nil while every loop turns in time.
func (d *daemon) turning() error { return stuck(d.loops()) }

// stuck returns an error that names the loops that are past their limit.
func stuck(loops []loop) error {
	var names []string
	for _, l := range loops {
		if at := l.since(); !at.IsZero() && time.Since(at) > l.limit {
			names = append(names, fmt.Sprintf("%s for %s", l.name, time.Since(at).Round(time.Second)))
		}
	}
	if names == nil {
		return nil
	}
	return fmt.Errorf("stuck: %s; only a restart helps", strings.Join(names, ", "))
}

// host tells the supervisor that the daemon is ready, that it lives and how it goes. It
// feeds the watchdog only while every loop turns.
func (d *daemon) host(ctx context.Context) error {
	every := hostEvery
	if d.o.Watchdog > 0 {
		every = min(every, d.o.Watchdog/3)
	}
	if err := d.takesWork(ctx); err != nil {
		d.o.Notify("STOPPING=1\nSTATUS=" + stopStatus)
		return err
	}
	shown := d.status(ctx)
	d.ready.Store(true)
	d.o.Notify("READY=1\nSTATUS=" + shown)
	tick := time.NewTicker(every)
	defer tick.Stop()
	var fed time.Time
	for said := false; ; {
		status := d.status(ctx)
		err := d.turning()
		switch {
		case err == nil && d.o.Watchdog > 0 && time.Since(fed) >= d.o.Watchdog/3:
			d.o.Notify("WATCHDOG=1")
			fed = time.Now()
		case err != nil:
			status = err.Error()
			if !said {
				d.log.Error("watchdog notification withheld", zap.Error(err))
			}
		}
		said = err != nil
		if status != shown {
			d.o.Notify("STATUS=" + status)
			shown = status
		}
		select {
		case <-ctx.Done():
			d.o.Notify("STOPPING=1\nSTATUS=" + stopStatus)
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// takesWork waits until the daemon takes work: the stored state is known, and Entra has not
// refused the sign-in. The job records may still be read.
func (d *daemon) takesWork(ctx context.Context) error {
	late := time.NewTimer(askedWithin)
	defer late.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-d.verifier.Ready():
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-d.signInTried:
	case <-late.C:
	}
	return nil
}

// reloading tells the supervisor while read reads the policy because somebody asked; the texts of
// notices are read besides.
func (d *daemon) reloading(read func()) {
	if !d.ready.Load() {
		read()
		d.reloadTexts()
		return
	}
	d.o.Notify("RELOADING=1\nSTATUS=reading the policy")
	read()
	d.reloadTexts()
	d.o.Notify("READY=1\nSTATUS=" + d.status(context.Background()))
}

// status is the line that the supervisor shows.
func (d *daemon) status(ctx context.Context) string {
	subscription := "no subscription"
	if at := d.verifier.Expires(); !at.IsZero() {
		subscription = "subscription until " + at.UTC().Format("2006-01-02 15:04 MST")
	}
	policy := "policy " + d.policy.current.Load().Hash()
	if d.policy.refused.Load() {
		policy += " (its file has changed and is refused: see pullprint check)"
	}
	text := fmt.Sprintf("%s, %s, %s", d.heldJobs(), subscription, policy)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for _, c := range d.checks() {
		if err := c.Ready(ctx); err != nil {
			return fmt.Sprintf("not ready: %s: %s; %s", c.Name, strings.Join(strings.Fields(err.Error()), " "), text)
		}
	}
	return text
}

// heldJobs says how many jobs are held.
func (d *daemon) heldJobs() string {
	select {
	case <-d.index.Ready():
	default:
		return index.ErrReading.Error()
	}
	jobs := 0
	for _, n := range d.index.Held() {
		jobs += n
	}
	return terminal.Counted(jobs, "job") + " held"
}
