package daemon_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/config"
	"pullprint/connector/daemon"
	"pullprint/connector/decision"
	"pullprint/policy/badge"
	"pullprint/trigger/graph/graphtest"
)

// The tenant of every end-to-end test.
const (
	appID     = "815f204f-c791-4ee6-9098-614ecdb003f6"
	appSecret = "a-secret-of-the-simulator"
	pullID    = "c05f3726-0d4b-4c21-9d6e-0a8a57b1b3a1"
	directID  = "2f3453b7-93c0-4b5b-8bd6-1a2f0a3a4e11"
	strangeID = "7d1b2c3e-4f50-4a6b-8c7d-9e0f1a2b3c4d"
	studentID = "11111111-2222-4333-8444-555555555555"
	teacherID = "66666666-7777-4888-8999-aaaaaaaaaaaa"
	guestID   = "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff"
	westID    = "9a3b3956-5a0e-4c5b-9d1a-61a1c2d3e4f5"
	eastID    = "1c2d3e4f-7b8c-4d9e-8f0a-112233445566"

	adminToken  = "token-of-the-administrator"
	readerToken = "token-of-the-west-reader"

	hookAddr    = "127.0.0.1:8443"
	metricsAddr = "127.0.0.1:9464"
	graphAddr   = "127.0.0.1:9440"
)

const officePolicy = `rules:
  - {name: too-many, at: arrival, when: 'job.copies > 50', verdict: abort, reason: copies.too-many,
     text: 'More than 50 copies go to the print shop.', remedy: 'Print fewer copies.'}
`

// office is a tenant and the folder of an installation: what outlives a daemon.
type office struct {
	t       *testing.T
	sim     *graphtest.Sim
	dir     string
	net     *memoryNet
	hook    *deliveries
	metrics string // address
	badges  string // more of the section badges
	located string // more of the device with a station
	more    string // more sections
	listen  func(network, address string) (net.Listener, error)
	tune    func(*daemon.Options) // what a test wants otherwise
}

// admin is the address of the API.
func (o *office) admin() string { return strings.Replace(o.metrics, ":9", ":8", 1) }

// onSocket has the API and the pages of the next daemon on a socket of this machine, for a
// browser, and returns their URL.
func (o *office) onSocket() string {
	o.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		o.t.Fatal(err)
	}
	o.listen = func(network, address string) (net.Listener, error) {
		if address == o.admin() {
			return ln, nil
		}
		return o.net.listen(network, address)
	}
	return "http://" + ln.Addr().String()
}

// ask calls the API, as a reader or an administrator would, and reads the answer
// into out.
func (o *office) ask(token, method, path, body string, out any) int {
	o.t.Helper()
	client := &http.Client{Transport: o.net.transport()}
	defer client.CloseIdleConnections()
	req, err := http.NewRequest(method, "http://"+o.admin()+path, strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		o.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			o.t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, answer)
		}
	}
	return res.StatusCode
}

func newOffice(t *testing.T, k graphtest.Knobs) *office {
	t.Helper()
	o := &office{t: t, dir: bustest.TempDir(t), net: newMemoryNet(), metrics: metricsAddr}
	o.listen = o.net.listen
	o.hook = &deliveries{RoundTripper: o.net.transport()}
	k.Deliver = o.hook
	o.sim = graphtest.New(k)
	t.Cleanup(o.sim.Close)
	o.sim.AddApp(graphtest.App{ClientID: appID, Secret: appSecret})
	o.sim.AddUser(graphtest.User{
		ID: studentID, UPN: "student@contoso.com", GivenName: "Anna", Groups: []graphtest.Group{{DisplayName: "students"}},
	})
	for id, name := range map[string]string{
		pullID: "Follow-Me", directID: "Poster", strangeID: "Stranger",
		westID: "West", eastID: "East",
	} {
		o.sim.AddPrinter(graphtest.Printer{ID: id, DisplayName: name})
	}
	o.sim.AddUser(graphtest.User{ID: teacherID, UPN: "teacher@contoso.com", EmployeeID: "E77"})
	o.install("embedded: {store_dir: nats, max_store: 256MiB}")
	return o
}

// replica is another machine of the same installation.
func (o *office) replica(metrics, nats string) *office {
	r := *o
	r.dir, r.metrics = bustest.TempDir(o.t), metrics
	r.install(nats)
	return &r
}

// install writes the files of an installation.
func (o *office) install(nats string) {
	o.write("client-secret", appSecret)
	o.write("policy.yaml", officePolicy)
	o.write("badge-key", strings.Repeat("5a", 32))
	o.write("admin-token", adminToken)
	o.write("reader-token", readerToken)
	o.write("config.yaml", fmt.Sprintf(`
tenant_id: %s
endpoints: {graph: "http://%s/v1.0", authority: "http://%[2]s"}
auth: {client_id: %s, client_secret_file: client-secret}
webhook: {listen: "%s", public_url: "http://%[4]s"}
queues:
  - {printer_id: %s, name: Follow-Me, mode: pull, hold_for: 1h}
  - {printer_id: %s, name: Poster, mode: direct}
devices:
  - {id: hq-2-west, printer_id: %s, queues: [Follow-Me], token_file: reader-token%s}
  - {id: hq-2-east, printer_id: %s, queues: [Follow-Me]}
policy: {file: policy.yaml}
badges: {key_file: badge-key%s}
admin: {listen: "%s", token_file: admin-token}
nats: {%s}
metrics: {listen: "%s"}
%s
`, o.sim.Tenant(), graphAddr, appID, hookAddr, pullID, directID, westID, o.located, eastID, o.badges, o.admin(), nats, o.metrics, o.more))
}

func (o *office) write(name, text string) {
	o.t.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, name), []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// shift is one life of the daemon.
type shift struct {
	*office
	reg    *prometheus.Registry
	reload chan struct{}
	stop   context.CancelFunc
	done   chan error

	mu        sync.Mutex
	decisions []decision.Decision
	changed   chan struct{}
}

// start runs the daemon until its stop or the end of the test.
func (o *office) start(log *zap.Logger) *shift {
	o.t.Helper()
	cfg, err := config.Load(filepath.Join(o.dir, "config.yaml"))
	if err != nil {
		o.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &shift{office: o, reg: prometheus.NewRegistry(), reload: make(chan struct{}, 1), stop: cancel, done: make(chan error,
		1), changed: make(chan struct{}, 1)}
	options := daemon.Options{
		Config: cfg, Logger: log, Registry: s.reg, Reload: s.reload, Listen: o.listen,
		Transport: o.sim.Transport(), OnDecision: s.decided,
	}
	if o.tune != nil {
		o.tune(&options)
	}
	go func() { s.done <- daemon.Run(ctx, options) }()
	return s
}

// end stops the daemon and waits for it.
func (s *shift) end() {
	s.t.Helper()
	s.stop()
	if err := <-s.done; err != nil {
		s.t.Errorf("daemon: %v", err)
	}
}

func (s *shift) decided(d decision.Decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.decisions = append(s.decisions, d)
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *shift) all() []decision.Decision {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]decision.Decision(nil), s.decisions...)
}

// await blocks until done says so, looking again at every decision and every
// 100 ms of (virtual) time; it fails after within.
func (s *shift) await(what string, within time.Duration, done func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(within)
	for !done() {
		if time.Now().After(deadline) {
			s.t.Fatalf("not within %s: %s", within, what)
		}
		tick := time.NewTimer(100 * time.Millisecond)
		select {
		case <-s.changed:
		case <-tick.C:
		case err := <-s.done:
			s.done <- err // for end
			s.t.Fatalf("the daemon ended while waiting for %s: %v", what, err)
		}
		tick.Stop()
	}
}

// register waits for the daemon's definition and subscription and puts the
// triggers on the queues, as an administrator would.
func (s *shift) register() {
	s.t.Helper()
	s.await("registration", time.Minute, func() bool { return len(s.sim.Definitions()) > 0 && len(s.sim.Subscriptions()) > 0 })
	s.trigger()
}

func (o *office) trigger() {
	o.t.Helper()
	for _, p := range []string{pullID, directID, strangeID} {
		if _, err := o.sim.AddTrigger(p, o.sim.Definitions()[0]); err != nil {
			o.t.Fatal(err)
		}
	}
}

func (o *office) print(spec graphtest.JobSpec) graphtest.JobID {
	o.t.Helper()
	spec.User = studentID
	id, err := o.sim.Submit(spec)
	if err != nil {
		o.t.Fatal(err)
	}
	return id
}

// get reads a page of the metrics listener.
func (o *office) get(path string) (int, string) {
	o.t.Helper()
	client := &http.Client{Transport: o.net.transport()}
	defer client.CloseIdleConnections()
	res, err := client.Get("http://" + o.metrics + path)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return res.StatusCode, err.Error()
	}
	return res.StatusCode, string(body)
}

// memoryNet is a network without sockets, so that everything can happen in
// virtual time.
// Several may listen on one address, as behind a load balancer.
type memoryNet struct {
	mu        sync.Mutex
	listeners map[string][]*memoryListener
	turn      int
}

func newMemoryNet() *memoryNet { return &memoryNet{listeners: map[string][]*memoryListener{}} }

func (n *memoryNet) listen(_, address string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ln := &memoryListener{address: address, conns: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[address] = append(n.listeners[address], ln)
	return ln, nil
}

func (n *memoryNet) dial(ctx context.Context, _, address string) (net.Conn, error) {
	ln := n.next(address)
	if ln == nil {
		return nil, errors.New("connection refused")
	}
	here, there := net.Pipe()
	select {
	case ln.conns <- there:
		return here, nil
	case <-ln.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// next is the next open listener of an address, in turn.
func (n *memoryNet) next(address string) *memoryListener {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listeners[address] = slices.DeleteFunc(n.listeners[address], func(l *memoryListener) bool {
		select {
		case <-l.closed:
			return true
		default:
			return false
		}
	})
	if len(n.listeners[address]) == 0 {
		return nil
	}
	n.turn++
	return n.listeners[address][n.turn%len(n.listeners[address])]
}

func (n *memoryNet) transport() *http.Transport {
	return &http.Transport{DialContext: n.dial, DisableKeepAlives: true}
}

type memoryListener struct {
	address string
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *memoryListener) Addr() net.Addr { return memoryAddr(l.address) }

type memoryAddr string

func (memoryAddr) Network() string  { return "tcp" }
func (a memoryAddr) String() string { return string(a) }

// pass waits in virtual time; the daemon and the simulator go on.
func pass(d time.Duration) { time.Sleep(d) }

// adminClient is the API over real sockets.
type adminClient string

func (base adminClient) enrol(number, owner string) error {
	_, err := apiclient.New(string(base), adminToken).Enrol(context.Background(), number, badge.Enrolment{Owner: owner})
	return err
}

func (base adminClient) code(owner string) (string, error) {
	c, err := apiclient.New(string(base), adminToken).Code(context.Background(), apiclient.CodeBody{Owner: owner, ValidFor: "1h"})
	return c.Code, err
}
