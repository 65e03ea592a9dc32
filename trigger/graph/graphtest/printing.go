package graphtest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// JobSpec is a job that a person submits. Zero fields have the default named with them.
type JobSpec struct {
	Printer     string // id; required
	User        string // object id or user principal name; default the first user, one is made when there is none
	Name        string // of the document; default "document.pdf"
	Copies      int    // default 1
	Pages       int    // default 1
	Color       bool
	Duplex      bool
	MediaSize   string // default A4
	ContentType string // default application/oxps; or application/pdf
	Size        int64  // bytes; default about 30 kB a page, and never below what so many pages need
}

// Submit submits a job to a printer. If the printer has a trigger, the job is paused, a task starts, and the
// subscribers of the definition are notified; otherwise it prints. It fails only for an unknown printer or
// user.
func (s *Sim) Submit(spec JobSpec) (JobID, error) {
	s.mu.Lock()
	p := s.printers[spec.Printer]
	if p == nil {
		s.mu.Unlock()
		return JobID{}, fmt.Errorf("no printer %q", spec.Printer)
	}
	u, err := s.person(spec.User)
	if err != nil {
		s.mu.Unlock()
		return JobID{}, err
	}
	j := &job{user: *u, config: spec.configuration(), doc: spec.document()}
	fresh := s.addJob(p, j, true)
	s.mu.Unlock()
	if fresh != nil {
		s.announce(fresh)
	}
	return j.id, nil
}

func (s *Sim) person(name string) (*User, error) {
	if u := cmp.Or(s.users[name], s.upns[name]); u != nil {
		return u, nil
	}
	if name != "" {
		return nil, fmt.Errorf("no user %q", name)
	}
	const nobody = "somebody@contoso.example"
	if s.upns[nobody] == nil {
		u := &User{ID: s.dice.guid("user", nobody), UPN: nobody, DisplayName: "Somebody"}
		s.users[u.ID], s.upns[nobody] = u, u
	}
	return s.upns[nobody], nil
}

func (spec JobSpec) configuration() Configuration {
	c := Configuration{
		FeedOrientation: "longEdgeFirst", PageRanges: []PageRange{}, Quality: "medium", DPI: 600, Orientation: "portrait",
		Copies: max(spec.Copies, 1), DuplexMode: "oneSided", ColorMode: "blackAndWhite", InputBin: "auto", OutputBin: "auto",
		MediaSize: cmp.Or(spec.MediaSize, "A4"), MediaType: "stationery", Finishings: []string{}, PagesPerSheet: 1,
		MultipageLayout: "clockwiseFromBottomLeft", Scaling: "shrinkToFit",
	}
	if spec.Color {
		c.ColorMode = "color"
	}
	if spec.Duplex {
		c.DuplexMode = "flipOnLongEdge"
	}
	return c
}

func (spec JobSpec) document() document {
	d := document{
		name: cmp.Or(spec.Name, "document.pdf"), contentType: cmp.Or(spec.ContentType, typeOXPS),
		pages: max(spec.Pages, 1), size: spec.Size,
	}
	if d.size == 0 {
		d.size = 8192 + 30_000*int64(d.pages)
	}
	d.size = max(d.size, smallest(d.pages))
	return d
}

// addJob puts a job on a printer; task says whether a trigger there may start one, which is returned if it did.
func (s *Sim) addJob(p *printer, j *job, withTask bool) *task {
	s.putJob(p, j)
	return s.begin(p, j, withTask)
}

// putJob adds a job to its printer.
func (s *Sim) putJob(p *printer, j *job) {
	p.jobs = append(p.jobs, j)
	j.id = JobID{p.ID, strconv.Itoa(len(p.jobs))}
	if j.root == (JobID{}) {
		j.root = j.id
	}
	j.created = time.Now()
	j.doc.id = s.dice.guid("document", j.id.String())
}

// begin starts the task of a job, or its printing.
func (s *Sim) begin(p *printer, j *job, withTask bool) *task {
	if p.trigger == nil || !withTask {
		s.release(j)
		return nil
	}
	j.state, j.description, j.details = statePaused, "The job waits for a task.", []string{"releaseWait"}
	d := p.trigger.def
	t := &task{
		id: s.dice.guid("task", j.id.String()), state: stateProcessing, job: j, def: d, appID: p.trigger.appID,
		triggerID: p.trigger.id,
	}
	j.task = t
	d.tasks = append(d.tasks, t)
	s.tasks[t.id] = t
	if life := s.knobs.Load().TaskLife; life > 0 {
		s.chores.after(life, func() { s.giveUp(t) })
	}
	return t
}

// giveUp deletes a job whose task was not finished in time.
func (s *Sim) giveUp(t *task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.state == stateProcessing {
		s.finishTask(t, stateAborted, "")
		s.deleteJob(t.job)
	}
}

func (s *Sim) deleteJob(j *job) {
	p := s.printers[j.id.Printer]
	if p == nil {
		return // it went with its printer
	}
	if n, err := strconv.Atoi(j.id.Job); err == nil {
		p.jobs[n-1] = nil
	}
	p.waiting = slices.DeleteFunc(p.waiting, func(o *job) bool { return o == j })
}

// Forget deletes the jobs that came to their end, with their tasks and what was printed, if they were
// submitted before a time: for tests that submit more of them than memory has room for.
func (s *Sim) Forget(before time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := func(j *job) bool { return j != nil && j.ended() && j.created.Before(before) }
	for _, p := range s.printOrder {
		for _, j := range p.jobs {
			if old(j) {
				s.deleteJob(j)
			}
		}
	}
	for _, d := range s.defOrder {
		d.tasks = slices.DeleteFunc(d.tasks, func(t *task) bool { return old(t.job) })
	}
	maps.DeleteFunc(s.tasks, func(_ string, t *task) bool { return old(t.job) })
	s.paper = slices.DeleteFunc(s.paper, func(sheet Sheet) bool { return sheet.At.Before(before) })
}

// release lets a job print as soon as its printer can.
func (s *Sim) release(j *job) {
	j.state, j.description, j.details = statePending, "", []string{}
	p := s.printers[j.id.Printer]
	if p.State == "stopped" {
		p.waiting = append(p.waiting, j)
		return
	}
	s.startPrinting(p, j)
}

func (s *Sim) startPrinting(_ *printer, j *job) {
	if j.state != statePending {
		return
	}
	d := s.knobs.Load().PrintTime
	if d <= 0 {
		s.printed(j)
		return
	}
	s.chores.after(d/2, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if j.state != statePending {
			return
		}
		j.state, j.acquired = stateProcessing, true
		s.chores.after(d-d/2, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if j.state == stateProcessing {
				s.printed(j)
			}
		})
	})
}

func (s *Sim) printed(j *job) {
	j.state, j.acquired, j.details = stateCompleted, true, []string{"completedSuccessfully"}
	s.paper = append(s.paper, Sheet{
		Job: j.id, Lineage: j.root, User: j.user.ID, Pages: j.doc.pages, Copies: j.config.Copies,
		Color: j.config.ColorMode == "color", Duplex: j.config.DuplexMode != "oneSided", At: time.Now(),
	})
}
