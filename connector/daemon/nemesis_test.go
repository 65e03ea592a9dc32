package daemon_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/held"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/trigger/graph/graphtest"
)

var (
	nemesisSeeds = flag.Int("nemesis.seeds", 6, "how many seeds TestNemesis plays; the gate plays more")
	nemesisSeed  = flag.Uint64("nemesis.seed", 0, "the first seed of TestNemesis; with -nemesis.seeds 1 only this")
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

// happenings are the names of actions with how often each is drawn.
var happenings = []struct {
	what  string
	often int
}{
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
}

// draw makes the story of a seed.
func draw(seed uint64) (story []action) {
	dice := rand.New(rand.NewPCG(seed, 15))
	var names []string
	for _, h := range happenings {
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
	for seed := first; seed < first+uint64(*nemesisSeeds); seed++ {
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

// nemesis is a tenant and an installation with faults of every kind.
type nemesis struct {
	*shift
	dice *rand.Rand
	wire *mortalWire
	bus  *bus.Bus
	jobs map[graphtest.JobID]submitted
	ids  []graphtest.JobID // in order
	taps []tapped
	ends []string

	skews []skew
	// direct is true once the pull queue let jobs print where they were sent.
	direct, directNow bool
	renamed           bool
	plain             string // the configuration
	// lent is true once the teacher may print what the student sent.
	lent bool
}

type submitted struct {
	graphtest.JobSpec
	at time.Time
}

// skew is by how much Graph's clock was wrong from a moment on.
type skew struct {
	from  time.Time
	ahead time.Duration
}

// skewed reports whether Graph's clock was wrong at a time between two moments. When it is
// set right, that looks as if a hold that began meanwhile had lasted as long as it was wrong.
func (n *nemesis) skewed(from, to time.Time) bool {
	for i, s := range n.skews {
		until := to
		if i+1 < len(n.skews) {
			until = n.skews[i+1].from
		}
		if s.ahead != 0 && !s.from.After(to) && !until.Before(from) {
			return true
		}
	}
	return false
}

// setClock sets Graph's clock.
func (n *nemesis) setClock(ahead time.Duration) {
	n.skews = append(n.skews, skew{time.Now(), ahead})
	n.sim.Change(func(k *graphtest.Knobs) { k.ClockAhead = ahead })
}

// tapped is a badge that somebody showed, until the answer came.
type tapped struct {
	user, device string
	from, to     time.Time
}

// mortalWire carries the calls of one life of the daemon.
type mortalWire struct {
	next http.RoundTripper
	dead atomic.Bool
}

func (m *mortalWire) RoundTrip(r *http.Request) (*http.Response, error) {
	if m.dead.Load() {
		return nil, errors.New("the process is dead")
	}
	return m.next.RoundTrip(r)
}

// play lets a story happen and says what is wrong in the end.
func play(t *testing.T, seed uint64, story []action) (wrong []string) {
	t.Helper()
	bustest.Virtual(t, func(t *testing.T) {
		k := graphtest.Calm()
		k.Seed, k.NoRedirectedTask, k.TaskMemory = seed, true, time.Minute
		o := newOffice(t, k)
		o.write("policy.yaml", nemesisPolicy)
		o.edit("hold_for: 1h", "hold_for: 10m")
		o.edit("devices:", "  - {printer_id: "+strangeID+", name: Spare, mode: pull}\ndevices:")
		n := &nemesis{dice: rand.New(rand.NewPCG(seed, 16)), jobs: map[graphtest.JobID]submitted{}}
		o.tune = func(d *daemonOptions) {
			n.wire = &mortalWire{next: o.sim.Transport()}
			d.Transport, d.Opened = n.wire, func(b *bus.Bus) { n.bus = b }
		}
		plain, err := os.ReadFile(filepath.Join(o.dir, "config.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		n.plain = string(plain)
		n.shift = o.start(zap.NewNop())
		n.register()
		n.enrol(studentID, number)
		n.enrol(teacherID, teacherNumber)
		for _, a := range story {
			n.happen(a)
			pass(a.pause)
		}
		n.recover()
		n.settle()
		wrong = n.judge()
		n.end()
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
		n.kill()
	case "restart":
		n.restart()
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
	default:
		n.t.Fatalf("nothing is done for %q", a.what)
	}
}

// reconfigure writes the configuration as it is to be, and starts the daemon again. A device
// may only name pull queues.
func (n *nemesis) reconfigure() {
	text := n.plain
	if n.directNow {
		text = strings.Replace(text, "mode: pull, hold_for: 10m", "mode: direct", 1)
		text = strings.ReplaceAll(text, "queues: [Follow-Me]", "queues: [Spare]")
	}
	if n.renamed {
		text = strings.ReplaceAll(text, "Follow-Me", "Print-Anywhere")
	}
	n.write("config.yaml", text)
	n.restart()
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

// show shows the badge of somebody at a device.
func (n *nemesis) show(user, device string) {
	card := map[string]string{studentID: number, teacherID: teacherNumber}[user]
	tap := tapped{user: user, device: map[string]string{"hq-2-west": westID, "hq-2-east": eastID}[device], from: time.Now()}
	n.call(http.MethodPost, "/v1/taps", fmt.Sprintf(`{"badge":%q,"device":%q}`, card, device))
	tap.to = time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.taps = append(n.taps, tap)
}

// call asks the API for something, and does not mind the answer.
func (n *nemesis) call(method, path, body string) {
	client := &http.Client{Transport: n.net.transport(), Timeout: time.Minute}
	defer client.CloseIdleConnections()
	req, err := http.NewRequest(method, "http://"+n.admin()+path, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	req.Header.Set("Content-Type", "application/json")
	if res, err := client.Do(req); err == nil {
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}

// kill ends the daemon as kill -9 would: Graph hears nothing of it from then on.
func (n *nemesis) kill() {
	n.wire.dead.Store(true)
	bustest.KillIn(n.t, n.bus, n.dir+"/nats")
	n.stop()
	<-n.done // it fails: its store is gone
	n.begin()
}

func (n *nemesis) restart() {
	n.end()
	n.begin()
}

// begin starts the daemon and waits until it has opened its store.
func (n *nemesis) begin() {
	opened := make(chan struct{})
	tune := n.tune
	n.tune = func(d *daemonOptions) {
		tune(d)
		of := d.Opened
		d.Opened = func(b *bus.Bus) { of(b); close(opened) }
	}
	s := n.office.start(zap.NewNop())
	n.tune = tune
	n.shift = s
	select {
	case <-opened:
	case err := <-s.done:
		n.t.Fatalf("the daemon does not start: %v", err)
	}
}

// recover ends all faults.
func (n *nemesis) recover() {
	n.calm()
	n.printersGoOn()
}

// settle waits until nothing is under way.
func (n *nemesis) settle() {
	for began := time.Now(); time.Since(began) < settleWithin; {
		pass(time.Minute)
		if len(n.open()) == 0 {
			pass(3 * time.Minute) // what the sweep looks at once more
			if len(n.open()) == 0 {
				return
			}
		}
	}
	n.ends = n.open()
}

// records are all job records, by their jobs.
func (n *nemesis) records() map[held.Ref]held.Record {
	all := map[held.Ref]held.Record{}
	if err := n.bus.Jobs().Each(n.ctx(), ">", func(_ string, value []byte, _ uint64) error {
		var rec held.Record
		err := json.Unmarshal(value, &rec)
		all[rec.Ref] = rec
		return err
	}); err != nil {
		n.t.Fatal(err)
	}
	return all
}

func (n *nemesis) ctx() context.Context { return n.t.Context() }

// open are the jobs that have not come to rest.
func (n *nemesis) open() (open []string) {
	recs := n.records()
	for _, id := range n.ids {
		rec := recs[held.Ref(id)]
		job, there := n.sim.Job(id)
		ended := !there || job.State == "completed" || job.State == "aborted" || job.State == "canceled"
		if rest := rec.State == held.Held && !ended || rec.State.Final() && ended || rec.State == "" && ended; !rest {
			open = append(open, fmt.Sprintf("job %s is %q here and %s at Graph: %+v", id, rec.State, job.State, rec.Trail))
		}
	}
	return open
}

// judge says what is wrong.
func (n *nemesis) judge() (wrong []string) {
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	wrong = append(wrong, n.ends...)
	wrong = append(wrong, n.sim.Audit()...)
	told := map[held.Ref][]held.Decision{}
	if err := n.bus.Decisions(n.ctx(), time.Time{}, false, func(_ time.Time, body []byte) error {
		var d held.Decision
		err := json.Unmarshal(body, &d)
		told[d.Ref] = append(told[d.Ref], d)
		return err
	}); err != nil {
		n.t.Fatal(err)
	}
	recs := n.records()
	printed := map[string]quota.Amount{}
	for _, s := range n.sim.Paper() {
		printed[s.User] += quota.Amount(s.Pages*s.Copies) * quota.Unit
		if spec := n.jobs[s.Lineage]; spec.Printer == pullID && !n.stood(s) && !(n.direct && s.Job.Printer == pullID) {
			bad("job %s of %s came out at %s at %s, where nobody stood: %+v", s.Lineage, s.User, s.Job.Printer, s.At, n.taps)
		}
	}
	for _, id := range n.ids {
		job, _ := n.sim.Job(id)
		verdicts := []string{"abort"}
		if job.Effects.AbortApplied == 0 {
			// That it may go on is told, not always where: Graph may refuse a redirect that it made,
			// and agree to a job's completion afterwards, when its queue is direct by then.
			verdicts = []string{"redirect", "complete"}
		}
		told := told[held.Ref(id)]
		if (job.Effects.AbortApplied > 0 || finished(job) || job.Effects.RedirectApplied > 0) &&
			!slices.ContainsFunc(told, func(d held.Decision) bool { return slices.Contains(verdicts, d.Verdict) }) {
			bad("job %s: none of %q is in the audit: %+v; record %+v; at Graph %+v", id, verdicts, told, recs[held.Ref(id)], job)
		}
	}
	for id, job := range n.jobs {
		trail := recs[held.Ref(id)].Trail
		at := slices.IndexFunc(trail, func(s held.Step) bool { return s.Note == "hold.expired" })
		if at < 0 {
			continue
		}
		since := trail[0].At // for the last time: a job that came back is held anew
		for _, s := range trail[:at] {
			if s.State == held.Held {
				since = s.At
			}
		}
		if n.skewed(job.at, since) {
			continue
		}
		if after := trail[at].At.Sub(job.at); after < nemesisHold {
			bad("job %s expired %s after it came", id, after)
		}
	}
	for user, limit := range map[string]int64{studentID: 100_000, teacherID: 30} {
		b := n.balance(user)
		if b.Spent+b.Reserved != printed[user] {
			bad("%s printed %s pages and has spent %s, reserved %s", user, printed[user], b.Spent, b.Reserved)
		}
		if printed[user] > quota.Amount(limit)*quota.Unit {
			bad("%s printed %s pages of %d", user, printed[user], limit)
		}
	}
	return wrong
}

// finished reports whether we let a job print where it was sent.
func finished(job graphtest.JobSnapshot) bool {
	return job.State == "completed" && job.RedirectedTo == (graphtest.JobID{}) && job.Effects.FinishApplied > 0
}

// stood reports whether the owner of what came out stood at its printer then: paper comes
// at most 45 seconds after the answer to the tap, which is how long an instance may act.
func (n *nemesis) stood(s graphtest.Sheet) bool {
	return slices.ContainsFunc(n.taps, func(t tapped) bool {
		who := t.user == s.User || n.lent && s.User == studentID && t.user == teacherID
		return who && t.device == s.Job.Printer && !s.At.Before(t.from) && s.At.Before(t.to.Add(45*time.Second))
	})
}

func (n *nemesis) balance(user string) quota.Balance {
	p, err := policy.Load("policy.yaml", []byte(nemesisPolicy))
	if err != nil {
		n.t.Fatal(err)
	}
	who := policy.User{ID: user}
	if user == studentID {
		who.Groups = []string{"students"}
	}
	list, err := quota.NewLedger(n.bus.Quota(), n.bus).Balances(n.ctx(), p.Budget(policy.Request{User: who}).Claims, time.Now())
	if err != nil || len(list) != 1 {
		n.t.Fatal(list, err)
	}
	return list[0]
}
