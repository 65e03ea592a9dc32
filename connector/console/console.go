package console

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"pullprint/connector/access"
	"pullprint/connector/admin"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/console/view"
	"pullprint/connector/decision"
	"pullprint/connector/index"
	"pullprint/connector/job"
	"pullprint/connector/printer"
)

// consoleRows is how many decisions the console lists: some screens full. A page
// reloads itself every consoleAgain seconds, twice a sweep.
const (
	consoleRows  = 100
	consoleAgain = 30
)

// failureRows is how many printers the console names whose jobs failed: those that somebody can see to
// on one day.
const failureRows = 10

// consolePage is what the console shows.
type consolePage struct {
	Queues    []queueLine
	Filter    struct{ Owner, Queue, State string }
	States    []job.State
	Jobs      jobsPage
	Decisions []decision.Decision
	Devices   []deviceLine
	Health    healthLines
	Failures  []index.Failures
	// Live is set when the page reloads itself: Still leads to the one that doesn't, Watch
	// back.
	Live         bool
	Still, Watch string
	// Names are those of the owners.
	Names view.Names
}

// deviceLine is a device with where it stands.
type deviceLine struct {
	apiclient.DeviceEntry
	Location string
}

type queueLine struct {
	Name, Mode string
	Held       int
}

func (p *Pages) console(rw http.ResponseWriter, req *http.Request) {
	c, ok := p.Callers.Reader(rw, req)
	if !ok {
		return
	}
	var data consolePage
	q := req.URL.Query()
	data.Filter.Owner, data.Filter.Queue, data.Filter.State = strings.TrimSpace(q.Get("owner")), q.Get("queue"),
		q.Get("state")
	if !q.Has("state") {
		data.Filter.State = string(job.Held)
	}
	data.States = admin.States
	jobs, err := p.filtered(req.Context(), c, q, apiclient.JobFilter{
		Owner: data.Filter.Owner, Queue: data.Filter.Queue, State: data.Filter.State,
	})
	if errors.Is(err, index.ErrReading) { // what is counted below would be of a part of the jobs
		p.Site.Fail(rw, p.in(rw, req, c), err)
		return
	}
	data.Jobs = jobs
	data.Queues = p.queueLines()
	data.Decisions = p.Recent.Newest()
	data.Decisions = data.Decisions[:min(len(data.Decisions), consoleRows)]
	data.Devices = p.deviceLines(req.Context())
	owners := make([]string, len(jobs.Jobs))
	for i := range jobs.Jobs {
		owners[i] = jobs.Jobs[i].Owner
	}
	data.Names = p.Site.NamesFor(req.Context(), c, owners)
	if p.Failures != nil {
		data.Failures = p.Failures(time.Now().Add(-24*time.Hour), failureRows)
	}
	// Reloading would lose what is being typed into the filter: a page that reloads itself
	// has no filter, and one with a filter does not reload itself.
	shown := p.page(rw, req, c, "Console")
	data.Health = p.health(req.Context(), shown.In, data.Devices)
	wrong(&shown, err)
	if data.Live = q.Has("live"); data.Live {
		shown.Refresh, shown.Then = consoleAgain, req.URL.RequestURI()
	}
	q.Del("live")
	data.Still = "/?" + q.Encode()
	q.Set("live", "1")
	data.Watch = "/?" + q.Encode()
	shown.Data = data
	p.Site.Show(rw, http.StatusOK, "console", shown)
}

func (p *Pages) queueLines() (list []queueLine) {
	count := p.Held()
	for _, queue := range p.Queues {
		list = append(list, queueLine{queue.Name, queue.Mode, count[queue.Name]})
	}
	return list
}

// filtered are the jobs that the console lists: none when the filter is wrong, with the reason.
func (p *Pages) filtered(ctx context.Context, c access.Caller, q url.Values, f apiclient.JobFilter) (list jobsPage, err error) {
	_, err = admin.Query(q, "owner", "queue", "state", "live", "cursor")
	if err == nil {
		list, err = p.jobsOf(ctx, c, f, q.Get("cursor"))
		next := maps.Clone(q)
		next.Set("cursor", list.Next)
		list.More = "/?" + next.Encode()
	}
	return list, err
}

// deviceLines are the devices that the console lists.
func (p *Pages) deviceLines(ctx context.Context) (list []deviceLine) {
	for _, e := range p.DeviceEntries(ctx) {
		line := deviceLine{DeviceEntry: e}
		if i := slices.IndexFunc(p.Devices, func(d printer.Device) bool { return d.ID == e.ID }); i >= 0 {
			line.Location = p.Devices[i].Location
		}
		list = append(list, line)
	}
	return list
}
