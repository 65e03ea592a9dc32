package deploy

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pullprint/connector/config"
	"pullprint/policy/policyfile"
)

// program builds pullprint once for all tests.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "pullprint-deploy")
	if err != nil {
		return "", err
	}
	// What it is built from is read, or go test would not notice that it has changed.
	err = filepath.WalkDir("..", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasSuffix(name, ".go") {
			_, err = os.ReadFile(name)
		}
		return err
	})
	if err != nil {
		return dir, err
	}
	bin := filepath.Join(dir, "pullprint")
	out, err := exec.Command("go", "build", "-o", bin, "pullprint/cmd/pullprint").CombinedOutput()
	if err != nil {
		return dir, errors.New(string(out))
	}
	return bin, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if bin, err := program(); err == nil {
		os.RemoveAll(filepath.Dir(bin))
	}
	os.Exit(code)
}

func pullprint(t *testing.T) string {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// unit is the settings of pullprint.service by key, each as often as it is there.
func unit(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for line := range strings.Lines(textOf(t, "systemd/pullprint.service")) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			found[key] = append(found[key], value)
		}
	}
	return found
}

// one is the only value of a key of the unit.
func one(t *testing.T, u map[string][]string, key string) string {
	t.Helper()
	if len(u[key]) != 1 {
		t.Fatalf("%s= is there %d times", key, len(u[key]))
	}
	return u[key][0]
}

func seconds(t *testing.T, u map[string][]string, key string) time.Duration {
	t.Helper()
	value := strings.ReplaceAll(one(t, u, key), "min", "m")
	if !strings.HasSuffix(value, "m") && !strings.HasSuffix(value, "s") {
		value += "s"
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// What the unit starts, where it keeps state, and whose it is, is what program and
// package know.
func TestUnitFitsProgram(t *testing.T) {
	u := unit(t)
	bin, verb, _ := strings.Cut(one(t, u, "ExecStart"), " ")
	if verb != "run" {
		t.Fatalf("the unit starts %q", verb)
	}
	help, err := exec.Command(pullprint(t), verb, "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %s", verb, help)
	}
	nfpm := textOf(t, "deb/nfpm.yaml")
	def := regexp.MustCompile(`--config FILE .*default "([^"]+)"`).FindSubmatch(help)
	if def == nil || !strings.Contains(nfpm, "dst: "+string(def[1])+",") || !strings.Contains(nfpm, "dst: "+bin+",") {
		t.Errorf("the package lacks %s, or %s: the default of --config", bin, def)
	}

	dir := t.TempDir()
	file := filepath.Join(dir, "config.yaml")
	src := regexp.MustCompile(`(?m)^nats:\n( .*\n)+`).ReplaceAllString(textOf(t, "../config.example.yaml"), "")
	if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file)
	if cfg == nil || cfg.NATS.Embedded == nil { // the secrets are missing, and that is said
		t.Fatal(err)
	}
	state := "/var/lib/" + one(t, u, "StateDirectory")
	if !strings.HasPrefix(cfg.NATS.Embedded.StoreDir, state+"/") {
		t.Errorf("state is kept in %s, and the unit lets it write to %s", cfg.NATS.Embedded.StoreDir, state)
	}
	if !strings.Contains(textOf(t, "deb/postrm"), state+"\n") {
		t.Errorf("purge leaves %s", state)
	}
	for _, file := range []string{"systemd/pullprint.sysusers", "systemd/pullprint.tmpfiles", "deb/postinst"} {
		if user := one(t, u, "User"); !strings.Contains(textOf(t, file), user) || one(t, u, "Group") != user {
			t.Errorf("%s knows no user %s", file, user)
		}
	}
}

// How the daemon ends is what the unit expects.
func TestUnitFitsEnds(t *testing.T) {
	u := unit(t)
	cmd := exec.Command(pullprint(t), "run", "--config", filepath.Join(t.TempDir(), "none.yaml"))
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || !slices.Contains(strings.Fields(one(t, u, "RestartPreventExitStatus")),
		exit.String()[len("exit status "):]) {
		t.Errorf("bad configuration ends with %v, and is tried again", err)
	}
	if stop := seconds(t, u, "TimeoutStopSec"); stop <= 25*time.Second {
		t.Errorf("a stop that takes 25 s is killed after %s", stop)
	}
	if start := seconds(t, u, "TimeoutStartSec"); start < time.Minute {
		t.Errorf("a start is given up after %s", start)
	}
	// The watchdog's signal, as a panic, ends Go with the exit code of bad configuration,
	// unless the environment is that of the unit.
	for _, c := range []struct {
		env  []string
		want syscall.WaitStatus
	}{
		{nil, 2 << 8},
		{u["Environment"], syscall.WaitStatus(syscall.SIGABRT)},
	} {
		if got := aborted(t, c.env); got != c.want {
			t.Errorf("aborted with %q: wait status %#x, want %#x", c.env, got, c.want)
		}
	}
	if one(t, u, "LimitCORE") != "0" {
		t.Error("a core with secrets is written")
	}
}

// aborted is how a running pullprint ends by SIGABRT.
func aborted(t *testing.T, env []string) syscall.WaitStatus {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", `ulimit -c 0; exec "$@"`, "sh", pullprint(t), "simulator", "--listen",
		"127.0.0.1:0")
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil { // it runs
		t.Error(err)
	}
	if err := cmd.Process.Signal(syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // how it ended is what is asked
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok {
		t.Fatal("no wait status")
	}
	return status &^ 0x80 // a core would be the system's business
}

// What a package is made of is there, and its policy loads.
func TestPackageFiles(t *testing.T) {
	sources := regexp.MustCompile(`(?m)(?:src: |postinstall: |preremove: |postremove: )"?([^",}\n]+)`).FindAllStringSubmatch(textOf(t,
		"deb/nfpm.yaml"), -1)
	if len(sources) < 15 {
		t.Fatalf("%d sources only", len(sources))
	}
	for _, s := range sources {
		if strings.HasPrefix(s[1], "${STAGE") {
			continue // made by deploy/build
		}
		if found, err := filepath.Glob("../" + s[1]); err != nil || len(found) == 0 {
			t.Errorf("the package is to have %s: %v", s[1], err)
		}
	}
	if _, err := policyfile.Load("deb/policy.yaml", []byte(textOf(t, "deb/policy.yaml"))); err != nil {
		t.Error(err)
	}
	for _, script := range []string{
		"build", "deb/build", "deb/try", "systemd/try", "docker/build", "docker/rootfs",
		"docker/try",
	} {
		if st, err := os.Stat(script); err != nil || st.Mode()&0o111 == 0 {
			t.Errorf("%s can't be run: %v", script, err)
		}
	}
}

// Both ways to the image give the same one, and its ports are those of the example.
func TestImage(t *testing.T) {
	file, script := textOf(t, "docker/Dockerfile"), textOf(t, "docker/build")
	for _, c := range [][2]string{
		{"USER 65532:65532", `"User": "65532:65532"`},
		{`ENTRYPOINT ["/usr/bin/pullprint"]`, `"Entrypoint": ["/usr/bin/pullprint"]`},
		{`CMD ["run"]`, `"Cmd": ["run"]`},
		{"WORKDIR /var/lib/pullprint\nEXPOSE", `"WorkingDir": "/var/lib/pullprint"`},
		{"ENV PATH=/usr/bin\n", `"Env": ["PATH=/usr/bin"]`},
		{"EXPOSE 8080 8443 9464", `"ExposedPorts": {"8080/tcp": {}, "8443/tcp": {}, "9464/tcp": {}}`},
		{"STOPSIGNAL SIGTERM", `"StopSignal": "SIGTERM"`},
		{`image.licenses="Apache-2.0"`, `image.licenses": "Apache-2.0"`},
		{`image.title="pullprint"`, `image.title": "pullprint"`},
	} {
		if !strings.Contains(file, c[0]) || !strings.Contains(script, c[1]) {
			t.Errorf("not in Dockerfile and build: %q, %q", c[0], c[1])
		}
	}
	ports := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^  listen: [0-9.]+:([0-9]+)$`).FindAllStringSubmatch(textOf(t,
		"../config.example.yaml"), -1) {
		ports[m[1]] = true
		if !strings.Contains(file, " "+m[1]) {
			t.Errorf("port %s is not exposed", m[1])
		}
	}
	if len(ports) != 3 {
		t.Errorf("ports %v", ports)
	}
	version := regexp.MustCompile(`(?m)^go (1\.[0-9]+)`).FindStringSubmatch(textOf(t, "../go.mod"))
	if version == nil || !strings.Contains(file, "FROM golang:"+version[1]+"-") {
		t.Errorf("the image is not built by Go %v", version)
	}
}
