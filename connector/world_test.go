package connector_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/connector"
	"pullprint/connector/arrival"
	"pullprint/connector/bus"
	"pullprint/connector/delegation"
	"pullprint/connector/evaluate"
	"pullprint/connector/index"
	"pullprint/connector/inflight"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/connector/store"
	"pullprint/connector/sweep"
	"pullprint/policy"
	"pullprint/policy/policyfile"
	"pullprint/policy/quota/ledger"
	"pullprint/trigger"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/webhook"
)

// The tenant of every test of this package.
const (
	tenantID   = "84bd8158-6d4d-4958-8b9f-9d6445542f95"
	publicURL  = "http://127.0.0.1:8443"
	appID      = "815f204f-c791-4ee6-9098-614ecdb003f6"
	appSecret  = "a-secret-of-the-simulator"
	pullID     = "c05f3726-0d4b-4c21-9d6e-0a8a57b1b3a1"
	directID   = "2f3453b7-93c0-4b5b-8bd6-1a2f0a3a4e11"
	strangerID = "7d1b2c3e-4f50-4a6b-8c7d-9e0f1a2b3c4d"
	studentID  = "11111111-2222-4333-8444-555555555555"
)

const testPolicy = `
rules:
  - {name: too-many, at: arrival, when: 'job.copies > 50', verdict: abort, reason: copies.too-many,
     text: 'More than 50 copies go to the print shop.', remedy: 'Print fewer copies.'}
`

var queues = []printer.Queue{
	{PrinterID: pullID, Name: "Follow-Me", Mode: "pull", HoldFor: 24 * time.Hour},
	{PrinterID: directID, Name: "Poster", Mode: "direct", HoldFor: 24 * time.Hour},
}

// The printers with a reader in front of them.
const (
	westID = "9a3b3956-5a0e-4c5b-9d1a-61a1c2d3e4f5"
	eastID = "1c2d3e4f-7b8c-4d9e-8f0a-112233445566"
)

var devices = []printer.Device{
	{ID: "hq-2-west", PrinterID: westID, Queues: []string{"Follow-Me"}},
	{ID: "hq-2-east", PrinterID: eastID, Queues: []string{"Follow-Me"}},
}

// world is Universal Print and the durable store: what outlives a process.
type world struct {
	t          testing.TB
	sim        *graphtest.Sim
	bus        *bus.Bus
	verifier   *trigger.Verifier
	secretFile string
}

func newWorld(t testing.TB, b *bus.Bus, k graphtest.Knobs) *world {
	t.Helper()
	w := &world{t: t, bus: b, secretFile: filepath.Join(t.TempDir(), "secret")}
	w.verifier = trigger.NewVerifier(trigger.VerifierOptions{TenantID: tenantID, State: b.State()})
	hook := webhook.New(webhook.Options{PublicURL: publicURL, Store: b, Verifier: w.verifier})
	k.Tenant, k.Deliver = tenantID, inMemory{hook}
	w.sim = graphtest.New(k)
	t.Cleanup(w.sim.Close)
	if err := os.WriteFile(w.secretFile, []byte(appSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	w.sim.AddApp(graphtest.App{ClientID: appID, Secret: appSecret})
	w.sim.AddUser(graphtest.User{ID: studentID, UPN: "student@contoso.com", Groups: []graphtest.Group{{DisplayName: "students"}}})
	for id, name := range map[string]string{
		pullID: "Follow-Me", directID: "Poster", strangerID: "Stranger",
		westID: "West", eastID: "East",
	} {
		w.sim.AddPrinter(graphtest.Printer{ID: id, DisplayName: name})
	}
	w.register()
	return w
}

// register runs book and registrar for the rest of the test and waits until
// the subscription lives; then an administrator puts the triggers on.
func (w *world) register() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	live := make(chan struct{}, 1)
	reg, err := trigger.NewRegistrar(trigger.RegistrarOptions{
		Graph: w.client(w.sim.Transport()), State: w.bus.State(), Verifier: w.verifier, AppID: appID, PublicURL: publicURL,
		OnResubscribed: func() { live <- struct{}{} },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return w.verifier.Run(gctx) })
	g.Go(func() error { return reg.Run(gctx) })
	w.t.Cleanup(func() { cancel(); _ = g.Wait() })
	<-live
	for _, p := range []string{pullID, directID, strangerID} {
		if _, err := w.sim.AddTrigger(p, w.verifier.Definition()); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) client(rt http.RoundTripper) *graph.Client {
	w.t.Helper()
	c, err := graph.New(graph.Config{
		TenantID: tenantID, Cloud: "global",
		Endpoints: graph.Endpoints{Graph: "http://127.0.0.1:9440/v1.0", Authority: "http://127.0.0.1:9440"},
		Auth:      auth.Config{ClientID: appID, ClientSecretFile: w.secretFile},
	}, graph.Options{Logger: zap.NewNop(), Transport: rt})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// print sends a job and returns it with the delivery that tells of it.
func (w *world) print(spec graphtest.JobSpec) (graphtest.JobID, store.Delivery) {
	w.t.Helper()
	spec.User = studentID
	id, err := w.sim.Submit(spec)
	if err != nil {
		w.t.Fatal(err)
	}
	job, ok := w.sim.Job(id)
	if !ok || job.Task.ID == "" {
		w.t.Fatalf("job %v has no task", id)
	}
	body, err := w.verifier.SweepNotification(job.Task.ID, id.Printer, id.Job)
	if err != nil {
		w.t.Fatal(err)
	}
	return id, store.Delivery{Body: body, Definition: w.verifier.Definition(), Delivered: 1, Stored: time.Now(), Sequence: 1}
}

// inMemory posts to a handler without a socket.
type inMemory struct{ http.Handler }

func (m inMemory) RoundTrip(req *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	m.ServeHTTP(rec, req)
	return rec.Result(), nil
}

// errKilled is what a dead process sees of the world; the world sees nothing of it.
var errKilled = errors.New("the process is dead")

// life is one process: a worker whose store, audit and Graph die at one spot,
// all together, and stay dead.
type life struct {
	*world
	spot string // where it dies; empty = never
	dead atomic.Bool
	ctx  context.Context // ends with the process
	kill context.CancelFunc

	index     *index.Index
	evaluator *evaluate.Evaluator
	worker    *arrival.Handler
	sweeper   *sweep.Sweeper
	release   *release.Releaser
	end       func() // stops the index
}

// reach passes a spot: it is where the process dies, or it is dead already.
func (l *life) reach(spot string) error {
	if spot == l.spot {
		l.dead.Store(true)
		l.kill()
	}
	if l.dead.Load() {
		return errKilled
	}
	return nil
}

// dyingKV is the store as a mortal process reaches it.
type dyingKV struct {
	job.KV
	l *life
}

func (k dyingKV) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if k.l.dead.Load() {
		return nil, 0, errKilled
	}
	return k.KV.Get(ctx, key)
}

func (k dyingKV) CompareAndSet(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, bool, error) {
	var rec job.Record
	if err := json.Unmarshal(value, &rec); err != nil {
		return 0, false, err
	}
	kind := "outcome"
	if !rec.State.Final() {
		kind = "intent"
	}
	if err := k.l.reach("before " + kind); err != nil {
		return 0, false, err
	}
	rev, ok, err := k.KV.CompareAndSet(ctx, key, value, revision, ttl)
	if dead := k.l.reach("after " + kind); dead != nil {
		return 0, false, dead
	}
	return rev, ok, err
}

// dyingLedger is the store of accounts as a mortal process reaches it.
type dyingLedger struct {
	ledger.KV
	l *life
}

func (k dyingLedger) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if k.l.dead.Load() {
		return nil, 0, errKilled
	}
	return k.KV.Get(ctx, key)
}

func (k dyingLedger) CompareAndSet(
	ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration,
) (uint64, bool, error) {
	if err := k.l.reach("before account"); err != nil {
		return 0, false, err
	}
	rev, ok, err := k.KV.CompareAndSet(ctx, key, value, revision, ttl)
	if dead := k.l.reach("after account"); dead != nil {
		return 0, false, dead
	}
	return rev, ok, err
}

// dyingNotes is where a mortal process notes what it works on.
type dyingNotes struct {
	inflight.KV
	l *life
}

func (k dyingNotes) CompareAndSet(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, bool, error) {
	if err := k.l.reach("before note"); err != nil {
		return 0, false, err
	}
	rev, ok, err := k.KV.CompareAndSet(ctx, key, value, revision, ttl)
	if dead := k.l.reach("after note"); dead != nil {
		return 0, false, dead
	}
	return rev, ok, err
}

func (k dyingNotes) Delete(ctx context.Context, key string, revision uint64) (bool, error) {
	if k.l.dead.Load() {
		return false, errKilled
	}
	return k.KV.Delete(ctx, key, revision)
}

// dyingAudit is the audit as a mortal process reaches it.
type dyingAudit struct{ l *life }

func (a dyingAudit) PublishDecision(ctx context.Context, verdict, msgID string, body []byte) error {
	kind := "audit"
	if verdict == "redirect" {
		kind = "redirect audit"
	}
	if err := a.l.reach("before " + kind); err != nil {
		return err
	}
	err := a.l.bus.PublishDecision(ctx, verdict, msgID, body)
	if dead := a.l.reach("after " + kind); dead != nil {
		return dead
	}
	return err
}

func (a dyingAudit) PublishDead(ctx context.Context, msgID string, body []byte) error {
	if a.l.dead.Load() {
		return errKilled
	}
	return a.l.bus.PublishDead(ctx, msgID, body)
}

// dyingWire is the network as a mortal process reaches it: it may die before
// an effect is sent, or after Graph applied it and before the reply is read.
type dyingWire struct{ l *life }

func (d dyingWire) RoundTrip(req *http.Request) (*http.Response, error) {
	effect := req.Method == http.MethodPatch || (req.Method == http.MethodPost && !strings.Contains(req.URL.Path, "/oauth2/"))
	if !effect {
		if d.l.dead.Load() {
			return nil, errKilled
		}
		return d.l.sim.Transport().RoundTrip(req)
	}
	if err := d.l.reach("before call"); err != nil {
		return nil, err
	}
	res, err := d.l.sim.Transport().RoundTrip(req)
	if dead := d.l.reach("after call"); dead != nil {
		if res != nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
		return nil, dead
	}
	return res, err
}

// answered is a Graph client that says it was answered just now, so that no
// failure is taken for an outage.
type answered struct{ *graph.Client }

func (answered) LastSuccess() time.Time { return time.Now() }

var lives atomic.Int64

// shortHold holds jobs for an hour: a day of virtual time takes seconds.
func shortHold(d *connector.Deps) {
	d.Queues = slices.Clone(d.Queues)
	for i := range d.Queues {
		d.Queues[i].HoldFor = time.Hour
	}
}

// hold prints a job into the pull queue and has it held; change is as for live.
func (w *world) hold(change ...func(*connector.Deps)) graphtest.JobID {
	w.t.Helper()
	id, d := w.print(graphtest.JobSpec{Printer: pullID})
	l := w.live("", change...)
	defer l.end()
	l.worker.Handle(l.ctx, d)
	return id
}

func (w *world) setPrinter(id, state string, accepting bool) {
	w.t.Helper()
	if err := w.sim.SetPrinter(id, state, accepting); err != nil {
		w.t.Fatal(err)
	}
}

// order asks for every job of the student at the west device.
func order() release.Order {
	return release.Order{Device: "hq-2-west", Owner: studentID, At: time.Now()}
}

// live starts a process that dies at spot and returns when its index has read
// every record; change, when given, changes what its worker works with.
func (w *world) live(spot string, change ...func(*connector.Deps)) *life {
	w.t.Helper()
	l := &life{world: w, spot: spot}
	pol, err := policyfile.Load("policy.yaml", []byte(testPolicy))
	if err != nil {
		w.t.Fatal(err)
	}
	l.index = index.New(job.NewStore(w.bus.Jobs(), job.DefaultRetention), queues, nil, zap.NewNop())
	client := w.client(dyingWire{l})
	var documents evaluate.Documents
	documents.Fill()
	deps := connector.Deps{
		Graph: answered{client}, Pages: evaluate.PageCounter(client, documents),
		Jobs: job.NewStore(dyingKV{w.bus.Jobs(), l}, job.DefaultRetention),
		Ledger: ledger.New(dyingLedger{w.bus.Quota(), l}, w.bus,
			rand.Text), Audit: dyingAudit{l}, Inflight: dyingNotes{w.bus.Inflight(), l},
		Notices: w.bus, Feed: w.bus, Delegations: delegation.New(w.bus.State()), Verifier: w.verifier,
		Policy: func() *policy.Policy { return pol }, Queues: queues, Devices: devices, Index: l.index, Logger: zap.NewNop(),
		Instance: "life-" + strconv.FormatInt(lives.Add(1), 10), Sole: true,
	}
	for _, c := range change {
		c(&deps)
	}
	c := connector.New(deps)
	l.evaluator, l.worker, l.release, l.sweeper = c.Evaluator, c.Arrivals, c.Releaser, c.Sweeper
	l.ctx, l.kill = context.WithCancel(context.Background())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = l.index.Run(ctx) }()
	l.end = sync.OnceFunc(func() { l.kill(); cancel(); <-done })
	w.t.Cleanup(l.end)
	<-l.index.Ready()
	return l
}
