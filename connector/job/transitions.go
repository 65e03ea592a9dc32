package job

import (
	"slices"
)

// Event is what makes a record move.
type Event string

// The events of a job.
const (
	// Notified is a notification of the job's task, also one that the sweep put into
	// the stream because Graph lists the task as waiting.
	Notified Event = "notification"
	// Tapped is its owner, or who may act for them, at a device.
	Tapped Event = "tap"
	// CanceledHere is a cancellation by its owner at a device, or by an administrator.
	CanceledHere Event = "cancel"
	// Expired is the end of the hold.
	Expired Event = "expiry"
	// Answered is Graph's answer to the call of the effect.
	Answered Event = "answer"
	// Looked is a look at the job and its task after an answer was lost, or the process died.
	Looked Event = "look"
	// Swept is what the sweep finds of a job that nothing was under way for.
	Swept Event = "sweep"
)

// What becomes of what a job costs.
const (
	ChargeNone     = ""          // nobody has paid and nobody does
	ChargeReserved = "reserved"  // before Graph is called
	ChargeKept     = "kept"      // reserved or spent still: it may have printed
	ChargeReturned = "returned"  // it surely did not print
	ChargeSettled  = "settled"   // by the sweep, by what became of the job at its printer
	ChargeArrival  = "arrival's" // reserved when it came, if the policy says so, and no change now
)

// Transition is a row of the table of states: what happens to a record in one state by
// one event. The table is the source of Legal and of architecture.md, and a test drives
// every row.
type Transition struct {
	From  State
	Event Event
	// When tells rows of one state and event apart.
	When string
	To   State
	// Calls is the effect at Graph that is called for next: abort, complete, redirect, or none.
	Calls string
	// Charge is what becomes of what the job costs.
	Charge string
	// Audit is the verdict of the decision that is in the audit once the row is done; none
	// where a decision is stored with the intent and told with the outcome.
	Audit string
	// Reported is who hears of it beside the audit: the owner at the device, or by a notice.
	Reported string
	// Disproves marks the rows by which a record leaves a final state: Move refuses them.
	Disproves bool
}

// Transitions are all there are. A crash changes no state: whoever finds an intent looks
// at Graph first (Looked), and a message that was not acknowledged comes again (Notified).
var Transitions = []Transition{
	{From: Seen, Event: Notified, When: "the policy holds it", To: Held, Charge: ChargeArrival, Audit: "hold"},
	{From: Seen, Event: Notified, When: "the policy aborts it", To: Aborting, Calls: "abort"},
	{
		From: Seen, Event: Notified, When: "it is paid on arrival and the account is exhausted",
		To: Aborting, Calls: "abort",
	},
	{
		From: Seen, Event: Notified, When: "the policy lets it print where it was sent",
		To: Completing, Calls: "complete", Charge: ChargeReserved,
	},

	{
		From: Held, Event: Notified, When: "it waits to be decided, and the policy lets it print",
		To: Completing, Calls: "complete", Charge: ChargeReserved,
	},
	{
		From: Held, Event: Notified, When: "it waits to be decided, and the policy aborts it",
		To: Aborting, Calls: "abort",
	},
	{From: Held, Event: Notified, When: "it is decided", To: Held, Charge: ChargeArrival, Audit: "hold"},
	{
		From: Held, Event: Tapped, When: "the policy releases it",
		To: Releasing, Calls: "redirect", Charge: ChargeReserved,
	},
	{
		From: Held, Event: Tapped, When: "the policy keeps it",
		To: Held, Charge: ChargeArrival, Audit: "keep", Reported: "at the device",
	},
	{From: Held, Event: Tapped, When: "the policy aborts it", To: Aborting, Calls: "abort"},
	{From: Held, Event: CanceledHere, To: Aborting, Calls: "abort"},
	{From: Held, Event: Expired, To: Aborting, Calls: "abort"},
	{
		From: Held, Event: Swept, When: "a redirect that was taken for not made was made",
		To: Releasing, Charge: ChargeReserved,
	},
	{
		From: Held, Event: Swept, When: "it is over at Graph, or Graph and its task are silent",
		To: Gone, Charge: ChargeReturned,
	},

	{
		From: Releasing, Event: Answered, When: "Graph made it",
		To: Released, Charge: ChargeSettled, Audit: "redirect", Reported: "at the device",
	},
	{
		From: Releasing, Event: Answered, When: "Graph refused it",
		To: Held, Charge: ChargeReturned, Audit: "keep", Reported: "at the device",
	},
	{
		From: Releasing, Event: Answered, When: "the account is exhausted",
		To: Held, Audit: "keep", Reported: "at the device",
	},
	{From: Releasing, Event: Looked, When: "it was made", To: Released, Charge: ChargeSettled, Audit: "redirect"},
	{
		From: Releasing, Event: Looked, When: "it was not seen to be made for 30 s",
		To: Held, Charge: ChargeKept, Audit: "keep",
	},
	{
		From: Releasing, Event: Looked, When: "Graph knows nothing of it for 10 min",
		To: Released, Charge: ChargeSettled, Audit: "redirect",
	},
	{From: Releasing, Event: Looked, When: "it ended without us", To: Gone, Charge: ChargeReturned},

	{
		From: Aborting, Event: Answered, When: "Graph made it",
		To: Aborted, Charge: ChargeReturned, Audit: "abort", Reported: "in the job's status",
	},
	{
		From: Aborting, Event: Looked, When: "it was made",
		To: Aborted, Charge: ChargeReturned, Audit: "abort", Reported: "in the job's status",
	},
	{
		From: Aborting, Event: Looked, When: "Graph knows nothing of it for 10 min",
		To: Aborted, Charge: ChargeReturned, Audit: "abort",
	},
	{From: Aborting, Event: Looked, When: "it ended without us", To: Gone, Charge: ChargeReturned},
	{
		From: Aborting, Event: Looked, When: "a redirect before was made after all",
		To: Gone, Charge: ChargeSettled, Audit: "redirect",
	},

	{
		From: Completing, Event: Answered, When: "Graph made it",
		To: Completed, Charge: ChargeSettled, Audit: "complete",
	},
	{From: Completing, Event: Answered, When: "the account is exhausted", To: Aborting, Calls: "abort"},
	{From: Completing, Event: Looked, When: "it was made", To: Completed, Charge: ChargeSettled, Audit: "complete"},
	{
		From: Completing, Event: Looked, When: "Graph knows nothing of it for 10 min",
		To: Completed, Charge: ChargeSettled, Audit: "complete",
	},
	{From: Completing, Event: Looked, When: "it ended without us", To: Gone, Charge: ChargeReturned},
	{
		From: Completing, Event: Looked, When: "a redirect before was made after all",
		To: Gone, Charge: ChargeSettled, Audit: "redirect",
	},

	{
		From: Released, Event: Swept, When: "it was presumed, and Graph shows it waiting",
		To: Gone, Charge: ChargeReturned, Disproves: true,
	},
	{From: Aborted, Event: Swept, When: "it was presumed, and Graph shows it waiting", To: Gone, Disproves: true},
	{
		From: Completed, Event: Swept, When: "it was presumed, and Graph shows it waiting",
		To: Gone, Charge: ChargeReturned, Disproves: true,
	},
	{From: Gone, Event: Notified, When: "Graph shows it waiting", To: Seen, Disproves: true},
}

// Legal reports whether a record may move from one state to another: by a row of the
// table, or because its job is over at Graph before anything was stored.
func Legal(from, to State) bool {
	if from == Seen && to == Gone {
		return true
	}
	return from != to && slices.ContainsFunc(Transitions, func(t Transition) bool { return t.From == from && t.To == to && !t.Disproves })
}
