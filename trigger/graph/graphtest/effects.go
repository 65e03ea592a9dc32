package graphtest

import (
	"encoding/json"
	"time"
)

// fence: abort, redirect and a change of configuration succeed only while a task of a trigger of the calling
// app is processing. If not, ok is false and the reply says why. Which status a second attempt gets is unknown,
// so a knob decides.
func (s *Sim) fence(c *call, j *job) (reply, bool) {
	switch {
	case j == nil:
		return c.notFound(), false
	case j.task == nil || j.task.appID != c.App:
		return c.fail(403, "Forbidden", "There is no print task in processing state for the print job that was started by "+
			"a trigger of the calling application."), false
	case j.task.state != stateProcessing || j.state != statePaused:
		codes := s.knobs.Load().SecondEffect
		return c.failWith(codes[s.dice.pick(len(codes), "second effect", c.Path)]), false
	}
	return reply{}, true
}

func (s *Sim) abortJob(c *call) reply {
	var in struct {
		Reason string `json:"reason"`
	}
	if len(c.Body) > 0 && !c.decode(&in) {
		return c.badRequest("The body is malformed.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.findJob(c)
	if r, open := s.fence(c, j); !open {
		if j != nil {
			j.effects.AbortRefused++
		}
		return r
	}
	j.remember()
	j.effects.AbortApplied++
	j.state, j.reason, j.description, j.details = stateAborted, in.Reason, "The job was aborted.", []string{}
	s.taskFollows(j, stateAborted)
	return reply{status: 204}
}

// taskFollows ends the task of a job that has ended. Whether Graph does so is unknown.
func (s *Sim) taskFollows(j *job, state string) {
	if j.task == nil || j.task.state != stateProcessing {
		return
	}
	if s.dice.chance(s.knobs.Load().AbortEndsTask, "task follows", j.id.String()) {
		s.finishTask(j.task, state, "")
	}
}

func (s *Sim) finishTask(t *task, state, description string) {
	t.state, t.description, t.finished = state, description, time.Now()
}

func (s *Sim) redirectJob(c *call) reply {
	var in struct {
		Destination   string          `json:"destinationPrinterId"`
		Configuration json.RawMessage `json:"configuration"`
	}
	if !c.decode(&in) || in.Destination == "" {
		return c.badRequest("destinationPrinterId is required.")
	}
	s.mu.Lock()
	j := s.findJob(c)
	out, fresh, r := s.redirectLocked(c, j, in.Destination, in.Configuration)
	if out == nil {
		if j != nil {
			j.effects.RedirectRefused++
		}
		s.mu.Unlock()
		return r
	}
	s.mu.Unlock()
	if fresh != nil {
		s.announce(fresh)
	}
	out.Context = context0 + "microsoft.graph.printJob"
	return reply{status: 200, body: *out}
}

// redirectLocked moves a job. The task that starts on the destination, if any, is returned for announcing.
func (s *Sim) redirectLocked(c *call, j *job, destination string, raw json.RawMessage) (*jobJSON, *task, reply) {
	if r, open := s.fence(c, j); !open {
		return nil, nil, r
	}
	to := s.printers[destination]
	switch {
	case to == nil:
		return nil, nil, c.badRequest("The destination printer does not exist.")
	case to.ID == j.id.Printer:
		return nil, nil, c.badRequest("The destination printer is the printer of the job.")
	case to.NotAccepting:
		return nil, nil, c.badRequest("The destination printer is not accepting jobs.")
	}
	cfg, ok := j.config.merge(raw)
	if !ok {
		return nil, nil, c.badRequest("The configuration is not valid.")
	}
	k := s.knobs.Load()
	moved := &job{root: j.root, user: j.user, config: cfg, doc: j.doc, redirectedFrom: j.id}
	fresh := s.addJob(to, moved, !k.NoRedirectedTask)
	j.remember()
	j.redirectedTo = moved.id
	j.effects.RedirectApplied++
	j.state = k.RedirectedStates[s.dice.pick(len(k.RedirectedStates), "redirected state", j.id.String())]
	j.description, j.details = "The job was redirected.", []string{}
	s.finishTask(j.task, stateCompleted, "")
	out := s.jobJSON(moved, false, false)
	return &out, fresh, reply{}
}

func (s *Sim) updateJob(c *call) reply {
	var in struct {
		Configuration json.RawMessage `json:"configuration"`
	}
	if !c.decode(&in) || in.Configuration == nil {
		return c.badRequest("Only the configuration of a job can be updated.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.findJob(c)
	if r, open := s.fence(c, j); !open {
		if j != nil {
			j.effects.UpdateRefused++
		}
		return r
	}
	cfg, ok := j.config.merge(in.Configuration)
	if !ok {
		return c.badRequest("The configuration is not valid.")
	}
	j.remember()
	j.config = cfg
	j.effects.UpdateApplied++
	return reply{status: 200, body: s.jobJSON(j, false, false)}
}

// cancelJob is for people only, and for their own jobs unless they are administrators.
func (s *Sim) cancelJob(c *call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.findJob(c)
	switch {
	case j == nil:
		return c.notFound()
	case c.token.user.ID != j.user.ID && !c.token.user.Administrator:
		return c.fail(403, "Forbidden", "The job belongs to another user.")
	case j.ended():
		return c.failWith(409)
	}
	s.cancelLocked(j)
	return reply{status: 204}
}

func (s *Sim) cancelLocked(j *job) {
	j.remember()
	j.state, j.description, j.details = stateCanceled, "The job was canceled by its user.", []string{}
	s.taskFollows(j, stateAborted)
}

func (s *Sim) updateTask(c *call) reply {
	var in struct {
		Status *statusJSON `json:"status"`
	}
	if !c.decode(&in) || in.Status == nil {
		return c.badRequest("Only the status of a task can be updated.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, r := s.findTask(c)
	if t == nil {
		return r
	}
	switch in.Status.State {
	case stateProcessing, stateCompleted, stateAborted:
	default:
		return c.badRequest("The task state is not valid.")
	}
	if t.state != stateProcessing {
		t.job.effects.FinishRefused++
		codes := s.knobs.Load().SecondFinish
		if code := codes[s.dice.pick(len(codes), "second finish", c.Path)]; code != 200 {
			return c.failWith(code)
		}
		return reply{status: 200, body: s.taskJSON(t)} // answered, but nothing changes
	}
	if in.Status.State == stateProcessing {
		t.description = in.Status.Description
		return reply{status: 200, body: s.taskJSON(t)}
	}
	t.job.remember()
	t.job.effects.FinishApplied++
	s.finishTask(t, in.Status.State, in.Status.Description)
	s.settle(t)
	return reply{status: 200, body: s.taskJSON(t)}
}

// settle lets the job of a finished task print, or not.
func (s *Sim) settle(t *task) {
	j := t.job
	if j.state != statePaused {
		return
	}
	if t.state == stateCompleted {
		s.release(j)
		return
	}
	j.state, j.description, j.details = stateAborted, "The task of the job was aborted.", []string{}
}
