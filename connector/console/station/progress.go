package station

import (
	"context"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"pullprint/connector/console/view"
	"pullprint/connector/recovery"
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
	v, _, err := p.Visits.read(req.Context(), device)
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

// arrived reads the jobs at their printer, as many as a page releases at once; one that can't
// be read is on its way.
func (p *Pages) arrived(ctx context.Context, sent []release.Released) (a arrival) {
	a.Sent = len(sent)
	states := make([]graph.JobState, len(sent))
	var reads errgroup.Group
	reads.SetLimit(view.ReadsAtOnce)
	for i, r := range sent[:min(len(sent), view.MaxTitles)] {
		if r.DestinationJob == "" || p.Graph == nil {
			continue
		}
		reads.Go(func() error {
			return recovery.Catch(func() error {
				j, err := p.Graph.Job(ctx, graph.Ref{Printer: r.Destination, Job: r.DestinationJob})
				if err == nil {
					states[i] = j.State
				}
				return nil
			})
		})
	}
	_ = reads.Wait()
	for _, s := range states {
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
