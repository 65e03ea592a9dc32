package admin

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/index"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/connector/terminal"
	"pullprint/policy"
	"pullprint/trigger/graph"
)

// defaultPage is how many entries a page of a list has when the request says nothing.
const defaultPage = 100

func (a *API) listJobs(r *request) (any, error) {
	q, err := Query(r.URL.Query(), "owner", "queue", "job", "state", "limit", "cursor")
	if err != nil {
		return nil, err
	}
	limit, err := pageSize(q.Get("limit"))
	if err != nil {
		return nil, err
	}
	after, err := readCursor(q.Get("cursor"))
	if err != nil {
		return nil, err
	}
	fits, err := a.filter(r.Context(), "owner",
		apiclient.JobFilter{Owner: q.Get("owner"), Queue: q.Get("queue"), Job: q.Get("job"), State: q.Get("state")})
	if err != nil {
		return nil, err
	}
	return a.page(fits, limit, after), nil
}

// List is the first page of a list of jobs, newest first. An error calls the owner by its
// field.
func (a *API) List(ctx context.Context, field string, f apiclient.JobFilter, limit int) (apiclient.JobList, error) {
	return a.ListPage(ctx, field, f, "", limit)
}

// ListPage is a page of a list of jobs, behind the cursor of an earlier one.
func (a *API) ListPage(ctx context.Context, field string, f apiclient.JobFilter, cursor string, limit int) (apiclient.JobList, error) {
	after, err := readCursor(cursor)
	if err != nil {
		return apiclient.JobList{}, err
	}
	fits, err := a.filter(ctx, field, f)
	if err != nil {
		return apiclient.JobList{}, err
	}
	return a.page(fits, limit, after), nil
}

// filter returns which jobs a list shows, once all jobs are known. An owner, queue or state that
// does not exist is an error, which calls the owner by its field.
func (a *API) filter(ctx context.Context, field string, f apiclient.JobFilter) (fits func(*index.Entry) bool, err error) {
	if f.State != "" && !slices.Contains(States, job.State(f.State)) {
		return nil, badRequest("state must be one of %s", join(States))
	}
	if err := a.Index.Wait(ctx); err != nil {
		return nil, err
	}
	if f.Owner, err = a.owner(ctx, field, f.Owner); err != nil {
		return nil, err
	}
	if f.Queue, err = a.queueNamed(f.Queue); err != nil {
		return nil, err
	}
	of := func(e *index.Entry) bool { // by the name that the queue has now, or had then
		return e.Queue == f.Queue || a.Evaluator.QueueOf(&job.Record{Ref: e.Ref, Queue: e.Queue}) == f.Queue
	}
	return func(e *index.Entry) bool {
		return (f.Owner == "" || strings.EqualFold(e.Owner, f.Owner)) && (f.Queue == "" || of(e)) &&
			(f.Job == "" || e.Job == f.Job) && (f.State == "" || e.State == job.State(f.State))
	}, nil
}

// States are those in which jobs are listed.
var States = []job.State{
	job.Held, job.Releasing, job.Released, job.Aborting, job.Aborted, job.Completing, job.Completed, job.Gone,
}

func join[S ~string](words []S) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(w))
	}
	return b.String()
}

// page is a page of the jobs that fit, newest first, after a position in that order.
func (a *API) page(fits func(*index.Entry) bool, limit int, after index.Position) apiclient.JobList {
	list, more := a.Index.Page(fits, after, limit)
	out := apiclient.JobList{Jobs: make([]apiclient.JobEntry, 0, len(list))}
	for i := range list {
		e := &list[i]
		out.Jobs = append(out.Jobs, apiclient.JobEntry{
			Ref: e.Ref, Owner: e.Owner, Queue: e.Queue, State: e.State, Created: e.Created, Seen: e.Seen,
			HoldUntil: e.HoldUntil, Reason: e.Reason,
		})
	}
	if more && len(list) > 0 {
		out.Next = cursorOf(index.PositionOf(&list[len(list)-1]))
	}
	return out
}

func cursorOf(m index.Position) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", m.Seen, m.Key))
}

func readCursor(text string) (index.Position, error) {
	if text == "" {
		return index.Position{}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	at, key, ok := strings.Cut(string(raw), " ")
	seen, err2 := strconv.ParseInt(at, 10, 64)
	if err != nil || err2 != nil || !ok {
		return index.Position{}, badCursor()
	}
	return index.Position{Seen: seen, Key: key}, nil
}

func badCursor() *apiclient.Problem {
	return badRequest("cursor is not valid: send next of an earlier page as it is, or leave cursor out for the first page")
}

func pageSize(text string) (int, error) {
	if text == "" {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > apiclient.MaxPage {
		return 0, badRequest("limit must be a number from 1 to %d", apiclient.MaxPage)
	}
	return n, nil
}

// Query refuses unknown parameters, because a misspelt filter would list everything.
func Query(q url.Values, known ...string) (url.Values, error) {
	for name, values := range q {
		if !slices.Contains(known, name) {
			return nil, badRequest(apiclient.UnknownParameter+"%s", join(known))
		}
		if len(values) > 1 {
			return nil, badRequest("%s is given twice", name)
		}
	}
	return q, nil
}

// find is the record of the job in the path.
func (a *API) find(r *request) (job.Record, error) {
	return a.Record(r.Context(), graph.Ref{Printer: r.PathValue("printer"), Job: r.PathValue("job")})
}

// Record is the record of a job, once all jobs are known.
func (a *API) Record(ctx context.Context, ref graph.Ref) (job.Record, error) {
	if err := a.Index.Wait(ctx); err != nil {
		return job.Record{}, err
	}
	e, ok := a.Index.Lookup(ref)
	if !ok {
		return job.Record{}, a.noJob()
	}
	rec, rev, err := a.Jobs.Get(ctx, e.Key)
	if err == nil && rev == 0 {
		err = a.noJob()
	}
	return rec, err
}

// noJob is an ErrNoJob that says how long finished jobs are kept.
func (a *API) noJob() error {
	days := int(a.Jobs.Retention() / (24 * time.Hour))
	return fmt.Errorf("%w; finished jobs are kept for %s", release.ErrNoJob, terminal.Counted(days, "day"))
}

func (a *API) showJob(r *request) (any, error) {
	return a.Job(r.Context(), graph.Ref{Printer: r.PathValue("printer"), Job: r.PathValue("job")})
}

// Job is a job with its trace.
func (a *API) Job(ctx context.Context, ref graph.Ref) (apiclient.JobDetail, error) {
	rec, err := a.Record(ctx, ref)
	if err != nil {
		return apiclient.JobDetail{}, err
	}
	trace, complete, err := a.trace(ctx, &rec)
	return apiclient.JobDetail{Job: rec, Trace: trace, Complete: complete}, err
}

func (a *API) releaseJob(r *request) (any, error) {
	var in apiclient.ReleaseBody
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	if in.Device == "" {
		return nil, badRequest("device is needed")
	}
	if err := checkLine("note", in.Note); err != nil {
		return nil, err
	}
	rec, err := a.find(r)
	if err != nil {
		return nil, err
	}
	if rec.State.Final() || rec.State == job.Aborting {
		return nil, release.NotHeld(&rec)
	}
	i := slices.IndexFunc(a.Devices, func(d printer.Device) bool { return d.ID == in.Device })
	if i < 0 {
		return nil, a.noDevice(in.Device)
	}
	if !slices.Contains(a.Devices[i].Queues, a.Evaluator.QueueOf(&rec)) {
		return nil, failure(http.StatusConflict, "device-not-allowed", "The job can't be released there",
			"The device does not serve the queue of the job.")
	}
	order := release.Order{
		Device: in.Device, Owner: rec.Owner, Jobs: []graph.Ref{rec.Ref}, Actor: r.caller.Name,
		Asked: Asked(r.caller), At: time.Now(),
	}
	if in.Set != nil {
		order.Set = policy.Settings(*in.Set)
	}
	if !order.Set.Variant(policy.Job{Copies: max(1, rec.Decision.Input.Copies)}) {
		return nil, badRequest("set may say blackAndWhite or grayscale, two sides, fewer copies or more pages on a side, " +
			"and nothing else")
	}
	if err := r.audit(r.Context(), apiclient.Action{Ref: rec.Ref, Device: in.Device, Owner: rec.Owner, Note: in.Note}); err != nil {
		return nil, err
	}
	return a.Releaser.Release(context.WithoutCancel(r.Context()), order)
}

func (a *API) cancelJob(r *request) (any, error) {
	var in apiclient.CancelBody
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	rec, err := a.find(r)
	if err != nil {
		return nil, err
	}
	c := release.Cancellation{Key: rec.Key(), Actor: r.caller.Name, Asked: Asked(r.caller), Note: in.Reason}
	if err := c.Check(); err != nil {
		return nil, err
	}
	if err := r.audit(r.Context(), apiclient.Action{Ref: rec.Ref, Owner: rec.Owner, Note: in.Reason}); err != nil {
		return nil, err
	}
	return a.Cancel(r.Context(), c)
}

// Cancel aborts a held job and returns the reason that its owner gets. It goes on when ctx
// ends.
func (a *API) Cancel(ctx context.Context, c release.Cancellation) (release.Refused, error) {
	rec, err := a.Releaser.Cancel(context.WithoutCancel(ctx), c)
	pending := errors.Is(err, release.ErrCanceling)
	if err != nil && !pending {
		return release.Refused{}, err
	}
	if !pending && rec.State != job.Aborted {
		return release.Refused{}, release.NotHeld(&rec)
	}
	d := &rec.Decision
	return release.Refused{
		Ref: rec.Ref, Queue: rec.Queue, Reason: release.Reason{Code: d.Reason, Text: d.Text, Remedy: d.Remedy, IPP: d.IPP},
		Pending: pending,
	}, nil
}
