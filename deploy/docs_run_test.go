package deploy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// runWithin bounds what the blocks of a page may take together.
const runWithin = 60 * time.Second

// runPage runs the blocks of a page from top to bottom, as a reader in one terminal
// would, and says what went wrong. The folder begins as that of a checkout, as far
// as an administrator has it: deploy and config.example.yaml.
func (c *checker) runPage(p *page, dir string) ([]string, error) {
	if err := c.prepareFolder(dir); err != nil {
		return nil, err
	}
	script := "set -euo pipefail\n"
	lines := map[string]int{} // by name of the block
	ports := map[string]string{}
	for i, f := range p.fences {
		if name, ok := f.word("file"); ok {
			body, err := otherPorts(f.body, ports)
			if err != nil {
				return nil, err
			}
			file := fmt.Sprintf(".file%d", i)
			if err := os.WriteFile(filepath.Join(dir, file), []byte(body), 0o600); err != nil {
				return nil, err
			}
			script += fmt.Sprintf("cp %s %q\n", file, name)
		}
		code, ok := f.runs()
		if !ok {
			continue
		}
		body, err := otherPorts(f.body, ports)
		if err != nil {
			return nil, err
		}
		block := fmt.Sprintf(".block%d", i)
		lines[block] = f.line
		if err := os.WriteFile(filepath.Join(dir, block), []byte(body), 0o600); err != nil {
			return nil, err
		}
		script += fmt.Sprintf("echo %s >.now\n", block)
		if code == "0" {
			script += fmt.Sprintf(". ./%s\n", block)
		} else { // it must fail: in a shell of its own
			script += fmt.Sprintf("rc=0; bash -euo pipefail ./%s || rc=$?\n", block)
			script += fmt.Sprintf("((rc == %s)) || { echo \"exit code $rc, not %[1]s\" >&2; exit 1; }\n", code)
		}
	}
	if len(lines) == 0 {
		return nil, nil
	}
	out, err := bash(script, dir, filepath.Dir(c.verbs.program))
	if err == nil {
		return nil, nil
	}
	now, rerr := os.ReadFile(filepath.Join(dir, ".now"))
	return []string{p.at(lines[strings.TrimSpace(string(now))], "the block fails: %v\n%s", err, out)}, rerr
}

// prepareFolder puts into a folder what a page may rely on.
func (c *checker) prepareFolder(dir string) error {
	example, err := os.ReadFile(filepath.Join(c.root, "config.example.yaml"))
	if err != nil {
		return err
	}
	for _, sub := range []string{"policies", "docs"} {
		if err := os.CopyFS(filepath.Join(dir, "deploy", sub), os.DirFS(filepath.Join(c.root, "deploy", sub))); err != nil {
			return err
		}
	}
	guide, err := os.ReadFile(filepath.Join(c.root, "deploy", "policy.example.yaml"))
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, "config.example.yaml"), example, 0o600),
		os.WriteFile(filepath.Join(dir, "deploy", "policy.example.yaml"), guide, 0o600))
}

// loopback is an address of this machine in a block.
var loopback = regexp.MustCompile(`\b(127\.0\.0\.1|localhost):(\d{4,5})\b`)

// otherPorts gives each address of this machine a port that is free: others use
// those of the text, as other tests or a daemon.
func otherPorts(body string, ports map[string]string) (string, error) {
	var failed error
	out := loopback.ReplaceAllStringFunc(body, func(m string) string {
		host, port, _ := strings.Cut(m, ":")
		if ports[port] == "" {
			var lc net.ListenConfig
			ln, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
			if err != nil {
				failed = err
				return m
			}
			defer ln.Close()
			_, ports[port], _ = net.SplitHostPort(ln.Addr().String())
		}
		return host + ":" + ports[port]
	})
	return out, failed
}

// bash runs a script in a folder and ends whatever it left running.
func bash(script, dir, bin string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), runWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "LC_ALL=C", "NO_COLOR=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.Create(filepath.Join(dir, ".log")) // no pipe: what runs in the background would hold it open
	if err != nil {
		return "", err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	failed := cmd.Run()
	if cmd.Process != nil {
		if err := endGroup(cmd.Process.Pid); err != nil {
			return "", err
		}
	}
	out, err := os.ReadFile(log.Name())
	if ctx.Err() != nil {
		failed = fmt.Errorf("it did not end within %v", runWithin)
	}
	return string(out), errors.Join(failed, err)
}

// endGroup ends what a script left in the background, kindly at first, and waits
// until it is gone, so that its folder can be removed.
func endGroup(pid int) error {
	for i := range 500 {
		s := syscall.SIGTERM
		if i >= 400 {
			s = syscall.SIGKILL
		}
		err := syscall.Kill(-pid, s)
		if errors.Is(err, syscall.ESRCH) {
			return nil
		}
		if err != nil && !errors.Is(err, syscall.EPERM) {
			return err
		}
		time.Sleep(10 * time.Millisecond) // there is no waiting for a process that is not one's child
	}
	return fmt.Errorf("process group %d does not end", pid)
}
