// Package paper names what becomes of a job at its printer, once it was let go on.
package paper

// State says how far a job has come at its printer. Its values are stored, and labels of metrics.
type State string

// What can become of a job at its printer. All but Pending are final.
const (
	// Pending is stored with the outcome that lets the job go on: the sweep follows it.
	Pending  State = "pending"
	Printed  State = "printed"
	Failed   State = "failed"   // the printer, or Universal Print, gave it up
	Canceled State = "canceled" // somebody canceled it at the printer
	// Unknown is the end of a job that the printer does not know any more, or that had not
	// ended a day after it was let go on.
	Unknown State = "unknown"
)

// Results are the final states.
var Results = []State{Printed, Failed, Canceled, Unknown}
