package graphtest

import (
	"net/http"
	"time"
)

// Knobs are the settings of the simulator. Chances are between 0 and 1. The zero value of a duration, a size or
// a list means the default named with it; start from [Hostile] or [Calm]. All but Seed and Tenant can be changed
// while it runs, with [Sim.Change].
type Knobs struct {
	Seed   uint64 // of all randomness; 0 = choose one, which [Sim.Seed] returns
	Tenant string // the directory's id; default 84bd8158-6d4d-4958-8b9f-9d6445542f95

	// Faults of a call, to Graph and to the authority.
	Throttle      float64       // 429, before anything is applied
	Unavailable   float64       // 503, before anything is applied
	LoseReply     float64       // a write is applied and its answer never arrives (connection closed, or 504)
	RetryAfter    time.Duration // what 429 and 503 ask for, in seconds, as a date, or (in turn) not at all; default 1 s
	RetryFraction float64       // and the seconds have a fraction, as those of some services behind Graph
	Latency       time.Duration // of every call, before it is processed

	// Faults of notifications.
	LoseNotification      float64
	DuplicateNotification float64
	NotifyDelay           time.Duration // each is late by anything up to this, which reorders them
	NoParentURL           float64       // resourceData without parentUrl
	Join                  int           // notifications in one POST, at most; default 1

	OperationTime  time.Duration // from the 202 until a printer is created
	OperationFails float64       // chance that it is not created

	UnknownWords float64 // an answer holding a state uses a word outside the documented enumeration

	// Stale reads. JobUnknown is the chance that Graph answers 404 for a job for JobUnknownFor after it was created,
	// although its task is announced and listed. For ReadLag after a change, reads of a job or its task show it as it
	// was before; effects depend on its current state.
	JobUnknown    float64
	JobUnknownFor time.Duration
	ReadLag       time.Duration

	// Null is the chance that a property of a job is answered with null, for each of NullOf; by default
	// for all of [Nulls].
	Null   float64
	NullOf []string

	// What the documentation does not tell. Of several entries of a list, each call draws one.
	// status of abort, redirect or PATCH job when the fence is closed because the work is done; default 400, 403, 404, 409
	SecondEffect     []int
	SecondFinish     []int    // status of PATCH task on a finished task; default 200, 400, 404, 409
	AbortEndsTask    float64  // chance that abort (or cancel) ends the task by itself
	RedirectedStates []string // state of a job after redirect; default completed
	NoRedirectedTask bool     // a redirected job starts no task on a destination that has a trigger of its own

	// Subscriptions and their deliveries.
	Deliver           http.RoundTripper // how notifications and handshakes are posted; default a transport of its own
	DeliverTimeout    time.Duration     // default 3 s (handshakes: 10 s)
	SubscriptionLife  time.Duration     // one that is asked for beyond this ends then; default 0 = as asked for
	Deliveries        int               // POSTs at once to one URL; default 8
	RetryFirst        time.Duration     // back-off after a failed POST, then doubled up to 10 min; default 1 s
	RetryFor          time.Duration     // afterwards the notification is dropped; default 4 h
	ReauthorizeBefore time.Duration     // reauthorizationRequired comes this long before expiry; default 10 min
	ReauthorizeGrace  time.Duration     // then notifications stop until reauthorized or renewed; default 0 = never

	// Printing and memory.
	PrintTime  time.Duration // from released to printed; 0 = at once
	TaskMemory time.Duration // finished tasks are listed this long; default 1 h
	TaskLife   time.Duration // a job whose task nobody finishes is deleted after this; default 0 = never
	TaskPage   int           // tasks in one page; default 20
	JobPage    int           // jobs, groups, definitions and other entries in one page; default 50

	// BindQueues are printers for which an administrator would create a trigger as soon as there is a definition:
	// each that has none is bound to the next definition that an app creates.
	BindQueues []string

	TokenLife time.Duration // default 3599 s
	// IDToken, if set, changes the claims of each id token before it is signed.
	IDToken func(claims map[string]any)
	// how far the clocks of Graph and the authority are ahead of the machine's: in the header Date, in every time
	// in an answer, and in the checks of assertions and of the ends of subscriptions
	ClockAhead time.Duration
	// start of parentUrl, redirectedTo and @odata.id; default https://graph.microsoft.com/v1.0
	ResourceBase    string
	DocumentBase    string        // origin of pre-authenticated payload URLs; default another name of the calling host
	ForeignNextLink string        // when set, @odata.nextLink leads to this origin instead: a client must not follow
	VerificationURI string        // where a device code is typed in; default https://microsoft.com/devicelogin
	DeviceInterval  time.Duration // between two polls for a device code; 0 = the 5 s that Entra asks for

	// Intercept is called for every call, after latency and outage and before anything is applied. With the zero Fault
	// the random faults apply; any other replaces them. It runs on the caller's goroutine and may block.
	Intercept func(op string, r Request) Fault
}

// Hostile has every kind of fault: the setting to develop against.
func Hostile() Knobs {
	return Knobs{
		Throttle: 0.05, Unavailable: 0.02, LoseReply: 0.02, RetryAfter: time.Second, RetryFraction: 0.5,
		LoseNotification: 0.05, DuplicateNotification: 0.05, NotifyDelay: 200 * time.Millisecond, NoParentURL: 0.1, Join: 4,
		UnknownWords: 0.01, AbortEndsTask: 0.5,
		JobUnknown: 0.05, JobUnknownFor: time.Second,
		Null: 0.05, NullOf: []string{
			"configuration.mediaType", "configuration.quality", "configuration.margin", "status.description", "status.details",
			"createdBy.displayName",
		},
		SecondEffect: []int{400, 403, 404, 409}, SecondFinish: []int{200, 400, 404, 409},
		RedirectedStates: []string{"completed", "aborted", "canceled"},
		PrintTime:        2 * time.Second,
	}
}

// Calm has no faults, and one fixed answer where the documentation does not tell.
func Calm() Knobs {
	return Knobs{SecondEffect: []int{400}, SecondFinish: []int{200}, AbortEndsTask: 1}
}

// Become takes the faults and the undocumented answers of other, and keeps identity, wiring, sizes and times.
func (k *Knobs) Become(other Knobs) {
	k.Throttle, k.Unavailable, k.LoseReply = other.Throttle, other.Unavailable, other.LoseReply
	k.LoseNotification, k.DuplicateNotification = other.LoseNotification, other.DuplicateNotification
	k.NotifyDelay, k.NoParentURL, k.UnknownWords = other.NotifyDelay, other.NoParentURL, other.UnknownWords
	k.SecondEffect, k.SecondFinish = other.SecondEffect, other.SecondFinish
	k.AbortEndsTask, k.RedirectedStates = other.AbortEndsTask, other.RedirectedStates
	k.RetryFraction, k.JobUnknown, k.JobUnknownFor, k.ReadLag, k.Null, k.NullOf = other.RetryFraction, other.JobUnknown,
		other.JobUnknownFor, other.ReadLag, other.Null, other.NullOf
}

// hostile reports whether any random fault is switched on.
func (k *Knobs) hostile() bool {
	return k.Throttle+k.Unavailable+k.LoseReply+k.LoseNotification+k.DuplicateNotification+k.UnknownWords+k.JobUnknown+
		k.Null > 0
}

func (k Knobs) withDefaults() *Knobs {
	orString(&k.Tenant, "84bd8158-6d4d-4958-8b9f-9d6445542f95")
	orString(&k.ResourceBase, "https://graph.microsoft.com/v1.0")
	orString(&k.VerificationURI, "https://microsoft.com/devicelogin")
	orDuration(&k.RetryAfter, time.Second)
	orDuration(&k.DeliverTimeout, 3*time.Second)
	orDuration(&k.RetryFirst, time.Second)
	orDuration(&k.RetryFor, 4*time.Hour)
	orDuration(&k.ReauthorizeBefore, 10*time.Minute)
	orDuration(&k.TaskMemory, time.Hour)
	orDuration(&k.TokenLife, 3599*time.Second)
	orInt(&k.Join, 1)
	orInt(&k.Deliveries, 8)
	orInt(&k.TaskPage, 20)
	orInt(&k.JobPage, 50)
	if len(k.SecondEffect) == 0 {
		k.SecondEffect = []int{400, 403, 404, 409}
	}
	if len(k.SecondFinish) == 0 {
		k.SecondFinish = []int{200, 400, 404, 409}
	}
	if len(k.RedirectedStates) == 0 {
		k.RedirectedStates = []string{stateCompleted}
	}
	return &k
}

func orString(p *string, v string) {
	if *p == "" {
		*p = v
	}
}

func orDuration(p *time.Duration, v time.Duration) {
	if *p <= 0 {
		*p = v
	}
}

func orInt(p *int, v int) {
	if *p <= 0 {
		*p = v
	}
}
