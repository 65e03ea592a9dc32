// Package job is the job record: what pullprint remembers of a job, the
// states it goes through, the legal moves between them, and the store that
// moves a record by compare-and-set. It makes no call to Graph.
package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pullprint/connector/decision"
	"pullprint/connector/job/paper"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// DefaultRetention is how long the record of a job that has come to its end is kept when
// nobody says otherwise, for late duplicates and for `jobs trace`.
const DefaultRetention = 7 * 24 * time.Hour

// Record is what is remembered of one job. It holds no document name, and of
// the owner the Entra object id only.
type Record struct {
	graph.Ref
	// Task and Definition name the printTask that lets us act on the job.
	Task       string `json:"task"`
	Definition string `json:"definition"`
	// Owner is createdBy.id as Graph told it; empty when Graph told none.
	Owner string `json:"owner,omitempty"`
	// Queue is the configured name of the queue the job was sent to.
	Queue string `json:"queue"`
	State State  `json:"state"`
	// Created is Graph's time, Seen is when we first decided.
	Created time.Time `json:"created,omitzero"`
	Seen    time.Time `json:"seen"`
	// HoldUntil is the end of the hold; zero when the job is not held and can't
	// be held again.
	HoldUntil time.Time `json:"hold_until,omitzero"`
	// Warned is when the notice that tells the owner of the end of the hold was stored.
	Warned time.Time `json:"warned,omitzero"`
	// Set is what rules at arrival rewrote of a held job: it is done when the job
	// is released.
	Set *decision.Settings `json:"set,omitempty"`
	// Pages is how long the documents are, once that was looked for.
	Pages *decision.Pages `json:"pages,omitempty"`
	// Charge is what the job costs and who pays; nil when nobody does.
	Charge *Charge `json:"charge,omitempty"`
	// Release is the newest try to release the job, whatever became of it.
	Release *Release `json:"release,omitempty"`
	// Tries are the newest redirects that were called for, oldest first: each may have been
	// made, whatever Graph answered.
	Tries []Try `json:"tries,omitempty"`
	// Sent is what the policy saw of the job as it was sent, once a try has taken the place of
	// the decision at arrival.
	Sent *decision.Input `json:"sent,omitempty"`
	// Intent is set in the intent states.
	Intent *Intent `json:"intent,omitempty"`
	// Decision is the newest decision about the job.
	Decision decision.Decision `json:"decision"`
	// Paper is what became of the job at its printer; nil until it was let go on, and in a record
	// that an earlier version stored.
	Paper *Paper `json:"paper,omitempty"`
	// Came counts how often the job was found waiting after its record had come to an end.
	Came int `json:"came,omitempty"`
	// Trail has one step per stored state, oldest first.
	Trail []Step `json:"trail"`
	// StoredAs is the key that the record was read from where that is not Key of Owner and
	// Ref: an earlier version stored it with the owner's id in capitals.
	StoredAs string `json:"-"`
}

// Charge is what a job costs. It is reserved under the job's name before Graph is
// called, or when a held job comes; see package quota for what becomes of it.
type Charge struct {
	Amount quota.Amount  `json:"amount"`
	Claims []quota.Claim `json:"claims"`
	// Attempt names the try the reservation is for.
	Attempt string `json:"attempt"`
	// AtArrival is true when the job was paid for when it came.
	AtArrival bool `json:"at_arrival,omitempty"`
	// Before is the charge that this one takes the place of: it is in force again
	// when this one comes to nothing.
	Before *Charge `json:"before,omitempty"`
}

// Accounts are those that pay.
func (c *Charge) Accounts() []quota.Account {
	var list []quota.Account
	for i := range c.Claims {
		if !slices.Contains(list, c.Claims[i].Account) {
			list = append(list, c.Claims[i].Account)
		}
	}
	return list
}

// Release is where a job goes when its owner stands at a device.
type Release struct {
	// Device is the configured id of the device, Printer its printer at Graph.
	Device  string `json:"device"`
	Printer string `json:"printer"`
	// At is the moment of the tap.
	At time.Time `json:"at"`
	// Job is what became of the job at the printer, once that is known.
	Job string `json:"job,omitempty"`
	// Late is true when the job was found redirected although it ended otherwise: it
	// is gone for its record, and paid for.
	Late bool `json:"late,omitempty"`
}

// Try is one redirect that was called for.
type Try struct {
	// ID is that of its decision.
	ID string `json:"id"`
	// Device, Printer, At, Actor, Asked and Set are as in Release and Decision.
	Device  string             `json:"device"`
	Printer string             `json:"printer"`
	At      time.Time          `json:"at"`
	Actor   string             `json:"actor,omitempty"`
	Asked   decision.Origin    `json:"asked,omitempty"`
	Set     *decision.Settings `json:"set,omitempty"`
	// Charge is what it costs; nil when nobody pays.
	Charge *Charge `json:"charge,omitempty"`
}

// maxTries bounds a record: a try is made while somebody stands at a device, and Graph shows
// in minutes what became of it.
const maxTries = 8

// Tried notes the redirect that Release, Charge and the decision of the record call for.
func (r *Record) Tried() {
	t := Try{
		ID: r.Decision.ID, Device: r.Release.Device, Printer: r.Release.Printer, At: r.Release.At,
		Actor: r.Decision.Actor, Asked: r.Decision.Asked, Set: r.Decision.Set,
	}
	if r.Charge != nil {
		c := *r.Charge
		c.Before = nil
		t.Charge = &c
	}
	r.Tries = append(slices.Clone(r.Tries), t)
	r.Tries = r.Tries[max(0, len(r.Tries)-maxTries):]
}

// Intent says who is about to act on a job.
type Intent struct {
	// By is the instance that acts.
	By string `json:"by"`
	// Since is when it stored the intent; after TakeOver another may act.
	Since time.Time `json:"since"`
	// Takers counts the instances that took the job over, from 1.
	Takers int `json:"attempt"`
}

// Step is one stored move of a record.
type Step struct {
	State State     `json:"state"`
	At    time.Time `json:"at"`
	By    string    `json:"by"`
	// Note says what Graph answered or why, without names.
	Note string `json:"note,omitempty"`
}

// maxTrail bounds a record: the first steps and the newest ones are kept.
const maxTrail = 32

// noOwner stands for an absent owner in a key.
const noOwner = "_"

// Key is the record's key in the store: owner first, so that one owner's jobs
// can be read without reading all.
func (r *Record) Key() string {
	if r.StoredAs != "" {
		return r.StoredAs
	}
	return Key(r.Owner, r.Ref)
}

// decode reads what is stored at a key. Ids of people are canonical from here on, as
// those that come from Graph are. The record stays at its key, whichever case the owner
// has in it and in the value: a write makes the owner in the value canonical.
func decode(key string, value []byte) (rec Record, err error) {
	if err := json.Unmarshal(value, &rec); err != nil {
		return Record{}, err
	}
	if !rec.Charge.whole() || slices.ContainsFunc(rec.Tries, func(t Try) bool { return !t.Charge.whole() }) {
		return Record{}, errors.New("a charge is of no account")
	}
	rec.Owner = graph.Canonical(rec.Owner)
	if rec.Key() != key {
		rec.StoredAs = key
	}
	return rec, nil
}

// Key is the key of an owner's job.
func Key(owner string, ref graph.Ref) string {
	if owner == "" {
		owner = noOwner
	}
	return owner + "." + ref.Printer + "." + ref.Job
}

// inCapitals is a key as an earlier version wrote it, which stored ids as it got them: in
// capitals, if not as Entra writes them. It is the key itself where that makes no difference.
func inCapitals(key string) string {
	owner, job, _ := strings.Cut(key, ".")
	return strings.ToUpper(owner) + "." + job
}

// ownerFilter matches the keys of one owner's jobs.
func ownerFilter(owner string) string { return owner + ".>" }

// Move changes the state in memory and adds a step to the trail; nothing is
// stored. An illegal move is an error and changes nothing.
func (r *Record) Move(to State, now time.Time, by, note string) error {
	from := r.State
	if from == "" {
		from = Seen
	}
	if !Legal(from, to) {
		return fmt.Errorf("job %s of printer %s: %w: %s to %s", r.Job, r.Printer, ErrIllegal, from, to)
	}
	r.State = to
	r.Intent = nil
	if to.Intent() {
		r.Intent = &Intent{By: by, Since: now, Takers: 1}
	}
	if to != Held && to != Releasing {
		r.HoldUntil = time.Time{}
	}
	r.Paper = nil
	if r.LetGo() {
		r.Paper = &Paper{State: paper.Pending, At: r.LetGoAt()}
	}
	r.note(Step{State: to, At: now, By: by, Note: note})
	return nil
}

// DecidedAgain is the record with another decision at arrival. Of fresh, a record of the same job
// as if it were new, it takes what was decided and read for that (owner, queue, pages, charge); what
// the record knows besides stays.
func (r *Record) DecidedAgain(fresh Record) Record {
	again := *r
	again.Task, again.Definition, again.Owner, again.Queue = fresh.Task, fresh.Definition, fresh.Owner, fresh.Queue
	again.Created, again.Decision, again.Charge = fresh.Created, fresh.Decision, fresh.Charge
	again.HoldUntil, again.Set, again.Sent, again.Intent = time.Time{}, nil, nil, nil
	if fresh.Pages != nil {
		again.Pages = fresh.Pages
	}
	if again.Release != nil && again.Charge == nil {
		again.Charge = r.Charge // of that try, which may have been made
	}
	return again
}

// OnceAt is what tells a decision that a job gets once from one that it got before it came to an end and
// was found waiting after all: the revision of its record, rev; 0 for a job that never was.
func (r *Record) OnceAt(rev uint64) uint64 {
	if r.Came == 0 && !slices.ContainsFunc(r.Trail, func(s Step) bool { return s.State.Final() }) {
		return 0
	}
	return rev
}

// Input is what the policy saw of the job as it was sent.
func (r *Record) Input() decision.Input {
	if r.Sent != nil {
		return *r.Sent
	}
	return r.Decision.Input
}

// SameJob reports whether what the audit has with a number and an owner is about this job: a printer may give a
// number once more, to a job of somebody else. A job that was decided before Graph named its owner has none there.
func (r *Record) SameJob(ref graph.Ref, owner string) bool {
	return ref == r.Ref && (owner == "" || graph.Canonical(owner) == r.Owner)
}

// Audit is the newest decision, complete as it goes into the audit stream.
func (r *Record) Audit() decision.Decision {
	d := r.Decision
	d.Ref, d.Task, d.Queue, d.Owner = r.Ref, r.Task, r.Queue, r.Owner
	return d
}

// Disprove takes back that a job came to its end by us, which was presumed: the record
// is that of a job that is gone, and can be revived.
func (r *Record) Disprove(now time.Time, by, note string) {
	r.State, r.Intent, r.Paper = Gone, nil, nil
	r.note(Step{State: Gone, At: now, By: by, Note: note})
}

// TakeOver makes by the one who acts on a stored intent: the one before is
// taken for dead. Nothing is stored.
func (r *Record) TakeOver(now time.Time, by string) {
	takers := 1
	if r.Intent != nil {
		takers = r.Intent.Takers + 1
	}
	r.Intent = &Intent{By: by, Since: now, Takers: takers}
	r.note(Step{State: r.State, At: now, By: by, Note: "taken over"})
}

func (r *Record) note(s Step) {
	if len(r.Trail) >= maxTrail {
		r.Trail = slices.Concat(r.Trail[:4], r.Trail[5:]) // copies of the record keep theirs
	}
	r.Trail = append(slices.Clip(r.Trail), s)
}
