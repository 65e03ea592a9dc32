package job

// State says how far a job has come. The three states that end in -ing are
// intents: they are stored before Graph is called, so that a process that dies
// during the call leaves behind what it was about to do.
type State string

// The states of a job record.
const (
	// Seen is the state before the first write. Its durable form is the
	// notification in the stream, which is acknowledged only after a later
	// state is stored, so Seen itself never costs a write.
	Seen State = "seen"
	// Held waits for its owner (or, in a direct queue, for a policy that can
	// decide it).
	Held State = "held"
	// Releasing is the intent to redirect the job to a device.
	Releasing State = "releasing"
	// Released is the outcome: Graph made a new job at the device.
	Released State = "released"
	// Aborting is the intent to abort the job with a reason.
	Aborting State = "aborting"
	// Aborted is the outcome: the job will never print and its owner can read why.
	Aborted State = "aborted"
	// Completing is the intent to complete the task, which lets the job print
	// on the printer it was sent to.
	Completing State = "completing"
	// Completed is the outcome: Universal Print prints the job.
	Completed State = "completed"
	// Gone means that Graph finished, canceled or forgot the job without us.
	Gone State = "gone"
)

// Final reports whether the job has come to its end.
func (s State) Final() bool {
	return s == Released || s == Aborted || s == Completed || s == Gone
}

// Intent reports whether an effect in Graph was about to happen: its outcome
// is unknown until the job is read back.
func (s State) Intent() bool {
	return s == Releasing || s == Aborting || s == Completing
}

// Outcome is the state that an intent becomes when its effect has happened.
func (s State) Outcome() State {
	switch s {
	case Releasing:
		return Released
	case Aborting:
		return Aborted
	case Completing:
		return Completed
	}
	return s
}
