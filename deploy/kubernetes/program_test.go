package kubernetes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "pullprint-kubernetes-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "pullprint")
	build := exec.Command("go", "build", "-o", binary, "./cmd/pullprint")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// Each config.yaml passes `pullprint check`, with the files where the pod has them, and each
// policy its own tests. All there is to warn of is that admin has no certificate of its own.
func TestCheck(t *testing.T) {
	for _, r := range all(t) {
		t.Run(r.name, func(t *testing.T) {
			f := mount(t, r)
			f.rewrite()
			out, err := exec.CommandContext(t.Context(), binary, "check", "--json", "--config", f.config()).Output()
			var got struct {
				OK       bool
				Problems []any
				Warnings []struct{ Key string }
			}
			if jerr := json.Unmarshal(out, &got); jerr != nil {
				t.Fatalf("%v %v\n%s", err, jerr, out)
			}
			if !got.OK || err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			for _, w := range got.Warnings {
				if w.Key != "admin.listen" {
					t.Errorf("warns of %s\n%s", w.Key, out)
				}
			}
			if policy := filepath.Join(f.dir, "etc", "pullprint", "policy.yaml"); strings.Contains(string(must(os.ReadFile(f.config()))(t)),
				"policy.yaml") {
				if out, err := exec.CommandContext(t.Context(), binary, "policy", "test", policy).CombinedOutput(); err != nil {
					t.Errorf("policy test: %v\n%s", err, out)
				}
			}
			f.listens(t)
		})
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// listens holds the ports of the pod against where its config.yaml listens: on every
// address, as a probe comes in by that of the pod.
func (f *rootfs) listens(t *testing.T) {
	t.Helper()
	config := string(must(os.ReadFile(f.config()))(t))
	for _, p := range f.spec.Containers[0].Ports {
		if n := strings.Count(config, fmt.Sprintf("0.0.0.0:%d", p.ContainerPort)); n != 1 {
			t.Errorf("port %s is %d, and config.yaml listens there %d times", p.Name, p.ContainerPort, n)
		}
	}
	if n := strings.Count(config, "listen:"); n != len(f.spec.Containers[0].Ports) {
		t.Errorf("config.yaml listens %d times, for %d ports", n, len(f.spec.Containers[0].Ports))
	}
}

// process is a program that runs until the test is over.
type process struct {
	cmd  *exec.Cmd
	text lockedBuffer
	done chan struct{}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(binary, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.text, &p.text
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.done); _ = p.cmd.Wait() }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("%s:\n%s", strings.Join(args, " "), p.text.String())
		}
	})
	return p
}

func free(t *testing.T) string {
	t.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer l.Close()
	return l.Addr().String()
}

// eventually asks until it is so, for what takes a moment.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func get(url string) (int, string) {
	res, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(body)
}

// daemon is the program running as the pod says, on free ports, with a simulator.
type daemon struct {
	*process
	*rootfs
	ports map[string]string // where each port of the pod is
}

// run starts what the pod starts. Graph reaches it, or it does not.
func run(t *testing.T, r rendered, reached bool) daemon {
	t.Helper()
	f := mount(t, r)
	sim := free(t)
	start(t, "simulator", "--calm", "--listen", sim, "--client-id", "815f204f-c791-4ee6-9098-614ecdb003f6")
	d := daemon{rootfs: f, ports: map[string]string{}}
	replace := []string{"max_store: 2GiB", "max_store: 256MiB"}
	for _, p := range f.spec.Containers[0].Ports {
		d.ports[p.Name] = free(t)
		replace = append(replace, fmt.Sprintf("0.0.0.0:%d", p.ContainerPort), d.ports[p.Name])
	}
	public := "http://" + d.ports["webhook"]
	if !reached {
		public = "http://" + free(t)
	}
	replace = append(replace, "tenant_id:", fmt.Sprintf("endpoints: {graph: \"http://%s/v1.0\", authority: \"http://%s\"}\ntenant_id:", sim,
		sim))
	for _, host := range []string{"contoso", "example"} {
		replace = append(replace, "https://print."+host+".com", public)
	}
	f.rewrite(replace...)
	c := f.spec.Containers[0]
	if !slices.Equal(c.Args, []string{"run", "--config", "/etc/pullprint/config.yaml"}) {
		t.Fatalf("args %q", c.Args)
	}
	eventually(t, "the simulator answers", func() bool { code, _ := get("http://" + sim + "/"); return code == http.StatusOK })
	d.process = start(t, "run", "--config", f.config())
	return d
}

// probe asks what a probe of the pod asks.
func (d daemon) probe(p *corev1.Probe) int {
	code, _ := get("http://" + d.ports[p.HTTPGet.Port.StrVal] + p.HTTPGet.Path)
	return code
}

func embedded(t *testing.T) []rendered {
	t.Helper()
	var out []rendered
	for _, r := range all(t) {
		if slices.Contains([]string{"kustomize overlays/single", "kustomize example", "helm single-values.yaml"}, r.name) {
			out = append(out, r)
		}
	}
	if len(out) != 3 {
		t.Fatalf("%d to run", len(out))
	}
	return out
}

// The program comes up in the pod as it is: its probes succeed, the pod of `helm test` says
// that it is well, a policy that is swapped under it is read, and it ends in time.
func TestRun(t *testing.T) {
	for _, r := range embedded(t) {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			d := run(t, r, true)
			c := d.spec.Containers[0]
			eventually(t, "started", func() bool { return d.probe(c.StartupProbe) == http.StatusOK })
			eventually(t, "ready", func() bool { return d.probe(c.ReadinessProbe) == http.StatusOK })
			if code := d.probe(c.LivenessProbe); code != http.StatusOK {
				t.Errorf("liveness probe: %d", code)
			}
			for name, pod := range r.pods(t) {
				if !strings.HasSuffix(name, "-test") {
					continue
				}
				args := slices.Clone(pod.Spec.Containers[0].Args)
				args[2] = "http://" + d.ports["metrics"]
				if out, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput(); err != nil ||
					!strings.Contains(string(out), "[+] subscription: ok") {
					t.Errorf("helm test: %v\n%s", err, out)
				}
			}
			if code, _ := get("http://" + d.ports["webhook"] + "/graph/notifications"); code != http.StatusMethodNotAllowed {
				t.Errorf("the webhook answers %d to a GET", code)
			}
			if code, _ := get("http://" + d.ports["admin"] + "/v1/jobs"); code != http.StatusUnauthorized {
				t.Errorf("the API answers %d to nobody", code)
			}
			d.reload(t)
			began := time.Now()
			_ = d.cmd.Process.Signal(syscall.SIGTERM)
			<-d.done
			if took := time.Since(began); took > 25*time.Second || d.cmd.ProcessState.ExitCode() != 0 {
				t.Errorf("it took %s to end, with %d", took, d.cmd.ProcessState.ExitCode())
			}
		})
	}
}

// reload swaps in a bad policy, then a good one.
func (d daemon) reload(t *testing.T) {
	t.Helper()
	at := filepath.Join(d.dir, "etc", "pullprint")
	if _, err := os.Stat(filepath.Join(at, "policy.yaml")); err != nil {
		return
	}
	for _, v := range []struct{ policy, metric string }{
		{"rules: none\n", "pullprint_config_last_reload_successful 0\n"},
		{
			"rules: [{name: many, at: arrival, when: 'job.copies > 50', verdict: abort, reason: a.b, text: Many., remedy: Print fewer.}]\n",
			"pullprint_config_last_reload_successful 1\n",
		},
	} {
		d.publish(at, map[string]string{"policy.yaml": v.policy})
		eventually(t, v.metric, func() bool {
			_, body := get("http://" + d.ports["metrics"] + "/metrics")
			return strings.Contains(body, v.metric)
		})
	}
}

// A pod that Graph does not reach yet has to be ready all the same: only then is it sent
// what Graph asks before there is a subscription. Waiting for it would be for ever.
func TestReadyBeforeSubscription(t *testing.T) {
	d := run(t, embedded(t)[0], false)
	probe := d.spec.Containers[0].ReadinessProbe
	eventually(t, "ready", func() bool { return d.probe(probe) == http.StatusOK })
	base, _, _ := strings.Cut(probe.HTTPGet.Path, "?")
	if code, body := get("http://" + d.ports["metrics"] + base); code != http.StatusServiceUnavailable ||
		!strings.Contains(body, "[-] subscription: ") {
		t.Errorf("%s answers %d\n%s", base, code, body)
	}
}
