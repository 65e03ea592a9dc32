package daemon_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/store"
)

type life struct {
	*shift
	wire *mortalWire
	link *bustest.Link // nil with an embedded store
	bus  *bus.Bus

	plain string // its configuration at first
}

type mortalWire struct {
	next http.RoundTripper
	gate bustest.Gate
	done chan struct{} // closed when the process is dead
}

func (m *mortalWire) RoundTrip(r *http.Request) (*http.Response, error) {
	if !m.alive() {
		return nil, errors.New("the process is dead")
	}
	res, err := m.next.RoundTrip(r)
	if !m.alive() {
		return nil, errors.New("the process is dead")
	}
	return res, err
}

func (m *mortalWire) alive() bool {
	if !m.gate.Pass(m.done) {
		return false
	}
	select {
	case <-m.done:
		return false
	default:
		return true
	}
}

func (n *nemesis) call(method, path, body string) (code int) {
	client := &http.Client{Transport: n.net.transport(), Timeout: time.Minute}
	defer client.CloseIdleConnections()
	n.mu.Lock()
	n.turn++
	l := n.lives[n.turn%len(n.lives)]
	n.mu.Unlock()
	req, err := http.NewRequest(method, "http://"+l.admin()+path, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res.StatusCode
}

func (n *nemesis) erase() (code int) {
	return n.call(http.MethodPost, "/v1/people/"+guestID+"/erase", `{"cancel_held":true,"forget_budget":true}`)
}

func (n *nemesis) install(o *office) *life {
	o.write("policy.yaml", nemesisPolicy)
	o.edit("hold_for: 1h", "hold_for: 10m")
	o.edit("devices:", "  - {printer_id: "+strangeID+", name: Spare, mode: pull}\ndevices:")
	plain, err := os.ReadFile(filepath.Join(o.dir, "config.yaml"))
	if err != nil {
		n.t.Fatal(err)
	}
	return &life{shift: &shift{office: o}, plain: string(plain)}
}

func (n *nemesis) kill(l *life) {
	close(l.wire.done)
	if l.link != nil {
		l.link.Kill()
	} else {
		bustest.KillIn(n.t, l.bus, l.dir+"/nats")
	}
	l.stop()
	<-l.done // it fails: its store is gone
	n.begin(l)
}

func (n *nemesis) restart(l *life) {
	n.supervise()
	l.end()
	n.begin(l)
}

func (n *nemesis) supervise() {
	for _, l := range n.lives {
		select {
		case err := <-l.done:
			if n.server == nil || !errors.Is(err, store.ErrUnavailable) {
				n.ends = append(n.ends, fmt.Sprintf("a daemon ended: %v", err))
			}
			close(l.wire.done)
			n.begin(l)
		default:
		}
	}
}

func (n *nemesis) begin(l *life) {
	opened := make(chan struct{})
	l.wire, l.link = &mortalWire{next: n.sim.Transport(), done: make(chan struct{})}, nil
	if n.server != nil {
		l.link = n.server.Link()
	}
	l.tune = func(d *daemonOptions) {
		d.Transport, d.Opened = l.wire, func(b *bus.Bus) { l.bus = b; close(opened) }
		if l.link != nil {
			d.NATS = l.link
		}
	}
	l.shift = l.office.start(zap.NewNop())
	select {
	case <-opened:
	case err := <-l.done:
		n.t.Fatalf("the daemon does not start: %v", err)
	}
}
