package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"pullprint/trigger/graph/graphtest"
)

const (
	queueA     = "c05f3726-0d4b-4c21-9d6e-0a8a57b1b3a1"
	queueB     = "2f3453b7-93c0-4b5b-8bd6-1a2f0a3a4e11"
	registerID = "815f204f-c791-4ee6-9098-614ecdb003f6"
	otherApp   = "99999999-0000-4000-8000-000000000009"
)

// tenant is a simulated one, with its administrator and a user who is none.
type tenant struct {
	t            *testing.T
	sim          *graphtest.Sim
	config       string
	admin, plain string
	answer       func(code string) error // what is done when a code waits
	in           io.Reader               // nil: nothing is typed
}

func newTenant(t *testing.T) *tenant {
	t.Helper()
	k := graphtest.Calm()
	k.DeviceInterval = time.Second
	sim := graphtest.New(k)
	t.Cleanup(sim.Close)
	sim.AddApp(graphtest.App{ClientID: registerID, Secret: "secret"})
	for id, name := range map[string]string{queueA: "Follow-Me", queueB: "Poster"} {
		sim.AddPrinter(graphtest.Printer{ID: id, DisplayName: name})
	}
	n := &tenant{t: t, sim: sim}
	n.admin = sim.AddUser(graphtest.User{UPN: "admin@contoso.com", Administrator: true}).ID
	n.plain = sim.AddUser(graphtest.User{UPN: "student@contoso.com"}).ID
	n.answer = func(code string) error { return sim.ApproveDevice(code, n.admin) }
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	n.config = filepath.Join(dir, "config.yaml")
	text := fmt.Sprintf(`tenant_id: %s
endpoints: {graph: "%s/v1.0", authority: "%[2]s"}
auth: {client_id: %s, client_secret_file: secret}
webhook: {public_url: "https://print.contoso.com"}
queues:
  - {printer_id: %s, name: Follow-Me, mode: pull}
  - {printer_id: %s, name: Poster, mode: direct}
nats: {embedded: {store_dir: nats}}
`, sim.Tenant(), server.URL, registerID, queueA, queueB)
	for name, content := range map[string]string{"config.yaml": text, "secret": "secret"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// does runs a verb while somebody answers its sign-in.
func (n *tenant) does(args ...string) (out string, err error) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), time.Minute)
	defer cancel()
	return n.doesIn(ctx, args...)
}

// doesIn is does until ctx ends.
func (n *tenant) doesIn(ctx context.Context, args ...string) (out string, err error) {
	n.t.Helper()
	signed := make(chan struct{})
	var once sync.Once
	stderr := writerFunc(func(p []byte) {
		if strings.Contains(string(p), "enter the code") {
			once.Do(func() {
				defer close(signed)
				for _, code := range n.sim.DeviceCodes() {
					if !strings.Contains(string(p), code) {
						n.t.Errorf("the code %s is not told: %s", code, p)
					}
					if err := n.answer(code); err != nil {
						n.t.Error(err)
					}
				}
			})
		}
	})
	var stdout bytes.Buffer
	var in io.Reader = strings.NewReader("")
	if n.in != nil {
		in = n.in
	}
	err = run(ctx, append(args, "--config", n.config), stdio{in: in, out: &stdout, err: stderr})
	return stdout.String(), err
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

var _ io.Writer = writerFunc(nil)

func (n *tenant) wants(out string, parts ...string) {
	n.t.Helper()
	for _, part := range parts {
		if !strings.Contains(out, part) {
			n.t.Errorf("missing %q in\n%s", part, out)
		}
	}
}

// Plan changes nothing, apply puts the triggers on, again changes nothing, and
// remove takes away what is ours and nothing else.
func TestRegister(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	out, err := n.does("register", "plan")
	if err != nil || len(n.sim.Definitions()) != 0 {
		t.Fatalf("%v %s", err, out)
	}
	n.wants(out, `task definition "pullprint": not there, it would be created`, "Follow-Me", "missing", "create")
	if out, err = n.does("register", "apply"); err == nil || !strings.Contains(err.Error(), "no terminal") {
		t.Fatalf("%v %s", err, out)
	}
	if out, err = n.does("register", "apply", "--yes"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	n.wants(out, "done    Follow-Me", "done    Poster", `All 2 queues start tasks of "pullprint"`)
	calls := n.sim.Calls(graphtest.OpTriggerCreate)
	if out, err = n.does("register", "apply", "--yes"); err != nil || n.sim.Calls(graphtest.OpTriggerCreate) != calls {
		t.Fatalf("%v %s", err, out)
	}
	n.wants(out, "ours", "nothing")
	if out, err = n.does("register", "plan", "--json"); err != nil {
		t.Fatal(err)
	}
	n.wants(out, `"state": "ours"`)
	if out, err = n.does("register", "remove", "--yes"); err != nil || len(n.sim.Definitions()) != 0 {
		t.Fatalf("%v %s", err, out)
	}
	n.wants(out, "Nothing of pullprint is left")
	if out, err = n.does("register", "remove", "--yes"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
}

// A trigger of another app is named and left alone, unless one says otherwise.
func TestRegisterForeign(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	foreign := n.sim.PlantDefinition(otherApp, "Other Vendor")
	if _, err := n.sim.AddTrigger(queueB, foreign); err != nil {
		t.Fatal(err)
	}
	out, err := n.does("register", "apply", "--yes")
	if err == nil || !strings.Contains(err.Error(),
		"1 queue not as it should be: fix the problems above, then run this again") {
		t.Errorf("%v", err)
	}
	n.wants(out, `foreign: "Other Vendor" of app `+otherApp, "left alone; --replace takes its place", "done    Follow-Me")
	if out, err = n.does("register", "remove", "--yes"); err != nil {
		t.Errorf("%v %s", err, out)
	}
	if got := n.sim.Definitions(); len(got) != 1 || got[0] != foreign {
		t.Errorf("definitions %v", got)
	}
	if out, err = n.does("register", "apply", "--yes", "--replace"); err != nil {
		t.Errorf("%v %s", err, out)
	}
	n.wants(out, "foreign", "replace", "All 2 queues")
}

// A sign-in that is kept needs no second one, until it is revoked or forgotten.
func TestRegisterKeep(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	asked := 0
	n.answer = func(code string) error { asked++; return n.sim.ApproveDevice(code, n.admin) }
	var usage usageError
	if _, err := n.does("register", "plan", "--keep"); !errors.As(err, &usage) ||
		!strings.Contains(err.Error(), "set administrator.sign_in_file and administrator.key_file") {
		t.Errorf("%v", err)
	}
	n.write("key", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n")
	n.edit("nats:", "administrator: {sign_in_file: kept, key_file: key}\nnats:")
	for _, args := range [][]string{{"plan", "--keep"}, {"apply", "--yes"}, {"plan"}} {
		if out, err := n.does(append([]string{"register"}, args...)...); err != nil || asked != 1 {
			t.Fatalf("%v: asked %d times, %v %s", args, asked, err, out)
		}
	}
	n.sim.RevokeSignIns(n.admin)
	if out, err := n.does("register", "plan"); err != nil || asked != 2 {
		t.Errorf("revoked: asked %d times, %v %s", asked, err, out)
	}
	if out, err := n.does("register", "plan", "--keep"); err != nil || asked != 3 {
		t.Errorf("kept anew: asked %d times, %v %s", asked, err, out)
	}
	kept := filepath.Join(filepath.Dir(n.config), "kept")
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
	if out, err := n.does("register", "remove", "--yes"); err != nil || asked != 3 {
		t.Errorf("remove: asked %d times, %v %s", asked, err, out)
	}
	if _, err := os.Stat(kept); !os.IsNotExist(err) {
		t.Errorf("still kept: %v", err)
	}
}

// files are the names in the folder of the configuration.
func (n *tenant) files() (names []string) {
	list, err := os.ReadDir(filepath.Dir(n.config))
	if err != nil {
		n.t.Fatal(err)
	}
	for _, f := range list {
		names = append(names, f.Name())
	}
	return names
}

// Apply shows the plan and asks: a yes does it, anything else changes nothing. And
// nothing is stored on this machine.
func TestRegisterAsks(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	before := n.files()
	for _, c := range []struct {
		typed string
		done  bool
	}{{"n\n", false}, {"\n", false}, {"y\n", true}} {
		master, slave := pty(t)
		if _, err := master.WriteString(c.typed); err != nil {
			t.Fatal(err)
		}
		n.in = slave
		out, err := n.does("register", "apply")
		n.wants(out, "QUEUE", "Do it? [y/N] ")
		if made := len(n.sim.Definitions()) == 1; made != c.done || (err == nil) != c.done {
			t.Errorf("%q: %v %s", c.typed, err, out)
		}
		if !c.done && n.sim.Calls(graphtest.OpTriggerCreate)+n.sim.Calls(graphtest.OpDefinitionCreate) != 0 {
			t.Errorf("%q: changed", c.typed)
		}
	}
	if now := n.files(); !slices.Equal(before, now) {
		t.Errorf("stored: %v, before %v", now, before)
	}
}

// pty is a terminal: what is written to its master is typed.
func pty(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal to be had: %v", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	var number, unlock int32
	for request, at := range map[uintptr]*int32{syscall.TIOCGPTN: &number, syscall.TIOCSPTLCK: &unlock} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), request,
			uintptr(unsafe.Pointer(at))); errno != 0 { //nolint:gosec // what ioctl wants
			t.Fatal(errno)
		}
	}
	if slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slave.Close() })
	return master, slave
}
