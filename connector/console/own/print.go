package own

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"pullprint/connector/console/view"
	"pullprint/connector/decision"
	"pullprint/connector/display"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/connector/tap"
	"pullprint/trigger/graph"
)

// printPath is where jobs are printed from afar.
const printPath = "/me/print"

// printPage asks where jobs are to be printed.
type printPage struct {
	Jobs []myJob
	// More is how many jobs wait that are not among them.
	More   int
	Places []place
}

// place is a device with how many of the jobs it prints.
type place struct {
	release.Place
	Prints int
}

// printedPage is what became of jobs that were to be printed.
type printedPage struct {
	Place    string
	Released []told
	Kept     []told // also those that policy ended
}

// told is a job with why it was not printed, if it was not.
type told struct {
	Title  string
	Reason release.Reason
}

// PrintPath is the page that asks where the job is to be printed.
func (j myJob) PrintPath() string { return printPath + "?" + url.Values{"job": {j.Form()}}.Encode() }

// Form is the job as a form names it.
func (j myJob) Form() string { return j.Printer + "/" + j.Job }

// refsOf are the jobs that a form or an address names, in the order of the page.
func refsOf(values []string) (refs []graph.Ref) {
	for _, v := range values[:min(len(values), maxOwn)] {
		printer, job, _ := strings.Cut(v, "/")
		refs = append(refs, graph.Ref{Printer: printer, Job: job})
	}
	return refs
}

// showPrint shows the devices at which jobs of the person can be printed: those that the address names, else
// all that wait.
func (p *Pages) showPrint(rw http.ResponseWriter, req *http.Request) {
	who, ok := p.enter(rw, req)
	if !ok {
		return
	}
	data, err := p.toPrint(req.Context(), who.Person, refsOf(req.URL.Query()["job"]))
	if err == nil && len(data.Jobs) == 0 {
		err = release.ErrNoJob
	}
	if err != nil {
		p.failMe(rw, who, err)
		return
	}
	p.Site.Show(rw, http.StatusOK, "meprint", p.page(req.Context(), who, who.in.Text("Where do you want to print?"), data))
}

// toPrint finds the person's waiting jobs among refs, or all without any, and where they can be printed.
func (p *Pages) toPrint(ctx context.Context, person string, refs []graph.Ref) (data printPage, err error) {
	quotes, _, err := p.Releaser.Quotes(ctx, person, "")
	if err != nil {
		return data, err
	}
	queues := map[string]int{}
	for i := range quotes {
		q := &quotes[i]
		if q.Owner != person || len(refs) > 0 && !slices.Contains(refs, q.Ref) {
			continue
		}
		if len(data.Jobs) == maxOwn {
			data.More++
			continue
		}
		data.Jobs = append(data.Jobs, myJob{Quote: *q})
		queues[q.Queue]++
	}
	p.title(ctx, data.Jobs)
	ctx, cancel := context.WithTimeout(ctx, view.Within)
	defer cancel()
	names := make([]string, 0, len(queues))
	for name := range queues {
		names = append(names, name)
	}
	for _, at := range p.Releaser.Places(ctx, names) {
		prints := 0
		for _, name := range at.Queues {
			prints += queues[name]
		}
		data.Places = append(data.Places, place{at, prints})
	}
	return data, nil
}

// print releases the jobs that the form names at the device that was chosen.
func (p *Pages) print(rw http.ResponseWriter, req *http.Request) {
	who, ok := p.enter(rw, req)
	if !ok {
		return
	}
	asked := tap.Asked{
		Device: req.PostFormValue("device"), Person: who.Person, How: decision.AskedByRemote, Jobs: refsOf(req.PostForm["job"]),
	}
	out, err := p.SignedIn.Release(context.WithoutCancel(req.Context()), asked)
	if err == nil && out.Empty() {
		err = release.ErrNoJob // a form that was sent twice
	}
	if err != nil {
		p.failMe(rw, who, err)
		return
	}
	data := p.printed(req.Context(), asked.Device, out)
	title := who.in.Text("Your jobs are on their way")
	if len(data.Released) == 0 {
		title = who.in.Text("Nothing was printed")
	}
	p.Site.Show(rw, http.StatusOK, "meprinted", p.page(req.Context(), who, title, data))
}

// printed is what became of jobs, by their titles.
func (p *Pages) printed(ctx context.Context, device string, out release.Outcome) (data printedPage) {
	refused := slices.Concat(out.Kept, out.Aborted)
	var jobs []view.Owned
	for i := range out.Released {
		jobs = append(jobs, view.Owned{Ref: out.Released[i].Ref, Owner: out.Owner})
	}
	for i := range refused {
		jobs = append(jobs, view.Owned{Ref: refused[i].Ref, Owner: out.Owner})
	}
	titles := p.Site.Titles(ctx, display.Full, jobs)
	name := func(ref graph.Ref, queue string) string {
		if title := titles[ref]; title != "" {
			return title
		}
		return queue
	}
	data.Place = p.place(device)
	for _, r := range out.Released {
		data.Released = append(data.Released, told{Title: name(r.Ref, r.Queue)})
	}
	for _, r := range refused {
		data.Kept = append(data.Kept, told{name(r.Ref, r.Queue), r.Reason})
	}
	return data
}

// place is what people call a device.
func (p *Pages) place(device string) string {
	if d, ok := printer.DeviceByID(p.Devices, device); ok {
		return d.Place()
	}
	return ""
}
