package station

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"pullprint/connector/console/view"
	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/connector/tap"
	"pullprint/policy"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
)

// formResult is what the form of a ticket did, or is doing until done is closed. A form
// that is sent again gets the same result.
type formResult struct {
	ticket string
	done   chan struct{}
	who    tap.Visitor // of the visit; without an owner when it has ended
	ended  string      // why it has ended
	at     time.Time   // of an enrolment
	page   stationPage
	wrong  string
}

// formResults remembers the newest result at each device, of this replica.
type formResults struct {
	mu sync.Mutex // guards at
	at map[string]*formResult
}

// join returns the result of a ticket, and whether the caller is the first who asks for it:
// then they do it and close done.
func (d *formResults) join(device, ticket string) (it *formResult, first bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if was := d.at[device]; was != nil && was.ticket == ticket {
		return was, false
	}
	if d.at == nil {
		d.at = map[string]*formResult{}
	}
	it = &formResult{ticket: ticket, done: make(chan struct{}), page: stationPage{Device: device}}
	d.at[device] = it
	return it, true
}

// wait waits until the result is there. It reports false when the browser is gone before.
func (d *formResult) wait(browser context.Context) bool {
	select {
	case <-d.done:
		return true
	case <-browser.Done():
		return false
	}
}

// stationRelease releases one job that the person there may release, or all of
// their own.
func (p *Pages) stationRelease(rw http.ResponseWriter, req *http.Request) {
	p.once(rw, req, func(ctx context.Context, d *formResult, owner string) error {
		order := release.Order{Device: d.page.Device, Owner: owner, Asked: decision.AskedByStation, At: time.Now()}
		if ref, one := formRef(req); one {
			order.Jobs = []graph.Ref{ref}
			order.Set = view.Variant(req)
		} else {
			waiting, err := p.Releaser.Waiting(ctx, owner, d.page.Device)
			if err != nil {
				return err
			}
			order.Jobs = []graph.Ref{} // none is not all
			for i := range waiting {
				if waiting[i].Owner == owner {
					order.Jobs = append(order.Jobs, waiting[i].Ref)
				}
			}
		}
		out, err := p.Releaser.Release(ctx, order)
		d.page.Outcome = &out
		return err
	})
}

// stationCancel cancels a job of the person there; one that they only may
// release stays.
func (p *Pages) stationCancel(rw http.ResponseWriter, req *http.Request) {
	p.once(rw, req, func(ctx context.Context, d *formResult, owner string) error {
		ref, _ := formRef(req)
		gone, err := p.Jobs.Cancel(ctx, release.Cancellation{Key: job.Key(owner, ref), Owner: owner})
		switch {
		case errors.Is(err, release.ErrNoJob), errors.Is(err, release.ErrNotHeld):
			d.wrong = "The job can't be deleted any more: it is being printed, or has ended."
			return nil
		case err != nil:
			return err
		}
		d.page.Canceled = []release.Refused{gone}
		return nil
	})
}

// once carries out the form of a page for the person there, if its ticket allows. It goes on
// when the browser is gone: the jobs may be on their way to the printer.
func (p *Pages) once(
	rw http.ResponseWriter, req *http.Request, do func(ctx context.Context, d *formResult, owner string) error,
) {
	device, ok := p.at(rw, req)
	if !ok {
		return
	}
	if req.PostFormValue("leave") != "" {
		p.leave(rw, req, device)
		return
	}
	ctx := context.WithoutCancel(req.Context())
	d, first := p.results.join(device, req.PostFormValue("visit"))
	if first {
		if err := p.carryOut(ctx, d, do); err != nil {
			p.failAt(rw, device, err)
			return
		}
	}
	if d.wait(req.Context()) {
		p.done(ctx, rw, d)
	}
}

// carryOut does what the form of a ticket asks for, if the ticket allows.
func (p *Pages) carryOut(
	ctx context.Context, d *formResult, do func(ctx context.Context, d *formResult, owner string) error,
) error {
	defer close(d.done)
	who, u, err := p.Visits.use(ctx, d.page.Device, d.ticket)
	if err != nil || u == useEnded {
		return err
	}
	if ok, err := p.goesOn(ctx, d.page.Device, d.ticket, who); err != nil {
		return err
	} else if !ok {
		d.ended = unknownBadge
		return nil
	}
	d.who = who
	if u == useAgain { // by another replica, or by another page
		d.wrong = "That page was used already. This is what waits now."
		return nil
	}
	if err := do(ctx, d, who.Owner); err != nil {
		d.wrong = "It did not work. Please try again."
		return err
	}
	return nil
}

// stationLeave ends the visit of the person there.
func (p *Pages) stationLeave(rw http.ResponseWriter, req *http.Request) {
	if device, ok := p.at(rw, req); ok {
		p.leave(rw, req, device)
	}
}

func (p *Pages) leave(rw http.ResponseWriter, req *http.Request, device string) {
	ctx := context.WithoutCancel(req.Context())
	if err := p.Visits.leave(ctx, device, req.PostFormValue("visit")); err != nil {
		p.failAt(rw, device, err)
		return
	}
	home(rw, req, device)
}

// done shows what was done, and the jobs that still wait.
func (p *Pages) done(ctx context.Context, rw http.ResponseWriter, d *formResult) {
	s := d.page
	if d.who.Owner == "" {
		p.idle(rw, http.StatusOK, s.Device, cmp.Or(d.ended, visitEnded))
		return
	}
	if ok, err := p.goesOn(ctx, s.Device, d.ticket, d.who); err != nil {
		p.failAt(rw, s.Device, err)
		return
	} else if !ok {
		p.idle(rw, http.StatusOK, s.Device, unknownBadge)
		return
	}
	ticket, ok, err := p.Visits.turn(ctx, s.Device, d.ticket)
	switch {
	case err != nil:
		p.failAt(rw, s.Device, err)
		return
	case !ok:
		p.idle(rw, http.StatusOK, s.Device, visitEnded)
		return
	}
	s.Ticket = ticket
	if err := p.list(ctx, &s, d.who.Owner); err != nil {
		p.failAt(rw, s.Device, err)
		return
	}
	switch {
	case s.Choices != nil:
		p.show(rw, http.StatusOK, "options", view.Page{
			Title: "Options", Refresh: stayFor, Then: Path(s.Device), Data: s,
		})
		return
	case s.Outcome == nil && s.Canceled == nil:
		p.jobs(rw, s, d.wrong)
		return
	}
	s.Refusals, s.Elsewhere = refusals(s), p.elsewhere(s.Device)
	p.show(rw, http.StatusOK, "done", view.Page{
		Title: "Done", Wrong: d.wrong, Refresh: stayFor, Then: Path(s.Device), Data: s,
	})
}

// printingJobs are those that were sent to one device.
type printingJobs struct {
	Jobs int
	// Device is empty for the one where the person stands.
	Device string
}

// Printing is where the jobs of the outcome went: another reader of the same person may
// have been faster.
func (s stationPage) Printing() (list []printingJobs) {
	if s.Outcome == nil {
		return nil
	}
	for _, r := range s.Outcome.Released {
		device := s.Elsewhere[strings.ToLower(r.Destination)]
		i := slices.IndexFunc(list, func(l printingJobs) bool { return l.Device == device })
		if i < 0 {
			i, list = len(list), append(list, printingJobs{Device: device})
		}
		list[i].Jobs++
	}
	return list
}

// elsewhere are the devices by their printers, but for the printer of one device.
func (p *Pages) elsewhere(device string) map[string]string {
	at := map[string]string{}
	for _, d := range p.Devices {
		at[strings.ToLower(d.PrinterID)] = d.ID
	}
	if d, ok := printer.DeviceByID(p.Devices, device); ok {
		delete(at, strings.ToLower(d.PrinterID))
	}
	return at
}

// refusedJobs is one reason for which jobs were refused.
type refusedJobs struct {
	// Ended is true when the jobs are aborted; else they still wait.
	Ended  bool
	Jobs   int
	Queue  string
	Reason release.Reason
}

// refusals are those of an outcome, those of the same reason together, without what the list
// of jobs says at the job itself.
func refusals(s stationPage) (list []refusedJobs) {
	if s.Outcome == nil {
		return nil
	}
	waiting := slices.Clone(s.Jobs)
	for _, o := range s.Others {
		waiting = append(waiting, o.Jobs...)
	}
	add := func(r release.Refused, ended bool) {
		if s.Printer.Unavailable && r.Reason.Code == reasons.DeviceUnavailable {
			return // the page tells what is wrong with the printer
		}
		same := slices.IndexFunc(list, func(l refusedJobs) bool {
			return l.Ended == ended && l.Queue == r.Queue && l.Reason == r.Reason
		})
		if same >= 0 {
			list[same].Jobs++
			return
		}
		list = append(list, refusedJobs{ended, 1, r.Queue, r.Reason})
	}
	for _, r := range s.Outcome.Kept {
		listed := func(q release.Quote) bool {
			return q.Ref == r.Ref && q.Verdict != string(policy.Redirect) && q.Reason.Code == r.Reason.Code
		}
		if !slices.ContainsFunc(waiting, listed) {
			add(r, false)
		}
	}
	for _, r := range s.Outcome.Aborted {
		add(r, true)
	}
	slices.SortStableFunc(list, func(a, b refusedJobs) int { return cmp.Compare(b.Jobs, a.Jobs) })
	return list
}

func formRef(req *http.Request) (graph.Ref, bool) {
	ref := graph.Ref{Printer: req.PostFormValue("printer"), Job: req.PostFormValue("job")}
	return ref, ref.Printer != "" && ref.Job != ""
}
