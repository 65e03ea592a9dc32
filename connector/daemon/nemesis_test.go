package daemon_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

var (
	nemesisSeeds = flag.Int("nemesis.seeds", 0,
		"how many seeds TestNemesis plays; 0: two, and one with the race detector; the gate plays more")
	nemesisSeed = flag.Uint64("nemesis.seed", 0, "the first seed of TestNemesis; with -nemesis.seeds 1 only this")
)

const (
	// nemesisSteps is how much happens in one seed: enough for a crash in the middle of
	// most kinds of fault, in about two seconds.
	nemesisSteps = 40
	// settleWithin is how long after the last fault every job has to have come to rest.
	settleWithin = time.Hour

	nemesisHold = 10 * time.Minute

	nemesisPolicy = `rules:
  - {name: too-many, at: arrival, when: 'job.copies > 50', verdict: abort, reason: copies.too-many,
     text: 'More than 50 copies go to the print shop.', remedy: 'Print fewer copies.'}
allowances:
  - {name: students, when: '"students" in user.groups', pages: 100_000, every: term, anchor: '01-01'}
  - {name: others, when: 'true', pages: 30, every: term, anchor: '01-01'}
merge: first
`
)

// action is something that happens to a daemon, and how long nothing else does after it.
type action struct {
	what  string
	dice  uint64 // decides what the name leaves open
	pause time.Duration
}

func (a action) String() string { return fmt.Sprintf("%s (%d), then %s", a.what, a.dice%100, a.pause) }

type happening struct {
	what  string
	often int
}

// happenings are the names of actions with how often each is drawn.
var happenings = []happening{
	{"print", 12},
	{"tap", 10},
	{"cancel", 2},
	{"the owner cancels", 2},
	{"kill", 3},
	{"restart", 1},
	{"graph is out", 1},
	{"graph can't be reached", 1},
	{"graph is hostile", 3},
	{"graph is calm", 2},
	{"reads are stale", 2},
	{"jobs are unknown at first", 1},
	{"three wrong 404", 2},
	{"an answer is lost", 4},
	{"a printer stops", 1},
	{"printers go on", 2},
	{"graph's clock jumps", 1},
	{"notifications stop", 1},
	{"time passes", 1},
	{"the queue is renamed", 1},
	{"the queue becomes direct, or pull again", 1},
	{"two taps at once", 2},
	{"a colleague is lent the jobs", 1},
	{"the guest prints", 3},
	{"the guest is erased", 1},
}

// amongReplicas happens as well where two daemons share a store.
var amongReplicas = []happening{
	{"a replica is cut off from the store", 3},
	{"a replica is frozen", 3},
	{"kill", 3},
}

// replicas is how many daemons a seed has: every other one has two, on a server that they
// share, the others one with an embedded store.
func replicas(seed uint64) int { return 1 + int(seed%2) }

// draw makes the story of a seed.
func draw(seed uint64) (story []action) {
	dice := rand.New(rand.NewPCG(seed, 15))
	var names []string
	all := happenings
	if replicas(seed) > 1 {
		all = slices.Concat(all, amongReplicas)
	}
	for _, h := range all {
		names = append(names, slices.Repeat([]string{h.what}, h.often)...)
	}
	for range nemesisSteps {
		a := action{what: names[dice.IntN(len(names))], dice: dice.Uint64()}
		switch dice.IntN(6) {
		case 0:
			a.pause = time.Duration(dice.IntN(90_000)) * time.Millisecond
		case 1, 2:
			a.pause = time.Duration(dice.IntN(8_000)) * time.Millisecond
		case 3:
			a.pause = time.Duration(dice.IntN(500)) * time.Millisecond
		}
		story = append(story, a)
	}
	return story
}

// TestNemesis runs the whole daemon in virtual time while everything around it fails:
// Graph, its clock, printers, notifications and the process itself. What must always hold is looked
// at in the end, by what the simulator saw. A seed that fails is made shorter, and told.
func TestNemesis(t *testing.T) {
	first := *nemesisSeed
	if first == 0 {
		first = 1
	}
	seeds := *nemesisSeeds
	switch {
	case seeds > 0:
	case racetest.Enabled:
		seeds = 1 // two replicas, and most of the time that the package takes
	default:
		seeds = 2
	}
	for seed := first; seed < first+uint64(seeds); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			story := draw(seed)
			wrong := play(t, seed, story)
			if len(wrong) == 0 {
				return
			}
			story, wrong = shorten(t, seed, story, wrong)
			for _, a := range story {
				t.Log(a)
			}
			t.Errorf("again with -nemesis.seed %d -nemesis.seeds 1:\n%s", seed, strings.Join(wrong, "\n"))
		})
	}
}

// shorten leaves out of a story what it fails without. It tries that 40 times at most.
func shorten(t *testing.T, seed uint64, story []action, wrong []string) ([]action, []string) {
	tries := 40
	for size := len(story) / 2; size > 0 && tries > 0; size /= 2 {
		for at := 0; at+size <= len(story) && tries > 0; tries-- {
			less := slices.Concat(story[:at], story[at+size:])
			if w := play(t, seed, less); len(w) > 0 {
				story, wrong = less, w
			} else {
				at += size
			}
		}
	}
	return story, wrong
}

// life is that of one daemon, until it is stopped or killed.
// nemesis is a tenant and an installation with faults of every kind.
type nemesis struct {
	*office
	server *bustest.Server // nil with an embedded store
	lives  []*life
	dice   *rand.Rand
	mu     sync.Mutex // guards taps and turn
	turn   int        // which daemon is asked next

	jobs map[graphtest.JobID]submitted
	ids  []graphtest.JobID // in order
	taps []tapped
	ends []string

	skews []skew
	// direct is true once the pull queue let jobs print where they were sent.
	direct, directNow bool
	renamed           bool
	// lent is true once the teacher may print what the student sent.
	lent bool
	// erased is true once the guest was to be forgotten.
	erased bool
	guests []graphtest.JobID // what the guest printed
}

// skew is by how much Graph's clock was wrong from a moment on.
// skewed reports whether Graph's clock was wrong at a time between two moments. When it is
// set right, that looks as if a hold that began meanwhile had lasted as long as it was wrong.
// setClock sets Graph's clock.
func (n *nemesis) setClock(ahead time.Duration) {
	n.skews = append(n.skews, skew{time.Now(), ahead})
	n.sim.Change(func(k *graphtest.Knobs) { k.ClockAhead = ahead })
}

// tapped is a badge that somebody showed, until the answer came.
// mortalWire carries the calls of one life of the daemon.
// alive waits while the process is frozen.
// play lets a story happen and says what is wrong in the end.
func play(t *testing.T, seed uint64, story []action) (wrong []string) {
	t.Helper()
	// The client of NATS keeps timers in a pool for its flushes. One of an earlier test never fires in
	// this test's time, and all time waits for a flush over a connection that is cut off. Two
	// collections empty a sync.Pool.
	runtime.GC()
	runtime.GC()
	bustest.Virtual(t, func(t *testing.T) {
		k := graphtest.Calm()
		k.Seed, k.NoRedirectedTask, k.TaskMemory = seed, true, time.Minute
		o := newOffice(t, k)
		o.sim.AddUser(graphtest.User{ID: guestID, UPN: "guest@contoso.com"})
		n := &nemesis{office: o, dice: rand.New(rand.NewPCG(seed, 16)), jobs: map[graphtest.JobID]submitted{}}
		if replicas(seed) == 1 {
			n.lives = append(n.lives, n.install(o))
		} else {
			n.server = bustest.StartServer(t)
			for _, address := range []string{metricsAddr, "127.0.0.1:9465"} {
				n.lives = append(n.lives, n.install(o.replica(address, `url: "nats://in-process"`)))
			}
		}
		for _, l := range n.lives {
			n.begin(l)
		}
		n.lives[0].register()
		n.lives[0].enrol(studentID, number)
		n.lives[0].enrol(teacherID, teacherNumber)
		for _, a := range story {
			n.happen(a)
			pass(a.pause)
			n.supervise()
		}
		n.recover()
		n.settle()
		wrong = append(n.judge(), n.forgotten()...)
		n.supervise()
		for _, l := range n.lives {
			l.end()
		}
	})
	return wrong
}

func (n *nemesis) happen(a action) {
	dice := rand.New(rand.NewPCG(a.dice, 17))
	anyJob := func() (graphtest.JobID, bool) {
		if len(n.ids) == 0 {
			return graphtest.JobID{}, false
		}
		return n.ids[dice.IntN(len(n.ids))], true
	}
	anyLife := func() *life { return n.lives[dice.IntN(len(n.lives))] }
	knob := func(turn func(*graphtest.Knobs)) { n.sim.Change(turn) }
	switch a.what {
	case "print":
		spec := graphtest.JobSpec{
			Printer: []string{pullID, pullID, directID}[dice.IntN(3)], User: []string{studentID, teacherID}[dice.IntN(2)],
			Pages: 1 + dice.IntN(5), Copies: []int{1, 1, 2, 60}[dice.IntN(4)],
		}
		id, err := n.sim.Submit(spec)
		if err != nil {
			n.t.Fatal(err)
		}
		n.jobs[id], n.ids = submitted{spec, time.Now()}, append(n.ids, id)
	case "tap":
		n.show([]string{studentID, teacherID}[dice.IntN(2)], []string{"hq-2-west", "hq-2-east"}[dice.IntN(2)])
	case "cancel":
		if id, ok := anyJob(); ok {
			n.call(http.MethodPost, "/v1/jobs/"+id.Printer+"/"+id.Job+"/cancel", "{}")
		}
	case "the owner cancels":
		if id, ok := anyJob(); ok {
			_ = n.sim.CancelJob(id) // it may have ended
		}
	case "kill":
		n.kill(anyLife())
	case "restart":
		n.restart(anyLife())
	case "a replica is cut off from the store":
		l := anyLife()
		l.link.Shut()
		pass(time.Duration(dice.IntN(90)) * time.Second)
		l.link.Open()
	case "a replica is frozen":
		l := anyLife()
		l.link.Shut()
		l.wire.gate.Shut()
		pass(time.Duration(dice.IntN(90)) * time.Second)
		l.wire.gate.Open()
		l.link.Open()
	case "graph is out":
		n.sim.Outage(true)
	case "graph can't be reached":
		n.sim.Unreachable(true)
	case "graph is hostile":
		n.sim.Outage(false)
		n.sim.Unreachable(false)
		knob(func(k *graphtest.Knobs) { k.Become(graphtest.Hostile()) })
	case "graph is calm":
		n.calm()
	case "reads are stale":
		knob(func(k *graphtest.Knobs) { k.ReadLag = time.Duration(dice.IntN(60)) * time.Second })
	case "jobs are unknown at first":
		knob(func(k *graphtest.Knobs) {
			k.JobUnknown, k.JobUnknownFor = 0.5, time.Duration(dice.IntN(60))*time.Second
		})
	case "three wrong 404":
		n.faults(3, func(op string) bool { return op == graphtest.OpJobGet }, graphtest.Fault{Refuse: http.StatusNotFound})
	case "an answer is lost":
		n.faults(1, func(op string) bool {
			return op == graphtest.OpJobAbort || op == graphtest.OpJobRedirect || op == graphtest.OpTaskUpdate
		}, []graphtest.Fault{
			{Lose: true},
			{Drop: true},
			{LoseAs: http.StatusGatewayTimeout},
			{LoseAs: http.StatusForbidden},
			{LoseAs: http.StatusNotFound},
			{Refuse: http.StatusServiceUnavailable},
		}[dice.IntN(6)])
	case "a printer stops":
		_ = n.sim.SetPrinter([]string{westID, eastID}[dice.IntN(2)], "stopped", false)
	case "printers go on":
		n.printersGoOn()
	case "graph's clock jumps":
		n.setClock(time.Duration(dice.IntN(48*3600)-24*3600) * time.Second)
	case "notifications stop":
		n.sim.DropSubscriptions()
	case "time passes":
		pass(nemesisHold + time.Minute)
	case "the queue is renamed":
		n.renamed = !n.renamed
		n.reconfigure()
	case "the queue becomes direct, or pull again":
		n.direct, n.directNow = true, !n.directNow
		n.reconfigure()
	case "two taps at once":
		var taps errgroup.Group
		for _, device := range []string{"hq-2-west", "hq-2-east"} {
			taps.Go(func() error { n.show(studentID, device); return nil })
		}
		_ = taps.Wait()
	case "a colleague is lent the jobs":
		n.lent = true
		n.call(http.MethodPut, "/v1/delegations", fmt.Sprintf(`{"owner":%q,"to":%q,"expires":%q}`, studentID, teacherID,
			time.Now().Add(time.Hour).Format(time.RFC3339)))
	case "the guest prints":
		spec := graphtest.JobSpec{Printer: []string{pullID, directID}[dice.IntN(2)], User: guestID, Pages: 1 + dice.IntN(5)}
		id, err := n.sim.Submit(spec)
		if err != nil {
			n.t.Fatal(err)
		}
		n.guests = append(n.guests, id)
	case "the guest is erased":
		n.erased = true
		n.erase()
	default:
		n.t.Fatalf("nothing is done for %q", a.what)
	}
}

// reconfigure writes the configuration as it is to be, and starts each daemon again. A device
// may only name pull queues.
func (n *nemesis) reconfigure() {
	for _, l := range n.lives {
		text := l.plain
		if n.directNow {
			text = strings.Replace(text, "mode: pull, hold_for: 10m", "mode: direct", 1)
			text = strings.ReplaceAll(text, "queues: [Follow-Me]", "queues: [Spare]")
		}
		if n.renamed {
			text = strings.ReplaceAll(text, "Follow-Me", "Print-Anywhere")
		}
		l.write("config.yaml", text)
		n.restart(l)
	}
}

// faults strike the next calls that are about something.
func (n *nemesis) faults(times int64, about func(op string) bool, f graphtest.Fault) {
	var struck atomic.Int64
	n.sim.Change(func(k *graphtest.Knobs) {
		k.Intercept = func(op string, _ graphtest.Request) graphtest.Fault {
			if about(op) && struck.Add(1) <= times {
				return f
			}
			return graphtest.Fault{}
		}
	})
}

func (n *nemesis) printersGoOn() {
	for _, id := range []string{westID, eastID} {
		_ = n.sim.SetPrinter(id, "idle", true)
	}
}

func (n *nemesis) calm() {
	n.setClock(0)
	n.sim.Outage(false)
	n.sim.Unreachable(false)
	n.sim.Change(func(k *graphtest.Knobs) {
		k.Become(graphtest.Calm())
		k.ReadLag, k.JobUnknown, k.JobUnknownFor, k.Null, k.Intercept = 0, 0, 0, 0, nil
	})
}

// show shows the badge of somebody at a device, to whichever daemon answers there.
func (n *nemesis) show(user, device string) {
	card := map[string]string{studentID: number, teacherID: teacherNumber}[user]
	tap := tapped{user: user, device: map[string]string{"hq-2-west": westID, "hq-2-east": eastID}[device], from: time.Now()}
	n.call(http.MethodPost, "/v1/taps", fmt.Sprintf(`{"badge":%q,"device":%q}`, card, device))
	tap.to = time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.taps = append(n.taps, tap)
}

// call asks one daemon's API after the other's, and returns the code of the answer; 0
// for none.
// erase has the guest forgotten.
// install writes the files of a daemon to be.
// kill ends a daemon as kill -9 would: neither Graph nor the store hears of it from then on.
// supervise starts a daemon again that ended by itself, which it may only when it was cut
// off from its store while it started.
// begin starts a daemon and waits until it has opened its store.
// recover ends all faults.
func (n *nemesis) recover() {
	n.calm()
	n.printersGoOn()
}

// settle waits until nothing is under way.
// records are all job records, by their jobs.
// open are the jobs that have not come to rest.
// judge says what is wrong.
// forgotten says what is wrong with the erasure of the guest, who prints no more.
// finished reports whether we let a job print where it was sent.
// stood reports whether the owner of what came out stood at its printer then: paper comes
// at most 45 seconds after the answer to the tap, which is how long an instance may act.
