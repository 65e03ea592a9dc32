package console

import (
	"context"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"pullprint/connector/access"
	"pullprint/connector/admin"
	"pullprint/connector/decision"
	"pullprint/connector/index"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/trigger/graph"
)

// consoleRows is how many jobs and decisions the console lists: some screens full. A page
// reloads itself every consoleAgain seconds, twice a sweep. A sign-in lasts for a working
// day (consoleLife).
const (
	consoleRows  = 100
	consoleAgain = 30
	consoleLife  = 8 * time.Hour
)

// failureRows is how many printers the console names whose jobs failed: those that somebody can see to
// on one day.
const failureRows = 10

// consolePage is what the console shows.
type consolePage struct {
	Queues    []queueLine
	Filter    struct{ Owner, Queue, State string }
	States    []job.State
	Jobs      admin.JobList
	Decisions []decision.Decision
	Devices   []deviceLine
	Health    []healthLine
	Failures  []index.Failures
	// Live is set when the page reloads itself: Still leads to the one that doesn't, Watch
	// back.
	Live         bool
	Still, Watch string
	// Names are those of the owners.
	Names names
}

// deviceLine is a device with where it stands.
type deviceLine struct {
	admin.DeviceEntry
	Location string
}

type queueLine struct {
	Name, Mode string
	Held       int
}

type healthLine struct {
	Name, Text string
	OK         bool
}

// consoleHome is where the console begins.
const consoleHome = "/"

// functions are those of the templates that need no configuration.
var functions = template.FuncMap{
	"ago":     func(now, t time.Time) string { return span(now.Sub(t)) + " ago" },
	"left":    func(now, t time.Time) string { return span(t.Sub(now)) },
	"stamp":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"path":    func(r graph.Ref) string { return "/jobs/" + url.PathEscape(r.Printer) + "/" + url.PathEscape(r.Job) },
	"quote":   lineOf,
	"part":    part,
	"another": another,
	"ispast":  func(now, t time.Time) bool { return !t.After(now) },
}

// span is a duration in words.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "no time"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

func mustSub(files fs.FS) fs.FS {
	sub, err := fs.Sub(files, "pages")
	if err != nil {
		panic(err) // the name is a valid one
	}
	return assets{sub}
}

// assets are the files of a folder that are no pages.
type assets struct{ fs.FS }

// Open implements fs.FS.
func (a assets) Open(name string) (fs.File, error) {
	if ext := path.Ext(name); ext != ".css" && ext != ".js" {
		return nil, fs.ErrNotExist
	}
	return a.FS.Open(name)
}

// reader is who is signed in at the console; otherwise the form is shown.
func (p *Pages) reader(rw http.ResponseWriter, req *http.Request) (access.Caller, bool) {
	c, ok, err := p.Sessions.Who(req, func(c access.Caller) bool { return c.May(access.RoleRead) })
	if err != nil {
		p.fail(rw, err)
		return c, false
	}
	if !ok {
		p.askSignIn(rw, req)
	}
	return c, ok
}

func (p *Pages) login(rw http.ResponseWriter, req *http.Request) {
	c, ok := p.Tokens.Who(access.FormToken(req))
	if !ok || !c.May(access.RoleRead) {
		p.showSignIn(rw, req, "This token isn't valid here; use one from admin.token_file or admin.tokens[].file.")
		return
	}
	if err := p.tokenSignedIn(req.Context(), c); err != nil {
		p.fail(rw, err)
		return
	}
	if err := p.Sessions.SignIn(rw, req, c, "/", consoleLife); err != nil {
		p.fail(rw, err)
		return
	}
	http.Redirect(rw, req, "/", http.StatusSeeOther)
}

func (p *Pages) logout(rw http.ResponseWriter, req *http.Request) {
	if err := p.Sessions.SignOut(req); err != nil {
		p.fail(rw, err)
		return
	}
	http.Redirect(rw, req, "/", http.StatusSeeOther)
}

func (p *Pages) console(rw http.ResponseWriter, req *http.Request) {
	c, ok := p.reader(rw, req)
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
	jobs, wrong := p.filtered(req.Context(), q, admin.JobFilter{
		Owner: data.Filter.Owner, Queue: data.Filter.Queue, State: data.Filter.State,
	})
	data.Jobs = jobs
	count := p.Held()
	for _, queue := range p.Queues {
		data.Queues = append(data.Queues, queueLine{queue.Name, queue.Mode, count[queue.Name]})
	}
	data.Decisions = p.Recent.Newest()
	data.Decisions = data.Decisions[:min(len(data.Decisions), consoleRows)]
	data.Devices = p.deviceLines()
	owners := make([]string, len(jobs.Jobs))
	for i := range jobs.Jobs {
		owners[i] = jobs.Jobs[i].Owner
	}
	data.Names = p.namesFor(req.Context(), c, owners)
	data.Health = p.healthLines(req.Context())
	if p.Failures != nil {
		data.Failures = p.Failures(time.Now().Add(-24*time.Hour), failureRows)
	}
	// Reloading would lose what is being typed into the filter: a page that reloads itself
	// has no filter, and one with a filter does not reload itself.
	shown := p.pageFor(req.Context(), c, "Console")
	shown.Wrong = wrong
	if data.Live = q.Has("live"); data.Live {
		shown.Refresh, shown.Then = consoleAgain, req.URL.RequestURI()
	}
	q.Del("live")
	data.Still = "/?" + q.Encode()
	q.Set("live", "1")
	data.Watch = "/?" + q.Encode()
	shown.Data = data
	p.show(rw, http.StatusOK, "console", shown)
}

// filtered are the jobs that the console lists: none when the filter is wrong, with the reason.
func (p *Pages) filtered(ctx context.Context, q url.Values, f admin.JobFilter) (list admin.JobList, wrong string) {
	_, err := admin.Query(q, "owner", "queue", "state", "live")
	if err == nil {
		list, err = p.Jobs.List(ctx, "Owner", f, consoleRows)
	}
	if err != nil {
		pr, _ := admin.ProblemOf(err)
		wrong = pr.Title + ": " + pr.Detail
	}
	return list, wrong
}

// deviceLines are the devices that the console lists.
func (p *Pages) deviceLines() (list []deviceLine) {
	for _, e := range p.DeviceEntries() {
		line := deviceLine{DeviceEntry: e}
		if i := slices.IndexFunc(p.Devices, func(d printer.Device) bool { return d.ID == e.ID }); i >= 0 {
			line.Location = p.Devices[i].Location
		}
		list = append(list, line)
	}
	return list
}

// healthLines are the checks of readiness, a line each.
func (p *Pages) healthLines(ctx context.Context) (list []healthLine) {
	for _, r := range p.Health.Results(ctx) {
		list = append(list, healthLine{r.Name, r.Text(), r.OK()})
	}
	return append(list, p.sweep(time.Now()))
}

// lateSweep is the age of the last sweep from which it counts as late: there is one every
// minute, and one may fail.
const lateSweep = 3 * time.Minute

func (p *Pages) sweep(now time.Time) healthLine {
	at := p.Swept()
	if at.IsZero() {
		return healthLine{"sweep", "not by this instance yet", true}
	}
	return healthLine{"sweep", span(now.Sub(at)) + " ago", now.Sub(at) < lateSweep}
}

// operator is who is signed in and may do more than look.
func (p *Pages) operator(rw http.ResponseWriter, req *http.Request) (access.Caller, bool) {
	c, ok := p.reader(rw, req)
	if ok && !c.May(access.RoleOperate) {
		shown := p.pageFor(req.Context(), c, "Your token may only read") // with the button to sign out
		shown.Home, shown.Data = consoleHome, "Sign out, and sign in with one of the role operate or admin."
		if c.Person != "" {
			shown.Title, shown.Data = "You may only read", "Ask your administrator for the role operate or admin."
		}
		p.show(rw, http.StatusForbidden, "message", shown)
		return c, false
	}
	return c, ok
}
