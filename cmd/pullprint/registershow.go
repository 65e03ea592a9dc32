package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"pullprint/connector/doctor"
	"pullprint/connector/sweep"
	"pullprint/connector/terminal"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/register"
)

// conclusion says how it ended; a queue without our trigger is a failure.
func (r *registration) conclusion(ctx context.Context, out io.Writer, p *register.Plan, what string) error {
	open := p.Incomplete()
	switch {
	case len(open) > 0:
		if what != "remove" {
			r.remind(out, p)
		}
		return fmt.Errorf("%s not as it should be: fix the problems above, then run this again",
			terminal.Counted(len(open), "queue"))
	case what == "remove":
		fmt.Fprintln(out, "Nothing of pullprint is left on these queues.")
		if r.kept.Configured() {
			return r.kept.Forget()
		}
	default:
		if name := terminal.Printable(p.Definition.DisplayName); len(p.Steps) == 1 {
			fmt.Fprintf(out, "The queue now starts %s's tasks.\n", name)
		} else {
			fmt.Fprintf(out, "All %s start tasks of %q.\n", terminal.Counted(len(p.Steps), "queue"), name)
		}
		r.remind(out, p)
		if doctor.DaemonRuns(ctx, r.cfg) {
			fmt.Fprintln(out, "The daemon is running. Restart it if the configuration has changed since it was started.")
		} else {
			fmt.Fprintln(out, "Now start the daemon: pullprint run")
		}
	}
	return nil
}

// remind says which printer_id is still to be written into the configuration, and who
// can't print yet.
func (r *registration) remind(out io.Writer, p *register.Plan) {
	for i := range p.VirtualPrinters {
		v := &p.VirtualPrinters[i]
		if !v.Create || v.PrinterID == "" {
			continue
		}
		if v.ID == "" {
			fmt.Fprintf(out, "Write into the configuration, at the queue %s:  printer_id: %s\n", terminal.Printable(v.Name),
				v.PrinterID)
		}
		if v.ShareID != "" && len(v.ShareWith) == 0 {
			fmt.Fprintf(out, "Nobody may print to %s unless somebody was let in the Universal Print portal; or name groups "+
				"in queues[].share_with, and run this again.\n", terminal.Printable(v.Name))
		}
		for _, id := range v.Duplicates {
			fmt.Fprintf(out, "%s was made twice, by a run that was interrupted: delete the printer %s in the Universal Print "+
				"portal.\n", terminal.Printable(v.Name), terminal.Printable(id))
		}
	}
}

// shownPlan is a plan in JSON.
type shownPlan struct {
	Definition string         `json:"definition"`
	Queues     []shownStep    `json:"queues"`
	Printers   []shownPrinter `json:"printers"`
	Loads      []weighed      `json:"loads"`
}

// shownStep is a step in JSON.
type shownStep struct {
	Queue   string `json:"queue"`
	Printer string `json:"printer"`
	State   string `json:"state"`
	Act     string `json:"act"`
	Foreign string `json:"foreign,omitempty"`
	Error   string `json:"error,omitempty"`
}

func (r *registration) show(w io.Writer, p *register.Plan) error {
	if r.json {
		steps := []shownStep{}
		for _, s := range p.Steps {
			steps = append(steps, shownStep{s.Name, s.Queue.ID, s.State, s.Action, foreignOf(s), errorOf(s)})
		}
		return printJSON(w, shownPlan{p.Definition.ID, steps, shownPrinters(p), r.loads})
	}
	if p.Definition.ID == "" {
		fmt.Fprintf(w, "task definition %q: not there, it would be created\n", terminal.Printable(r.planner.Definition))
	} else {
		fmt.Fprintf(w, "task definition %q: %s\n", terminal.Printable(p.Definition.DisplayName), p.Definition.ID)
	}
	t := newTable(w, "QUEUE", "PRINTER", "TRIGGER", "ACTION")
	for _, s := range p.Steps {
		about := s.State
		switch {
		case s.State == register.TriggerForeign:
			about += ": " + foreignOf(s)
		case s.Err != nil:
			about += ": " + errorOf(s)
		}
		act := s.Action
		if act == register.ActionSkip {
			act += "; --replace takes its place"
		}
		t.row(s.Name, orDash(s.Queue.ID), about, act)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if err := showPrinters(w, p); err != nil {
		return err
	}
	for _, l := range r.loads {
		l.show(w)
	}
	if r.loads != nil { // nothing else follows
		r.remind(w, p)
	}
	return nil
}

func foreignOf(s register.Step) string {
	if s.State != register.TriggerForeign {
		return ""
	}
	return register.HolderName(s.Found)
}

// errorOf is why a queue could not be read, in words for its administrator.
func errorOf(s register.Step) string {
	switch {
	case s.Err == nil:
		return ""
	case graph.IsNotFound(s.Err):
		return "there is no such printer: correct queues[].printer_id"
	}
	return s.Err.Error()
}

// shownPrinter is a virtual printer in JSON.
type shownPrinter struct {
	Queue   string   `json:"queue"`
	Printer string   `json:"printer"`
	Lacks   []string `json:"lacks"`
	Share   string   `json:"share"`
	Acts    []string `json:"acts"`
	Spare   []string `json:"spare,omitempty"`
	Error   string   `json:"error,omitempty"`
}

func shownPrinters(p *register.Plan) []shownPrinter {
	list := []shownPrinter{}
	for i := range p.VirtualPrinters {
		v := &p.VirtualPrinters[i]
		missing, actions := append([]string{}, v.Missing...), append([]string{}, v.Actions()...)
		s := shownPrinter{v.Name, v.PrinterID, missing, v.ShareID, actions, v.Duplicates, ""}
		if v.Err != nil {
			s.Error = v.Err.Error()
		}
		list = append(list, s)
	}
	return list
}

// showPrinters tells of virtual printers, if there is anything to tell.
func showPrinters(w io.Writer, p *register.Plan) error {
	t := newTable(w)
	if len(p.VirtualPrinters) > 0 {
		fmt.Fprintln(t)
		t.row("QUEUE", "VIRTUAL PRINTER", "LACKS", "ACTION")
	}
	for i := range p.VirtualPrinters {
		v := &p.VirtualPrinters[i]
		found, lacks, act := v.PrinterID, strings.Join(v.Missing, "; "), strings.Join(v.Actions(), ", ")
		switch {
		case v.Err != nil:
			act = "none: " + v.Err.Error()
		case v.Foreign:
			act = "none: only who registered it can add that, for jobs that its devices could print"
		default:
			act = cmp.Or(act, register.ActionNone)
		}
		if found == "" {
			found, lacks = "missing", "all"
		}
		t.row(v.Name, found, cmp.Or(lacks, "nothing"), act)
	}
	if len(p.Deletions) > 0 {
		fmt.Fprintln(t)
		t.row("PRINTER", "ID", "ACTION")
	}
	for _, g := range p.Deletions {
		t.row(g.DisplayName, g.ID, "delete, with its share")
	}
	return t.Flush()
}

// How much of a queue's past is looked at, and for how long.
const (
	weighSpan   = 24 * time.Hour
	weighJobs   = 20_000
	weighWithin = 30 * time.Second
)

// weighed is how near a queue came to what Universal Print takes of one printer.
type weighed struct {
	Queue  string  `json:"queue"`
	Jobs   int     `json:"jobs_in_10_minutes"`
	Since  string  `json:"since,omitempty"`
	AtOnce int     `json:"at_once"`
	Used   float64 `json:"used"`
	Split  string  `json:"split,omitempty"`
	Error  string  `json:"error,omitempty"`
}

func (l weighed) show(w io.Writer) {
	switch {
	case l.Error != "":
		fmt.Fprintf(w, "%s: how busy it is could not be read: %s\n", terminal.Printable(l.Queue), terminal.Printable(l.Error))
	case l.Split != "":
		fmt.Fprintf(w, "%s: %s, and at the limit Universal Print refuses jobs: add a second queue (as {name: %s 2, mode: "+
			"..., create: true}) and share each with a part of the people\n",
			terminal.Printable(l.Queue), l.Split, terminal.Printable(l.Queue))
	}
}

// weigh looks at the jobs that each queue had, as far as Graph still lists them. That
// it can't be read keeps nothing from being planned.
func (r *registration) weigh(ctx context.Context, p *register.Plan) {
	r.loads = []weighed{}
	for _, s := range p.Steps {
		if s.Queue.ID == "" || s.Err != nil {
			continue
		}
		l := weighed{Queue: s.Name}
		arrivals, err := r.arrivals(ctx, s.Queue.ID)
		if err != nil {
			l.Error = err.Error()
		} else {
			load := sweep.Busiest(arrivals)
			l.Jobs, l.AtOnce, l.Used = load.Jobs, load.AtOnce, load.Used()
			if load.Jobs > 0 {
				l.Since = load.Since.UTC().Format(time.RFC3339)
			}
			l.Split, _ = load.Split()
		}
		r.loads = append(r.loads, l)
	}
}

// arrivals are the jobs that came to a printer lately.
func (r *registration) arrivals(ctx context.Context, printer string) ([]sweep.Arrival, error) {
	ctx, cancel := context.WithTimeout(ctx, weighWithin)
	defer cancel()
	since, seen := time.Now().Add(-weighSpan), 0
	var list []sweep.Arrival
	for job, err := range r.app.Jobs(ctx, printer) {
		if err != nil {
			return nil, err
		}
		if seen++; seen > weighJobs {
			break
		}
		open := job.State == graph.JobPending || job.State == graph.JobProcessing || job.State == graph.JobStopped
		if open || job.Created.After(since) {
			list = append(list, sweep.Arrival{At: job.Created, Owner: job.CreatedBy.ID, Open: open})
		}
	}
	return list, nil
}

// withoutCanceled is err, or, when a signal brought it about, what was interrupted.
func withoutCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return interruptedIn(err, context.Canceled)
	}
	return err
}

// authorityAdvice says what to do about an authority that could not be reached.
func authorityAdvice(err error) string {
	var ae *auth.Error
	if errors.As(err, &ae) && ae.Status == 0 && ae.Hint == "" {
		return ": `pullprint doctor` says what is in the way"
	}
	return ""
}
