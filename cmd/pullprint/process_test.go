package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
)

// process is the program under test, running on its own.
type process struct {
	cmd  *exec.Cmd
	out  *transcript
	err  *transcript
	done chan struct{} // closed when it has ended and its output is complete
}

// startProcess starts pullprint with args in dir.
func startProcess(dir string, env []string, args ...string) (*process, error) {
	return startProcessWith(nil, dir, env, args...)
}

// startProcessWith is startProcess with a standard input.
func startProcessWith(in *os.File, dir string, env []string, args ...string) (*process, error) {
	path, err := exec.LookPath("pullprint")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...)
	if in != nil {
		cmd.Stdin = in
	}
	return startCommand(dir, env, cmd)
}

// startCommand starts a command in dir.
func startCommand(dir string, env []string, cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, out: newTranscript(), err: newTranscript(), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = dir, env, p.out, p.err
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // its state is read from ProcessState
	}()
	return p, nil
}

// code waits for the end and is the exit code; -1 for a process that a signal
// killed. It fails when the end does not come.
func (p *process) code(within time.Duration) (int, error) {
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-t.C:
		return 0, fmt.Errorf("process %d still runs after %s", p.cmd.Process.Pid, within)
	}
}

// signal sends a signal; that it has ended already is no error.
func (p *process) signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// kill ends it at once and waits.
func (p *process) kill() {
	_ = p.signal(syscall.SIGKILL)
	<-p.done
}

// transcript keeps what a process writes and tells who waits for more.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newTranscript() *transcript { return &transcript{more: make(chan struct{})} }

func (t *transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.more)
	t.more = make(chan struct{})
	return t.text.Write(b)
}

// read is all that was written, and a channel that closes with the next write.
func (t *transcript) read() (string, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String(), t.more
}

func (t *transcript) String() string {
	text, _ := t.read()
	return text
}

// eventually asks ok again every few milliseconds until it says yes or the time
// is up: for what can only be asked for, such as a page.
func eventually(within time.Duration, ok func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(within); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// mustFree is a loopback address that nobody listens on.
func mustFree(t *testing.T) string {
	t.Helper()
	return bustest.FreeAddress(t)
}
