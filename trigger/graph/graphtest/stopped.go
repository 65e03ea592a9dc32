package graphtest

import (
	"fmt"
	"slices"
	"time"
)

// Jam stops a printer, as one does whose paper is jammed or has run out: details say why, as
// printerProcessingStateDetail values. The jobs that it was about to print are stopped until
// [Sim.Unjam], or are given up with [Sim.FailJob].
func (s *Sim) Jam(id string, details ...string) error {
	if err := s.SetPrinter(id, "stopped", true); err != nil {
		return err
	}
	if err := s.SetDetails(id, time.Time{}, details...); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.printers[id]
	for _, j := range p.jobs {
		if j != nil && (j.state == statePending || j.state == stateProcessing) {
			if !slices.Contains(p.waiting, j) {
				p.waiting = append(p.waiting, j)
			}
			j.state = "stopped"
		}
	}
	return nil
}

// Unjam has a printer go on with the jobs that it had stopped.
func (s *Sim) Unjam(id string) error {
	s.mu.Lock()
	p := s.printers[id]
	if p == nil {
		s.mu.Unlock()
		return fmt.Errorf("no printer %q", id)
	}
	p.details = nil
	for _, j := range p.waiting {
		if j.state == "stopped" {
			j.state = statePending
		}
	}
	s.mu.Unlock()
	return s.SetPrinter(id, "idle", true)
}
