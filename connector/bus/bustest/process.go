package bustest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Node is a program: a NATS server with the configuration file that is its
// argument, until SIGTERM. A TestMain offers it under a name of its own, for
// StartProcesses.
func Node() {
	if err := node(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func node() error {
	if len(os.Args) != 2 {
		return errors.New("want the configuration file of the server")
	}
	opts, err := server.ProcessConfigFile(os.Args[1])
	if err != nil {
		return err
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return err
	}
	s.ConfigureLogger()
	s.Start()
	s.WaitForShutdown()
	return nil
}

// Processes is a Cluster whose servers are processes of their own, with a Path from each to each other.
type Processes struct {
	*Cluster
	command string
	paths   [Nodes][Nodes]*Path // from one server to another; nil to itself

	mu   sync.Mutex
	runs [Nodes]*exec.Cmd
	logs string // folder of what they write
}

// StartProcesses starts the cluster by command, which is Node.
func StartProcesses(tb testing.TB, command string) *Processes {
	tb.Helper()
	p := &Processes{command: command, logs: TempDir(tb)}
	p.Cluster = layCluster(tb, func(from int, addresses []string) (ways []string) {
		for to, address := range addresses {
			if to != from {
				p.paths[from][to] = NewPath(tb, address)
				ways = append(ways, p.paths[from][to].Address())
			}
		}
		return ways
	})
	tb.Cleanup(func() {
		for i := range Nodes {
			p.Kill(i)
			if tb.Failed() {
				tb.Logf("NATS server %d:\n%s", i, p.last(i, 2000))
			}
		}
	})
	for i := range Nodes {
		p.Start(i)
	}
	p.awaitLeader()
	return p
}

// Start starts a server that does not run.
func (p *Processes) Start(i int) {
	p.tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs[i] != nil {
		return
	}
	log, err := os.OpenFile(p.log(i), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.tb.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(p.command, p.files[i])
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		p.tb.Fatal(err)
	}
	p.runs[i] = cmd
}

// Paths are new paths to each of the servers, for one client, and their addresses as in nats.url.
func (p *Processes) Paths() (paths [Nodes]*Path, url string) {
	p.tb.Helper()
	addresses := make([]string, Nodes)
	for i, to := range p.addrs {
		paths[i] = NewPath(p.tb, to)
		addresses[i] = "nats://" + paths[i].Address()
	}
	return paths, strings.Join(addresses, ",")
}

// CutSending holds back what a server sends to the others, CutReceiving what they send to it. Two
// servers share a connection that either of them has opened.
func (p *Processes) CutSending(i int) {
	p.each(i, func(from, to *Path) { from.There.Shut(); to.Back.Shut() })
}

// CutReceiving is told of at CutSending.
func (p *Processes) CutReceiving(i int) {
	p.each(i, func(from, to *Path) { from.Back.Shut(); to.There.Shut() })
}

// Join lets everything through between a server and the others.
func (p *Processes) Join(i int) { p.each(i, func(from, to *Path) { from.Open(); to.Open() }) }

// Delay is how much later everything arrives between the servers.
func (p *Processes) Delay(d time.Duration) {
	for i := range Nodes {
		p.each(i, func(from, _ *Path) { from.Delay(d) })
	}
}

// each calls fn with the paths from a server to each other one, and back.
func (p *Processes) each(i int, fn func(from, to *Path)) {
	for other := range Nodes {
		if other != i {
			fn(p.paths[i][other], p.paths[other][i])
		}
	}
}

// Kill ends a server with SIGKILL.
func (p *Processes) Kill(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if cmd := p.runs[i]; cmd != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		p.runs[i] = nil
	}
}

// Stop ends a server with SIGTERM and waits for its end.
func (p *Processes) Stop(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if cmd := p.runs[i]; cmd != nil {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		late.Stop()
		p.runs[i] = nil
	}
}

func (p *Processes) log(i int) string { return filepath.Join(p.logs, fmt.Sprint("n", i, ".log")) }

// last is the last that a server wrote.
func (p *Processes) last(i, most int) string {
	text, err := os.ReadFile(p.log(i))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}
