package graphtest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// JobSnapshot is the state of a job without the faults of answers.
type JobSnapshot struct {
	ID                           JobID
	Lineage                      JobID // the job its user sent; itself unless it was redirected here
	User                         User
	Created                      time.Time
	State                        string
	Reason                       string // given with the abort
	RedirectedTo, RedirectedFrom JobID
	Configuration                Configuration
	ContentType                  string
	Pages                        int
	Size                         int64
	Task                         TaskSnapshot // zero when it has none
	Effects                      Effects
}

// TaskSnapshot is a print task.
type TaskSnapshot struct {
	ID, Definition, State, Description string
	Job                                JobID
}

func (j *job) snapshot() JobSnapshot {
	out := JobSnapshot{
		ID: j.id, Lineage: j.root, User: j.user, Created: j.created, State: j.state, Reason: j.reason,
		RedirectedTo: j.redirectedTo, RedirectedFrom: j.redirectedFrom, Configuration: j.config,
		ContentType: j.doc.contentType, Pages: j.doc.pages, Size: j.doc.size, Effects: j.effects,
	}
	if j.task != nil {
		out.Task = j.task.snapshot()
	}
	return out
}

func (t *task) snapshot() TaskSnapshot {
	return TaskSnapshot{ID: t.id, Definition: t.def.id, State: t.state, Description: t.description, Job: t.job.id}
}

func (s *Sim) jobLocked(id JobID) *job {
	if p := s.printers[id.Printer]; p != nil {
		return p.job(id.Job)
	}
	return nil
}

// Job returns the state of one job; false if it does not exist, or no longer.
func (s *Sim) Job(id JobID) (JobSnapshot, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.jobLocked(id); j != nil {
		return j.snapshot(), true
	}
	return JobSnapshot{}, false
}

// Jobs returns all jobs of a printer, oldest first; of every printer if it is "".
func (s *Sim) Jobs(printerID string) []JobSnapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []JobSnapshot
	for _, p := range s.printOrder {
		if printerID != "" && p.ID != printerID {
			continue
		}
		for _, j := range p.jobs {
			if j != nil {
				out = append(out, j.snapshot())
			}
		}
	}
	return out
}

// Tasks returns all tasks of a definition, oldest first, finished ones too; of every definition if it is "".
func (s *Sim) Tasks(definitionID string) []TaskSnapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []TaskSnapshot
	for _, d := range s.defOrder {
		if definitionID != "" && d.id != definitionID {
			continue
		}
		for _, t := range d.tasks {
			out = append(out, t.snapshot())
		}
	}
	return out
}

// Printers returns all printers in the order in which they were added.
func (s *Sim) Printers() []Printer {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Printer, len(s.printOrder))
	for i, p := range s.printOrder {
		out[i] = p.Printer
	}
	return out
}

// Users returns all people of the directory, sorted by user principal name.
func (s *Sim) Users() []User {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]User, 0, len(s.users))
	for _, u := range s.users {
		out = append(out, *u)
	}
	slices.SortFunc(out, func(a, b User) int { return strings.Compare(a.UPN, b.UPN) })
	return out
}

// Paper returns all that was printed, in order.
func (s *Sim) Paper() []Sheet {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.paper)
}

// Prints returns how often a job was printed, wherever it was redirected: more than once is a bug.
func (s *Sim) Prints(lineage JobID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, p := range s.paper {
		if p.Lineage == lineage {
			n++
		}
	}
	return n
}

// Audit returns what went wrong in a run: jobs that were printed or changed twice, printed although aborted, or
// aborted without a reason; and the violations.
func (s *Sim) Audit() []string {
	out := s.Violations()
	prints := make(map[JobID]int)
	for _, p := range s.Paper() {
		prints[p.Lineage]++
	}
	for _, j := range s.Jobs("") {
		if j.Lineage == j.ID && prints[j.ID] > 1 {
			out = append(out, fmt.Sprintf("job %s printed %d times", j.ID, prints[j.ID]))
		}
		if n := j.Effects.Applied(); n > 1 {
			out = append(out, fmt.Sprintf("job %s was changed %d times", j.ID, n))
		}
		if j.Effects.AbortApplied > 0 && j.Reason == "" {
			out = append(out, fmt.Sprintf("job %s was aborted without a reason", j.ID))
		}
		if j.Effects.AbortApplied > 0 && prints[j.ID] > 0 {
			out = append(out, fmt.Sprintf("job %s was aborted and printed", j.ID))
		}
	}
	return out
}

// CancelJob cancels a job, as its user would on the computer.
func (s *Sim) CancelJob(id JobID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.jobLocked(id)
	switch {
	case j == nil:
		return fmt.Errorf("no job %s", id)
	case j.ended():
		return fmt.Errorf("job %s is %s", id, j.state)
	}
	s.cancelLocked(j)
	return nil
}

// FailJob makes the printer abort a job, as it does with a document that it can't print.
func (s *Sim) FailJob(id JobID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.jobLocked(id)
	switch {
	case j == nil:
		return fmt.Errorf("no job %s", id)
	case j.ended():
		return fmt.Errorf("job %s is %s", id, j.state)
	}
	s.cancelLocked(j)
	j.state, j.description = stateAborted, "The printer could not print the job."
	return nil
}

// DeleteJob deletes a job: reading it is answered with 404. Its task does not change.
func (s *Sim) DeleteJob(id JobID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.jobLocked(id)
	if j == nil {
		return fmt.Errorf("no job %s", id)
	}
	s.deleteJob(j)
	return nil
}
