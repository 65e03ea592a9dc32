package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/console/view"
	"pullprint/connector/recovery"
	"pullprint/trigger/graph"
)

// maxBulk is how many jobs one form acts on: some pages of them.
const maxBulk = 5 * jobRows

// bulkPage is what became of jobs that an operator acted on together.
type bulkPage struct {
	Lines []bulkLine
	Back  string
}

// bulkLine is one job: what was done, or why not.
type bulkLine struct {
	Ref                  graph.Ref
	Done, Wrong, English string
}

// bulk releases or cancels the jobs that were chosen in a list, for one reason. Each is an action of its
// own, with its own audit record.
func (p *Pages) bulk(rw http.ResponseWriter, req *http.Request) {
	c, ok := p.Callers.Operator(rw, req)
	if !ok {
		return
	}
	reason, device := strings.TrimSpace(req.PostFormValue("reason")), req.PostFormValue("device")
	api := p.API(c)
	var do func(ctx context.Context, ref graph.Ref) (string, error)
	switch req.PostFormValue("verb") {
	case "release":
		do = func(ctx context.Context, ref graph.Ref) (string, error) {
			return releaseFor(ctx, api, ref, device, reason)
		}
	case "cancel":
		do = func(ctx context.Context, ref graph.Ref) (string, error) {
			_, err := api.Cancel(ctx, ref, reason)
			return "canceled", err
		}
	}
	refs := chosen(req.PostForm["job"])
	data := bulkPage{Back: view.Home}
	if id, ok := graph.CanonicalGUID(req.PostFormValue("person")); ok {
		data.Back = personPath(id)
	}
	shown := p.page(rw, req, c, "What became of the jobs")
	status := http.StatusUnprocessableEntity
	switch {
	case reason == "":
		wrong(&shown, errNoReason)
	case do == nil, len(refs) == 0, len(refs) > maxBulk:
		shown.Wrong = shown.In.Text("Nothing was done. Choose from 1 to %d jobs, and what to do.", maxBulk)
	default:
		// It goes on when the browser is gone: part of it may be done.
		data.Lines, status = each(context.WithoutCancel(req.Context()), shown.In, refs, do), http.StatusOK
	}
	shown.Data = data
	p.Site.Show(rw, status, "bulk", shown)
}

// releaseFor releases a job at a device in the name of its owner.
func releaseFor(ctx context.Context, api *apiclient.Client, ref graph.Ref, device, reason string) (string, error) {
	out, err := api.Release(ctx, ref, device, nil, reason)
	if err != nil {
		return "", err
	}
	return "released", refusedOf(out)
}

// each acts on jobs, some at once, and tells what became of each.
func each(
	ctx context.Context, in view.Words, refs []graph.Ref, do func(context.Context, graph.Ref) (string, error),
) []bulkLine {
	lines := make([]bulkLine, len(refs))
	_ = recovery.Each(len(refs), view.ReadsAtOnce, func(i int) {
		lines[i].Ref = refs[i]
		err := recovery.Catch(func() error {
			done, err := do(ctx, refs[i])
			lines[i].Done = in.Text(done)
			return err
		})
		lines[i].Wrong, lines[i].English = why(in, err)
	})
	return lines
}

// chosen are the jobs whose pages were chosen, each once; what is none is left out.
func chosen(paths []string) (refs []graph.Ref) {
	for _, at := range paths {
		printer, job, ok := strings.Cut(strings.TrimPrefix(at, "/jobs/"), "/")
		if !ok {
			continue
		}
		p, err := url.PathUnescape(printer)
		j, err2 := url.PathUnescape(job)
		if ref := (graph.Ref{Printer: p, Job: j}); err == nil && err2 == nil && !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	return refs
}
