package admin

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"pullprint/connector"
	"pullprint/connector/held"
	"pullprint/policy"
)

// deed is what the form of a ticket did, or is doing until done is closed. Whoever
// sends the form again is told the same.
type deed struct {
	ticket string
	done   chan struct{}
	page   stationPage
	wrong  string
}

// deeds remembers the newest at each device; another replica's are not in it.
type deeds struct {
	mu sync.Mutex
	at map[string]*deed
}

// start notes that the form of a ticket is carried out.
func (d *deeds) start(device, ticket string) *deed {
	fresh := &deed{ticket: ticket, done: make(chan struct{}), page: stationPage{Device: device}}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.at == nil {
		d.at = map[string]*deed{}
	}
	d.at[device] = fresh
	return fresh
}

// of waits for what the form of a ticket does; nil when that is not known here.
func (d *deeds) of(ctx context.Context, device, ticket string) *deed {
	d.mu.Lock()
	was := d.at[device]
	d.mu.Unlock()
	if was == nil || was.ticket != ticket {
		return nil
	}
	select {
	case <-was.done:
		return was
	case <-ctx.Done():
		return nil
	}
}

// stationRelease releases one job that the person there may release, or all of
// their own.
func (p *Pages) stationRelease(rw http.ResponseWriter, req *http.Request) {
	p.once(rw, req, func(ctx context.Context, d *deed, owner string) error {
		order := connector.Order{Device: d.page.Device, Owner: owner, At: time.Now()}
		if ref, one := formRef(req); one {
			order.Jobs = []held.Ref{ref}
			order.Set = formVariant(req)
		} else {
			waiting, err := p.api.Releaser.Waiting(ctx, owner, d.page.Device)
			if err != nil {
				return err
			}
			order.Jobs = []held.Ref{} // none is not all
			for i := range waiting {
				if waiting[i].Owner == owner {
					order.Jobs = append(order.Jobs, waiting[i].Ref)
				}
			}
		}
		out, err := p.api.Releaser.Release(ctx, order)
		d.page.Outcome = &out
		return err
	})
}

// stationCancel cancels a job of the person there; one that they only may
// release stays.
func (p *Pages) stationCancel(rw http.ResponseWriter, req *http.Request) {
	p.once(rw, req, func(ctx context.Context, d *deed, owner string) error {
		ref, _ := formRef(req)
		gone, err := p.api.cancel(ctx, connector.Cancellation{Key: held.Key(owner, ref), Owner: owner})
		switch {
		case errors.Is(err, connector.ErrNoJob), errors.Is(err, connector.ErrNotHeld):
			d.wrong = "The job can't be deleted any more: it is being printed, or has come to its end."
			return nil
		case err != nil:
			return err
		}
		d.page.Canceled = []connector.Refused{gone}
		return nil
	})
}

// once has the form of a page carried out for the person there, unless its ticket
// says otherwise. Whoever asked may hang up: the paper is under way.
func (p *Pages) once(
	rw http.ResponseWriter, req *http.Request, do func(ctx context.Context, d *deed, owner string) error,
) {
	device, ok := p.at(rw, req)
	if !ok {
		return
	}
	if req.PostFormValue("leave") != "" {
		p.leave(rw, req, device)
		return
	}
	ctx, ticket := context.WithoutCancel(req.Context()), req.PostFormValue("visit")
	owner, u, err := p.visits.use(ctx, device, ticket)
	switch {
	case err != nil:
		p.trouble(rw, device, err)
	case u == useEnded:
		p.idle(rw, http.StatusOK, device, visitEnded)
	case u == useAgain:
		d := p.deeds.of(req.Context(), device, ticket)
		if d == nil {
			d = &deed{ticket: ticket, page: stationPage{Device: device}}
			d.wrong = "That page was used already. This is what waits now."
		}
		p.done(ctx, rw, d, owner)
	default:
		d := p.deeds.start(device, ticket)
		err := func() error {
			defer close(d.done)
			err := do(ctx, d, owner)
			if err != nil {
				d.wrong = "It did not work. Please try again."
			}
			return err
		}()
		if err != nil {
			p.trouble(rw, device, err)
			return
		}
		p.done(ctx, rw, d, owner)
	}
}

// stationLeave ends the visit of the person there.
func (p *Pages) stationLeave(rw http.ResponseWriter, req *http.Request) {
	if device, ok := p.at(rw, req); ok {
		p.leave(rw, req, device)
	}
}

func (p *Pages) leave(rw http.ResponseWriter, req *http.Request, device string) {
	ctx := context.WithoutCancel(req.Context())
	_, u, err := p.visits.use(ctx, device, req.PostFormValue("visit"))
	if err == nil && u != useEnded {
		_, _, err = p.visits.begin(ctx, device, "", time.Now())
	}
	if err != nil {
		p.trouble(rw, device, err)
		return
	}
	http.Redirect(rw, req, stationPath(device), http.StatusSeeOther)
}

// done shows what was done, and what still waits.
func (p *Pages) done(ctx context.Context, rw http.ResponseWriter, d *deed, owner string) {
	s := d.page
	ticket, ok, err := p.visits.turn(ctx, s.Device, d.ticket)
	switch {
	case err != nil:
		p.trouble(rw, s.Device, err)
		return
	case !ok:
		p.idle(rw, http.StatusOK, s.Device, visitEnded)
		return
	}
	s.Ticket = ticket
	if err := p.list(ctx, &s, owner); err != nil {
		p.trouble(rw, s.Device, err)
		return
	}
	if s.Outcome == nil && s.Canceled == nil {
		p.jobs(rw, s, d.wrong)
		return
	}
	s.Refusals = refusals(s)
	p.show(rw, http.StatusOK, "done", page{
		Title: "Done", Wrong: d.wrong, Refresh: forgetAfter, Then: stationPath(s.Device), Data: s,
	})
}

// refusedJobs is one reason for which jobs were refused.
type refusedJobs struct {
	// Ended is true when the jobs are aborted; else they still wait.
	Ended  bool
	Jobs   int
	Queue  string
	Reason connector.Reason
}

// refusals are those of an outcome, each once: those of the same reason together,
// and without what the list tells at the job itself.
func refusals(s stationPage) (list []refusedJobs) {
	if s.Outcome == nil {
		return nil
	}
	waiting := slices.Clone(s.Jobs)
	for _, o := range s.Others {
		waiting = append(waiting, o.Jobs...)
	}
	add := func(r connector.Refused, ended bool) {
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
		told := func(q connector.Quote) bool {
			return q.Ref == r.Ref && q.Reason.Code == policy.ReasonQuotaExhausted && q.Reason.Code == r.Reason.Code
		}
		if !slices.ContainsFunc(waiting, told) {
			add(r, false)
		}
	}
	for _, r := range s.Outcome.Aborted {
		add(r, true)
	}
	slices.SortStableFunc(list, func(a, b refusedJobs) int { return cmp.Compare(b.Jobs, a.Jobs) })
	return list
}

// formVariant is how the person wants a job printed; nonsense is no change.
func formVariant(req *http.Request) policy.Settings {
	s := policy.Settings{ColorMode: req.PostFormValue("colorMode"), DuplexMode: req.PostFormValue("duplexMode")}
	if n, err := strconv.Atoi(req.PostFormValue("copies")); err == nil {
		s.Copies = n
	}
	if !s.Variant(policy.Job{Copies: max(s.Copies, 1)}) {
		return policy.Settings{}
	}
	return s
}

func formRef(req *http.Request) (held.Ref, bool) {
	ref := held.Ref{Printer: req.PostFormValue("printer"), Job: req.PostFormValue("job")}
	return ref, ref.Printer != "" && ref.Job != ""
}
