package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// fleet is a tenant with several daemons.
type fleet struct {
	*chaos
	nodes    *bustest.Processes
	replicas [replicas]*replica
	events   []event
}

// replica is one of the daemons: an installation, and the process of the time.
type replica struct {
	dir, hook, api, metrics string
	p                       *process
	paths                   [bustest.Nodes]*bustest.Path // to the NATS servers
	url                     string                       // of these, by the paths
}

// event is something that went wrong, and when all was well again.
type event struct {
	what       string
	do         func()
	began, was time.Time
}

func newFleet(t *testing.T, k graphtest.Knobs, seed uint64) *fleet {
	t.Helper()
	node, err := exec.LookPath(natsNode)
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{chaos: newChaos(t, k, seed), nodes: bustest.StartProcesses(t, node)}
	f.every, f.outages = 40*time.Millisecond, true
	f.nats = bus.Config{URL: f.nodes.URL(), Replicas: bustest.Nodes}
	for i := range f.replicas {
		f.replicas[i] = &replica{
			dir: bustest.TempDir(t), hook: bustest.FreeAddress(t), api: bustest.FreeAddress(t), metrics: bustest.FreeAddress(t),
		}
		f.replicas[i].paths, f.replicas[i].url = f.nodes.Paths()
	}
	hooks, apis := f.door(func(r *replica) string { return r.hook }), f.door(func(r *replica) string { return r.api })
	f.api = apis
	for _, r := range f.replicas {
		config := f.install(r.dir, r.hook, r.api, r.metrics)
		for from, to := range map[string]string{
			`public_url: "http://` + r.hook:                          `public_url: "http://` + hooks,
			`nats: {embedded: {store_dir: nats, max_store: 256MiB}}`: fmt.Sprintf("nats: {url: %q, replicas: %d}", r.url, bustest.Nodes),
		} {
			if !strings.Contains(config, from) {
				t.Fatalf("the configuration has no %q", from)
			}
			config = strings.Replace(config, from, to, 1)
		}
		config += "log: {level: debug}\n"
		if err := os.WriteFile(r.dir+"/config.yaml", []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// door is a load balancer: it sends each request to the next daemon, and to one
// more when nobody listens there. It gives up a daemon that does not answer.
func (f *fleet) door(address func(*replica) string) string {
	client := &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: time.Second}).DialContext, MaxIdleConnsPerHost: 64,
			ResponseHeaderTimeout: 5 * time.Second,
		},
	}
	var turn atomic.Uint64
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		for range f.replicas {
			r := f.replicas[turn.Add(1)%replicas]
			out, err := http.NewRequestWithContext(req.Context(), req.Method, "http://"+address(r)+req.URL.RequestURI(),
				bytes.NewReader(body))
			if err != nil {
				break
			}
			out.Header = req.Header.Clone()
			res, err := client.Do(out)
			if errors.Is(err, syscall.ECONNREFUSED) {
				continue
			}
			if err != nil {
				break
			}
			defer res.Body.Close()
			for k, v := range res.Header {
				rw.Header()[k] = v
			}
			rw.WriteHeader(res.StatusCode)
			_, _ = io.Copy(rw, res.Body)
			return
		}
		rw.WriteHeader(http.StatusBadGateway)
	}))
	f.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// run starts the process of a replica.
func (f *fleet) run(r *replica) {
	f.Helper()
	p, err := startProcess(r.dir, os.Environ(), "run", "--config", "config.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.processes = append(f.processes, p)
	f.Cleanup(func() {
		_ = p.signal(syscall.SIGCONT)
		p.kill()
		if f.Failed() {
			f.Logf("daemon %d:\n%s", p.cmd.Process.Pid, tail(p.err.String(), 3000))
		}
	})
	r.p = p
}

func (f *fleet) startAll() {
	f.Helper()
	for _, r := range f.replicas {
		f.run(r)
	}
	for _, r := range f.replicas {
		f.awaitReady(r)
	}
}

func (f *fleet) awaitReady(r *replica) {
	f.Helper()
	f.await(r.p, "readiness", func() bool {
		code, _ := get("http://" + r.metrics + "/readyz")
		return code == http.StatusOK
	})
}

// end ends a daemon well.
func (f *fleet) end(r *replica) {
	f.Helper()
	if err := r.p.signal(syscall.SIGTERM); err != nil {
		f.Error(err)
	}
	if code, err := r.p.code(30 * time.Second); err != nil || code != exitDone {
		f.Errorf("SIGTERM: exit code %d, %v", code, err)
	}
	f.alive(r.p)
}
