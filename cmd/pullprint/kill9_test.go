package main

import (
	"context"
	cryptorand "crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/bus/disk"
	"pullprint/connector/decision"
	"pullprint/policy"
	"pullprint/policy/policyfile"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph/graphtest"
)

var (
	chaosRounds = flag.Int("chaos.rounds", 2, "how often the process is killed")
	chaosSeed   = flag.Uint64("chaos.seed", 0, "seed of the kills and of the simulator; 0 chooses one")
)

// TestKill9 kills the program with SIGKILL at random moments while jobs keep
// coming, starts it again each time, and asks in the end for what must always
// hold: no job lost, one effect and one decision each, paper once or never.
func TestKill9(t *testing.T) {
	t.Parallel()
	seed := *chaosSeed
	if seed == 0 {
		seed = rand.Uint64N(1_000_000_000) + 1
	}
	t.Run("hostile", func(t *testing.T) {
		t.Parallel()
		k := graphtest.Hostile()
		k.PrintTime = 100 * time.Millisecond
		// Entra and Graph throttle for a second each time: less of it, or a
		// short life would be spent waiting.
		k.Throttle, k.RetryAfter = 0.03, 200*time.Millisecond
		newChaos(t, k, seed).rounds(*chaosRounds, (*chaos).ready)
	})
	t.Run("every notification lost", func(t *testing.T) {
		t.Parallel()
		k := graphtest.Calm()
		k.LoseNotification, k.LoseReply, k.AbortEndsTask = 1, 0.05, 0.5
		newChaos(t, k, seed+1).rounds(1+(*chaosRounds+2)/5, (*chaos).swept)
	})
}

// The tenant of the chaos tests: one pull and one direct queue, and two devices.
const (
	chaosApp    = "815f204f-c791-4ee6-9098-614ecdb003f6"
	chaosPull   = "c05f3726-0d4b-4c21-9d6e-0a8a57b1b3a1"
	chaosDirect = "2f3453b7-93c0-4b5b-8bd6-1a2f0a3a4e11"
	chaosUser   = "student@contoso.com"
	chaosWest   = "9a3b3956-5a0e-4c5b-9d1a-61a1c2d3e4f5"
	chaosEast   = "1c2d3e4f-7b8c-4d9e-8f0a-112233445566"
	chaosToken  = "token-of-the-chaos"
)

const chaosConfig = `tenant_id: %s
endpoints: {graph: "%[2]s/v1.0", authority: "%[2]s"}
auth: {client_id: %s, client_secret_file: client-secret}
webhook: {listen: "%[4]s", public_url: "http://%[4]s"}
queues:
  - {printer_id: %s, name: Follow-Me, mode: pull, hold_for: 24h}
  - {printer_id: %s, name: Poster, mode: direct}
devices:
  - {id: west, printer_id: %s, queues: [Follow-Me]}
  - {id: east, printer_id: %s, queues: [Follow-Me]}
policy: {file: policy.yaml}
badges: {key_file: badge-key}
admin: {listen: "%s", token_file: admin-token}
nats: {embedded: {store_dir: nats, max_store: 256MiB}}
metrics: {listen: "%s"}
`

const chaosPolicy = `default: {pull: hold, direct: complete}
pages: metadata-only
bytes_per_page: 40_000
allowances: [{name: all, when: 'true', pages: 100_000, every: term, anchor: '01-01'}]
rules:
  - {name: too-many, at: arrival, when: 'job.copies > 50', verdict: abort, reason: copies.too-many,
     text: 'More than 50 copies go to the print shop.', remedy: 'Print fewer copies.'}
`

// kind is what is sent and what must become of it.
type kind struct {
	name    string
	spec    graphtest.JobSpec
	state   string // of the job at Graph in the end
	verdict string
	effects int
	paper   int
}

var kinds = []kind{
	{"held", graphtest.JobSpec{Printer: chaosPull}, "paused", "hold", 0, 0},
	{"tapped", graphtest.JobSpec{Printer: chaosPull}, "", "redirect", 1, 1},
	{"direct", graphtest.JobSpec{Printer: chaosDirect}, "completed", "complete", 1, 1},
	{"over the limit, pull", graphtest.JobSpec{Printer: chaosPull, Copies: 51}, "aborted", "abort", 1, 0},
	{"over the limit, direct", graphtest.JobSpec{Printer: chaosDirect, Copies: 51}, "aborted", "abort", 1, 0},
}

// chaos is a tenant that outlives the processes.
type chaos struct {
	*testing.T
	sim     *graphtest.Sim
	dice    *rand.Rand
	dir     string
	graph   string // address of the simulator
	metrics string
	api     string
	nats    bus.Config // of the store
	// settling is how long the last life took to bring everything to its end.
	settling time.Duration

	every time.Duration // between jobs; 0: 20 ms
	// outages are expected of the store: a job may wait for it.
	outages bool

	mu   sync.Mutex
	jobs map[graphtest.JobID]kind

	processes []*process // all that were started
}

func newChaos(t *testing.T, k graphtest.Knobs, seed uint64) *chaos {
	t.Helper()
	k.Seed, k.BindQueues = seed, []string{chaosPull, chaosDirect}
	c := &chaos{
		T: t, sim: graphtest.New(k), dice: rand.New(rand.NewPCG(seed,
			9)), dir: bustest.TempDir(t), metrics: mustFree(t), api: mustFree(t),
		jobs: map[graphtest.JobID]kind{},
	}
	c.nats = bus.Config{Embedded: &bus.Embedded{StoreDir: filepath.Join(c.dir, "nats"), MaxStore: 256 << 20}}
	t.Cleanup(c.sim.Close)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("again with: go test -run '%s' ./cmd/pullprint -chaos.seed %d -chaos.rounds %d", t.Name(), seed, *chaosRounds)
		}
	})
	c.sim.AddApp(graphtest.App{ClientID: chaosApp, Secret: "a-secret-of-the-simulator"})
	c.sim.AddUser(graphtest.User{UPN: chaosUser})
	c.sim.AddPrinter(graphtest.Printer{ID: chaosPull, DisplayName: "Follow-Me", Virtual: true})
	c.sim.AddPrinter(graphtest.Printer{ID: chaosDirect, DisplayName: "Poster"})
	c.sim.AddPrinter(graphtest.Printer{ID: chaosWest, DisplayName: "West"})
	c.sim.AddPrinter(graphtest.Printer{ID: chaosEast, DisplayName: "East"})
	for i := range tappers {
		c.sim.AddUser(graphtest.User{ID: tapperID(i), UPN: tapperUPN(i)})
	}
	srv := httptest.NewServer(c.sim)
	t.Cleanup(srv.Close)
	c.graph = srv.URL
	c.install(c.dir, mustFree(t), c.api, c.metrics)
	return c
}

// install writes the files of one installation, and returns its configuration.
func (c *chaos) install(dir, hook, api, metrics string) (config string) {
	c.Helper()
	config = fmt.Sprintf(chaosConfig, c.sim.Tenant(), c.graph, chaosApp, hook, chaosPull, chaosDirect, chaosWest,
		chaosEast, api, metrics)
	for name, text := range map[string]string{
		"client-secret": "a-secret-of-the-simulator",
		"policy.yaml":   chaosPolicy,
		"config.yaml":   config,
		"badge-key":     strings.Repeat("5a", 32),
		"admin-token":   chaosToken,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			c.Fatal(err)
		}
	}
	return config
}

// rounds is the whole story: n lives that end by SIGKILL at a random moment
// after begun, and one that ends well.
func (c *chaos) rounds(n int, begun func(*chaos, *process)) {
	c.Helper()
	p := c.start()
	c.ready(p) // before it there is no trigger, and a job is nobody's business
	c.enrol()
	stop, sent := make(chan struct{}), make(chan struct{})
	go c.send(stop, sent)
	stopTaps := c.tap()
	defer stopTaps()
	for round := range n {
		if round > 0 {
			c.ready(p)
			begun(c, p)
		}
		life := time.NewTimer(time.Duration(50+c.dice.IntN(1450)) * time.Millisecond)
		select {
		case <-life.C:
		case <-p.done:
			c.Errorf("round %d: the process ended by itself with %d", round, p.cmd.ProcessState.ExitCode())
		}
		p.kill()
		c.alive(p)
		if round == n-1 { // what is lost after the last sweep at start would wait a minute for the next
			close(stop)
			<-sent
		}
		p = c.start()
	}
	killed := time.Now()
	c.settle(p)
	// A message that a dead process had in hand comes again after the ack wait
	// of 30 s; its job may look settled before.
	for life := 0; c.unacked() > 0; life++ {
		if life == 4 {
			c.Fatal("messages are still not acknowledged after four quiet lives")
		}
		p = c.start()
		c.ready(p)
		select {
		case <-time.After(time.Until(killed.Add(time.Duration(32+4*life) * time.Second))):
		case <-p.done:
		}
		c.settle(p)
	}
	c.settling = time.Since(killed)
	stopTaps()
	c.judge()
}

// settle waits until each job has come to its end, and ends the process well.
func (c *chaos) settle(p *process) {
	c.Helper()
	c.ready(p)
	if !eventually(2*time.Minute, c.settled) {
		c.Errorf("not every job came to its end within two minutes")
	}
	if err := p.signal(syscall.SIGTERM); err != nil {
		c.Error(err)
	}
	if code, err := p.code(25 * time.Second); err != nil || code != exitDone {
		c.Errorf("SIGTERM: exit code %d, %v", code, err)
	}
	c.alive(p)
}

func (c *chaos) start() *process {
	c.Helper()
	p, err := startProcess(c.dir, os.Environ(), "run", "--config", "config.yaml")
	if err != nil {
		c.Fatal(err)
	}
	c.processes = append(c.processes, p)
	c.Cleanup(func() {
		p.kill()
		if c.Failed() {
			c.Logf("process %d:\n%s", p.cmd.Process.Pid, tail(p.err.String(), 4000))
		}
	})
	return p
}

var crashed = regexp.MustCompile(`(?m)^(panic:|fatal error:|WARNING: DATA RACE|pullprint:)`)

// alive complains of a process that crashed before it was told to end.
func (c *chaos) alive(p *process) {
	if text := p.err.String(); crashed.MatchString(text) {
		c.Errorf("process %d broke:\n%s", p.cmd.Process.Pid, tail(text, 4000))
	}
}

// ready waits until the program says that it can work.
func (c *chaos) ready(p *process) {
	c.await(p, "readiness", func() bool {
		code, _ := get("http://" + c.metrics + "/readyz")
		return code == http.StatusOK
	})
}

// swept waits until the program has begun to work off what a sweep found: with
// every notification lost there is nothing to interrupt before. It is for lives
// after the first, whose sweep was over before there were jobs.
func (c *chaos) swept(p *process) {
	before := c.ended()
	c.await(p, "the first end of a job", func() bool { return c.ended() > before })
}

func (c *chaos) await(p *process, what string, ok func() bool) {
	c.Helper()
	over := false
	if !eventually(time.Minute, func() bool {
		select {
		case <-p.done:
			over = true
		default:
		}
		return over || ok()
	}) || over {
		c.Fatalf("no %s; the process:\n%s", what, tail(p.err.String(), 4000))
	}
}

// send sends jobs at a steady rate until stop is closed, and closes sent. A kill may
// come before everybody had a job of theirs: what is missing is then sent at once.
func (c *chaos) send(stop <-chan struct{}, sent chan<- struct{}) {
	defer close(sent)
	every := c.every
	if every == 0 {
		every = 20 * time.Millisecond
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; i++ {
		k := kinds[i%len(kinds)]
		k.spec.User = chaosUser
		if k.verdict == "redirect" {
			k.spec.User = tapperUPN(i / len(kinds) % tappers)
		}
		c.mu.Lock()
		id, err := c.sim.Submit(k.spec)
		c.jobs[id] = k
		c.mu.Unlock()
		if err != nil {
			c.Error(err)
		}
		select {
		case <-stop:
			if i+1 >= len(kinds)*tappers {
				return
			}
		case <-tick.C:
		}
	}
}

// ended is how many jobs Graph has seen the end of.
func (c *chaos) ended() int {
	n := 0
	for _, j := range c.sim.Jobs("") {
		if j.State == "completed" || j.State == "aborted" {
			n++
		}
	}
	return n
}

var heldJobs = regexp.MustCompile(`(?m)^pullprint_held_jobs\{queue="Follow-Me"\} (\d+)$`)

// settled is true when each job has come to its end at Graph and those to be
// held are known to the program as held.
func (c *chaos) settled() bool {
	held := 0
	for id, k := range c.jobs {
		if k.effects == 0 {
			held++
		}
		j, ok := c.sim.Job(id)
		switch {
		case !ok, k.state != "" && j.State != k.state, k.verdict == "redirect" && c.sim.Prints(id) == 0:
			return false
		}
	}
	_, page := get("http://" + c.metrics + "/metrics")
	m := heldJobs.FindStringSubmatch(page)
	return m != nil && m[1] == strconv.Itoa(held)
}

// judge asks for what must hold, of Graph and of the program's own memory.
func (c *chaos) judge() {
	c.Helper()
	decisions, dead := c.memory()
	count := map[string]int{}
	for id, k := range c.jobs {
		count[k.verdict]++
		j, ok := c.sim.Job(id)
		switch {
		case !ok:
			c.Errorf("%s job %s: lost", k.name, id)
			continue
		case k.state != "" && j.State != k.state, j.Effects.Applied() != k.effects, c.sim.Prints(id) != k.paper:
			c.Errorf("%s job %s: %s, paper %d, effects %+v; want %s, paper %d, effects %d", k.name, id, j.State,
				c.sim.Prints(id), j.Effects,
				k.state, k.paper, k.effects)
		case j.Effects.AbortRefused > 0, j.Effects.RedirectRefused > 0, k.verdict == "complete" &&
			j.Effects.FinishRefused > 0:
			c.Errorf("%s job %s: the effect was called for again without a look at the job: %+v", k.name, id, j.Effects)
		case k.verdict == "abort" && j.Reason == "":
			c.Errorf("%s job %s: aborted without a reason", k.name, id)
		}
		want := []string{k.verdict}
		if k.verdict == "redirect" {
			want = []string{"hold", "redirect"}
		}
		got := slices.DeleteFunc(decisions[j.Task.ID],
			func(v string) bool { return v == "keep" }) // a tap may come at a bad moment
		if !slices.Equal(got, want) {
			c.Errorf("%s job %s: decisions %q in the audit, want %q", k.name, id, got, want)
			c.tellHistory(id, j.Task.ID)
		}
	}
	for _, wrong := range [][]string{c.sim.Audit(), c.sim.Violations(), dead} {
		for _, w := range wrong {
			c.Error(w)
		}
	}
	for _, k := range kinds {
		if count[k.verdict] == 0 {
			c.Errorf("no %s job was sent", k.name)
		}
	}
	c.Logf("%d jobs, %v; settled %s after the last kill", len(c.jobs), count, c.settling.Round(time.Millisecond))
}

// tellHistory logs what the store holds of a job, read once more, and what the processes
// said of its task.
func (c *chaos) tellHistory(id graphtest.JobID, task string) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), 30*time.Second)
	defer cancel()
	b := c.store(ctx)
	defer b.Close()
	if err := b.Jobs().Each(ctx, ">", func(key string, value []byte, rev uint64) error {
		if strings.Contains(key, id.Printer) && strings.HasSuffix(key, "."+id.Job) {
			c.Logf("record %s, revision %d: %s", key, rev, value)
		}
		return nil
	}); err != nil {
		c.Error(err)
	}
	if err := b.Decisions(ctx, time.Time{}, false, func(stored time.Time, body []byte) error {
		if strings.Contains(string(body), task) {
			c.Logf("decision stored %s: %s", stored.Format(time.RFC3339Nano), body)
		}
		return nil
	}); err != nil {
		c.Error(err)
	}
	for _, p := range c.processes {
		for line := range strings.Lines(p.err.String()) {
			if strings.Contains(line, task) || strings.Contains(line, id.Printer+"."+id.Job) {
				c.Logf("process %d: %s", p.cmd.Process.Pid, strings.TrimSpace(line))
			}
		}
	}
}

// paid looks that each person's account has paid for what they printed: not a
// side more, and none less.
func (c *chaos) paid(ctx context.Context, b *bus.Bus) {
	c.Helper()
	p, err := policyfile.Load("policy.yaml", []byte(chaosPolicy))
	if err != nil {
		c.Fatal(err)
	}
	printed := map[string]quota.Amount{}
	for _, s := range c.sim.Paper() {
		printed[s.User] += quota.Amount(s.Pages*s.Copies) * quota.Unit
	}
	if len(printed) <= tappers {
		c.Errorf("only %d people printed", len(printed))
	}
	ledger := ledger.New(b.Quota(), b, cryptorand.Text)
	for user, want := range printed {
		list, err := ledger.Balances(ctx, p.Budget(policy.Request{User: policy.User{ID: user}}).Claims, time.Now())
		if err != nil || len(list) != 1 {
			c.Fatal(list, err)
		}
		if got := list[0].Spent + list[0].Reserved; got != want {
			c.Errorf("%s printed %s pages and paid for %s (spent %s, reserved %s)", user, want, got, list[0].Spent,
				list[0].Reserved)
		}
	}
}

// store opens what the processes left behind. A process that another test is just starting has this
// one's files open, and with them the lock of a store that was closed, until it executes its program.
func (c *chaos) store(ctx context.Context) (b *bus.Bus) {
	c.Helper()
	var err error
	eventually(10*time.Second, func() bool {
		b, err = bus.Open(ctx, c.nats, bus.Options{})
		return !errors.Is(err, disk.ErrLocked)
	})
	if err != nil {
		c.Fatal(err)
	}
	return b
}

// unacked is how many stored tasks nobody has acknowledged.
func (c *chaos) unacked() int {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), 30*time.Second)
	defer cancel()
	b := c.store(ctx)
	defer b.Close()
	pending, unacked, err := b.Lag(ctx)
	if err != nil {
		c.Fatal(err)
	}
	return pending + unacked
}

// memory is what the store holds after the last life: the verdicts of each
// task, and what was given up.
func (c *chaos) memory() (decisions map[string][]string, dead []string) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), 30*time.Second)
	defer cancel()
	b := c.store(ctx)
	defer b.Close()
	c.paid(ctx, b)
	decisions = map[string][]string{}
	if err := b.Decisions(ctx, time.Time{}, false, func(_ time.Time, body []byte) error {
		var d decision.Decision
		if err := json.Unmarshal(body, &d); err != nil {
			return err
		}
		if c.outages && d.Verdict == "hold" && reasons.Waits(d.Reason) {
			return nil // what it needs was out of reach; it is decided again
		}
		decisions[d.Task] = append(decisions[d.Task], d.Verdict)
		return nil
	}); err != nil {
		c.Fatal(err)
	}
	if err := b.Dead(ctx, time.Time{}, false, func(_ time.Time, body []byte) error {
		dead = append(dead, "dead letter: "+string(body))
		return nil
	}); err != nil {
		c.Fatal(err)
	}
	return decisions, dead
}

// get reads a page; 0 when nobody answers.
func get(url string) (code int, body string) {
	client := http.Client{Timeout: 5 * time.Second}
	res, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(b)
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}
