package at

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"pullprint/connector/console/view"
	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/connector/release"
	"pullprint/trigger/graph"
)

// optionsPage is what the page of one job shows: the ways to print it.
type optionsPage struct {
	// Form prints, Cancel ends the job, Back leads to all jobs.
	Form, Cancel, Back, Help string
	Printer                  release.Readiness
	Job                      line
	// Own is set when the job is the person's own, so that they may end it.
	Own     bool
	choices []release.Choice
}

// optionsOf are the ways to print the job of a page.
func optionsOf(p view.Page) []view.Option {
	s, _ := p.Data.(optionsPage)
	return view.OptionsOf(p, s.choices)
}

// options is the address of the page of a job.
func (v *visitor) options(ref graph.Ref) string {
	return v.form("options") + "&" + url.Values{"job": {value(ref)}}.Encode()
}

// options shows the ways to print one job, each with what it costs, and lets its owner end it.
func (p *Pages) options(rw http.ResponseWriter, req *http.Request) {
	v, ok := p.enter(rw, req)
	if !ok || !p.present(rw, req, v) {
		return
	}
	ctx := req.Context()
	ref, _ := refOf(req.URL.Query().Get("job"))
	of, choices, err := p.Releaser.Choices(ctx, v.who.Person, v.device.ID, ref, view.Offered(p.Choices))
	switch {
	case errors.Is(err, release.ErrNoJob):
		p.list(rw, req, v, did{wrong: "That job does not wait any more."})
		return
	case err != nil:
		p.fail(rw, v, err)
		return
	}
	t := p.read(ctx, v, []release.Quote{of}, nil, &release.Outcome{})
	shown := view.Page{Title: v.in.Text("Options"), In: v.in, Data: optionsPage{
		Form: v.form("print"), Cancel: v.form("cancel"), Back: v.link, Help: p.Help, Printer: t.printer,
		Job: line{Quote: of, Title: t.title(&of.Record)}, Own: of.Owner == v.who.Person, choices: choices,
	}}
	p.Site.Show(rw, http.StatusOK, "atoptions", shown)
}

// cancel ends a job of the visitor's own.
func (p *Pages) cancel(rw http.ResponseWriter, req *http.Request) {
	v, ok := p.enter(rw, req)
	if !ok || !p.readable(rw, req, v) || !p.present(rw, req, v) {
		return
	}
	ref, _ := refOf(req.PostForm.Get("job"))
	gone, err := p.Jobs.Cancel(context.WithoutCancel(req.Context()), release.Cancellation{
		Key: job.Key(v.who.Person, ref), Owner: v.who.Person, Asked: decision.AskedByPhone,
	})
	switch {
	case errors.Is(err, release.ErrNoJob), errors.Is(err, release.ErrNotHeld):
		p.list(rw, req, v, did{wrong: "The job can't be deleted any more: it is being printed, or has ended."})
	case err != nil:
		p.fail(rw, v, err)
	default:
		p.list(rw, req, v, did{canceled: &gone})
	}
}
