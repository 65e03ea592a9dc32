// Package printer is the configured printers: queues, whose jobs are ours to decide, and devices, at
// which they are released.
package printer

import (
	"slices"
	"time"

	"pullprint/connector/job"
	"pullprint/trigger/graph"
)

// DefaultHoldFor is how long a pull queue holds a job when its configuration
// says nothing.
const DefaultHoldFor = 24 * time.Hour

// Queue is one entry of queues in the configuration: a Universal Print printer
// that carries our task trigger.
type Queue struct {
	// PrinterID is the printer's id at Graph. It may be missing only while the printer
	// that Create asks for is not made yet.
	PrinterID string `yaml:"printer_id"`
	// Name is its name for people, in policies and in metrics.
	Name string `yaml:"name"`
	// Mode is pull (hold until a tap) or direct (decide at once).
	Mode string `yaml:"mode"`
	// HoldFor is for how long a job is held.
	HoldFor time.Duration `yaml:"hold_for"`
	// ExpiryWarning is how long before the end of the hold its owner is warned;
	// 0 is a quarter of it, an hour at most.
	ExpiryWarning time.Duration `yaml:"expiry_warning"`
	// Create has registration make a virtual printer of that name, and keep its
	// attributes to what the devices can do.
	Create bool `yaml:"create"`
	// ShareWith are who may print to one that is made: object ids of groups, or everyone.
	ShareWith []string `yaml:"share_with"`
}

// Canonical are queues with their ids as Graph's are kept.
func Canonical(list []Queue) []Queue {
	list = slices.Clone(list)
	for i := range list {
		list[i].PrinterID = graph.Canonical(list[i].PrinterID)
	}
	return list
}

// The modes of a queue.
const (
	ModePull   = "pull"
	ModeDirect = "direct"
)

// Warning is how long before the end of a hold its owner is told.
func (q Queue) Warning() time.Duration {
	if q.ExpiryWarning > 0 {
		return q.ExpiryWarning
	}
	return min(q.HoldFor/4, time.Hour)
}

// Queues finds the configured queues.
type Queues map[string]Queue // by printer id

// NewQueues returns the Queues of a list.
func NewQueues(list []Queue) Queues {
	s := Queues{}
	for _, q := range list {
		s[graph.Canonical(q.PrinterID)] = q
	}
	return s
}

// At is the queue of a printer, whose id an earlier version may have stored in
// another case.
func (s Queues) At(printer string) (Queue, bool) {
	q, ok := s[graph.Canonical(printer)]
	return q, ok
}

// NameOf is the current name of a job's queue, which may have been renamed since the job
// arrived.
func (s Queues) NameOf(rec *job.Record) string {
	if q, ok := s.At(rec.Printer); ok {
		return q.Name
	}
	return rec.Queue
}
