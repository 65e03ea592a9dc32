package station

import (
	"context"
	"net/http"
	"time"

	"pullprint/connector/console/view"
	"pullprint/connector/release"
	"pullprint/trigger/graph"
)

// stationProgress says how far the jobs are that the page of a visit has let go, as a text for
// the script of that page. It changes nothing, and tells nothing to who is not on that page.
// There is no text when another replica has let them go.
func (p *Pages) stationProgress(rw http.ResponseWriter, req *http.Request) {
	device, ok := p.at(rw, req)
	if !ok {
		return
	}
	v, err := p.Visits.read(req.Context(), device)
	d := p.results.last(device)
	if err != nil || d == nil || v.Owner == "" || v.Owner != d.who.Owner || !time.Now().Before(v.Until) ||
		v.Ticket != hashOf(req.URL.Query().Get("visit")) || v.Used != hashOf(d.ticket) || d.page.Outcome == nil {
		rw.WriteHeader(http.StatusNoContent)
		return
	}
	ctx, cancel := context.WithTimeout(req.Context(), view.Within)
	defer cancel()
	in := p.Site.Words(p.Site.Person(ctx, v.Owner).Language, view.Wished(rw))
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = rw.Write([]byte(progress(in, p.arrived(ctx, d.page.Outcome.Released))))
}

// last is what the newest form at a device has done; nil while it is done.
func (d *formResults) last(device string) *formResult {
	d.mu.Lock()
	defer d.mu.Unlock()
	it := d.at[device]
	if it == nil {
		return nil
	}
	select {
	case <-it.done:
		return it
	default:
		return nil
	}
}

// arrival is how far jobs are that were sent to a printer.
type arrival struct{ Sent, There, Failed int }

// arrived reads how far jobs are at their printer; one that can't be read is on its way.
func (p *Pages) arrived(ctx context.Context, sent []release.Released) (a arrival) {
	a.Sent = len(sent)
	jobs := make([]graph.Ref, min(len(sent), view.MaxTitles))
	for i := range jobs {
		jobs[i] = graph.Ref{Printer: sent[i].Destination, Job: sent[i].DestinationJob}
	}
	for _, s := range p.Site.States(ctx, jobs) {
		switch s {
		case graph.JobProcessing, graph.JobCompleted:
			a.There++
		case graph.JobStopped, graph.JobAborted, graph.JobCanceled:
			a.Failed++
		default:
		}
	}
	return a
}

// progress says how far jobs are.
func progress(in view.Words, a arrival) string {
	switch {
	case a.Failed > 0:
		return in.Text("The printer has not printed %d jobs. Ask at the help desk.", a.Failed)
	case a.There == a.Sent:
		return in.Text("The printer has all %d jobs.", a.Sent)
	}
	return in.Text("The printer has %d of %d jobs.", a.There, a.Sent)
}
