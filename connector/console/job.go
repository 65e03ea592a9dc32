package console

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"pullprint/connector/access"
	"pullprint/connector/admin"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/console/view"
	"pullprint/connector/job"
	"pullprint/connector/release"
	"pullprint/policy"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
)

// jobPage is a job with its trace.
type jobPage struct {
	apiclient.JobDetail
	Devices []string
	// Quote is what a held job would cost, Balances what is left of those who pay.
	Quote    release.Quote
	Balances []release.BalanceText
	// Names are those of the owner, of who asked and of who pays.
	Names view.Names
}

func (p *Pages) job(rw http.ResponseWriter, req *http.Request) {
	if c, ok := p.Callers.Reader(rw, req); ok {
		p.showJob(rw, req, c, nil)
	}
}

func (p *Pages) showJob(rw http.ResponseWriter, req *http.Request, c access.Caller, failed error) {
	detail, err := p.Jobs.Job(req.Context(), view.Ref(req))
	if err != nil {
		p.Site.Fail(rw, p.in(rw, req, c), err)
		return
	}
	data := jobPage{JobDetail: detail, Names: p.Site.NamesFor(req.Context(), c, peopleOf(&detail))}
	data.Quote, data.Balances = p.Releaser.Quote(req.Context(), &detail.Job, "")
	for _, d := range p.Devices {
		if slices.Contains(d.Queues, detail.Job.Queue) {
			data.Devices = append(data.Devices, d.ID)
		}
	}
	shown := p.page(rw, req, c, "Job %s", detail.Job.Job)
	shown.Data = data
	wrong(&shown, failed)
	p.Site.Show(rw, http.StatusOK, "job", shown)
}

// peopleOf are who may be a person on the page of a job.
func peopleOf(d *apiclient.JobDetail) []string {
	ids := append([]string{d.Job.Owner}, d.Job.Decision.Accounts...)
	for i := range d.Trace {
		ids = append(ids, d.Trace[i].Actor)
	}
	return ids
}

// another is why a job is refused, in words for somebody who is not its owner.
func another(in view.Words, code, text, remedy string) release.Reason {
	d := policy.ForAnother(policy.Decision{Reason: code, Text: text, Remedy: remedy})
	told := in.Reason(release.Reason{Code: d.Reason, Text: d.Text, Remedy: d.Remedy})
	if code == reasons.QuotaExhausted && in.Code() != "en" {
		told.Text = in.Text("The print budget of its owner does not cover this job.")
	}
	return told
}

func (p *Pages) cancelJob(rw http.ResponseWriter, req *http.Request) {
	p.act(rw, req, "cancel", func(c access.Caller, rec *job.Record) error {
		_, err := p.Jobs.Cancel(req.Context(),
			release.Cancellation{
				Key: rec.Key(), Actor: c.Name, Asked: admin.Asked(c),
				Note: strings.TrimSpace(req.PostFormValue("reason")),
			})
		return err
	})
}

func (p *Pages) releaseJob(rw http.ResponseWriter, req *http.Request) {
	p.act(rw, req, "release", func(c access.Caller, rec *job.Record) error {
		out, err := p.Releaser.Release(context.WithoutCancel(req.Context()), release.Order{
			Device: req.PostFormValue("device"), Owner: rec.Owner, Jobs: []graph.Ref{rec.Ref}, Actor: c.Name,
			Asked: admin.Asked(c), At: time.Now(),
		})
		return cmp.Or(refusedOf(out), err)
	})
}

// refusedOf is why the job of an outcome is not released; nil when it is.
func refusedOf(out release.Outcome) error {
	k, ok := first(out.Kept, out.Aborted)
	if !ok {
		return nil
	}
	return refusedError{k.Reason}
}

// refusedError is why a job is not released.
type refusedError struct{ reason release.Reason }

func (e refusedError) Error() string {
	return fmt.Sprintf("%v: %s %s [%s]", release.ErrNotHeld, e.reason.Text, e.reason.Remedy, e.reason.Code)
}

func (refusedError) Unwrap() error { return release.ErrNotHeld }

// first is the first of several lists' elements; false when they have none.
func first[T any](lists ...[]T) (one T, ok bool) {
	for _, list := range lists {
		if len(list) > 0 {
			return list[0], true
		}
	}
	return one, false
}

// act audits what an operator asked for on a job's page, carries it out by do, and shows the
// job as it is then.
func (p *Pages) act(
	rw http.ResponseWriter, req *http.Request, action string, do func(access.Caller, *job.Record) error,
) {
	c, ok := p.Callers.Operator(rw, req)
	if !ok {
		return
	}
	rec, err := p.Jobs.Record(req.Context(), view.Ref(req))
	if err != nil {
		p.Site.Fail(rw, p.in(rw, req, c), err)
		return
	}
	about := apiclient.Action{
		Action: action, Actor: c.Name, Ref: rec.Ref, Owner: rec.Owner, Device: req.PostFormValue("device"),
	}
	if err := p.Jobs.StoreAction(req.Context(), about); err != nil {
		p.Site.Fail(rw, p.in(rw, req, c), err)
		return
	}
	if err := do(c, &rec); err != nil {
		p.showJob(rw, req, c, err)
		return
	}
	http.Redirect(rw, req, "/jobs/"+url.PathEscape(rec.Printer)+"/"+url.PathEscape(rec.Job), http.StatusSeeOther)
}
