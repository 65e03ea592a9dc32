package main

import (
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody is a user that owns nothing, on every Linux.
const nobody = 65534

// What this user can't read or write, or another program has, is a failure: `run` would
// end with it.
func TestDoctorAccess(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(n *patient, dir string) // what the daemon's user owns, dir is the folder of the configuration
		after   func(n *patient, dir string) // what is taken from it
		want    []string
	}{
		"a store of its own": {nil, nil, []string{"ok       store          embedded", "ok       disk "}},
		"a store of another": {nil, func(n *patient, dir string) { n.must(os.Mkdir(dir+"/nats", 0o700)) }, []string{
			"failed   store          nats.embedded.store_dir: ", "/nats: permission denied (as user nobody)",
			"-> run doctor as the user that the daemon runs as; if this is that user, give it the path: chown -R USER ",
		}},
		"a file of another in it": {
			func(n *patient, dir string) { n.must(os.MkdirAll(dir+"/nats/jetstream", 0o700)) },
			func(n *patient, dir string) {
				n.must(os.WriteFile(dir+"/nats/jetstream/1.blk", nil, 0o600))
			},
			[]string{"failed   store          nats.embedded.store_dir: ", "1.blk: permission denied (as user nobody)"},
		},
		"a link to a store with a file of another in it": {
			func(n *patient, dir string) {
				n.must(os.MkdirAll(dir+"/elsewhere/jetstream", 0o700))
				n.must(os.Symlink("elsewhere", dir+"/nats"))
			},
			func(n *patient, dir string) {
				n.must(os.WriteFile(dir+"/elsewhere/jetstream/1.blk", nil, 0o600))
			},
			[]string{"failed   store          nats.embedded.store_dir: ", "1.blk: permission denied (as user nobody)"},
		},
		"a link to nothing": {
			nil, func(n *patient, dir string) { n.must(os.Symlink("missing", dir+"/nats")) },
			[]string{"failed   store          nats.embedded.store_dir: ", "no such file or directory"},
		},
		"a store that can't be made": {nil, func(n *patient, dir string) {
			n.must(os.Mkdir(dir+"/of-root", 0o755))
			n.edit("store_dir: nats", "store_dir: of-root/deep/nats")
		}, []string{"failed   store          nats.embedded.store_dir: ", "of-root: permission denied"}},
		"a mark that can't be made": {func(n *patient, dir string) {
			n.must(os.MkdirAll(dir+"/of-root/nats", 0o700))
			n.edit("store_dir: nats", "store_dir: of-root/nats")
		}, func(n *patient, dir string) {
			n.must(os.Chown(dir+"/of-root", 0, 0))
			n.must(os.Chmod(dir+"/of-root", 0o755))
		}, []string{
			"failed   store          the mark beside the store (nats.embedded.mark_file): ", "of-root: permission denied",
		}},
		"an export of another": {func(n *patient, dir string) {
			n.must(os.MkdirAll(dir+"/out", 0o700))
			n.edit("nats:", "ledger_export: {dir: out}\nnats:")
		}, func(n *patient, dir string) { n.must(os.Chown(dir+"/out", 0, 0)); n.must(os.Chmod(dir+"/out", 0o755)) }, []string{
			"failed   ledger export  ledger_export.dir: ", "/out: permission denied",
		}},
		"a policy of another": {
			func(n *patient, _ string) { n.edit("nats:", "policy: {file: policy.yaml}\nnats:") },
			func(n *patient, _ string) {
				n.write("policy.yaml", "rules: []\n")
			},
			[]string{
				"policy.file names a file that can't be read: ", "permission denied",
				"make it readable for the user pullprint runs as",
			},
		},
		"a secret of another": {
			nil, func(n *patient, dir string) { n.must(os.Chown(dir+"/secret", 0, 0)) },
			[]string{"auth.client_secret_file names a file that can't be read"},
		},
		"a certificate of another": {
			func(n *patient, _ string) {
				n.edit("listen:", "tls: {cert_file: hook.pem, key_file: hook.key}, listen:")
			}, func(n *patient, _ string) { n.write("hook.pem", "x"); n.write("hook.key", "x") },
			[]string{
				"webhook.tls.cert_file names a file that can't be read",
				"webhook.tls.key_file names a file that can't be read",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if os.Getuid() != 0 {
				t.Skip("only root can be another user")
			}
			n := newPatient(t)
			dir := filepath.Dir(n.config)
			if c.prepare != nil {
				c.prepare(n, dir)
			}
			n.must(filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
				return errors.Join(err, os.Chown(path, nobody, nobody)) //nolint:gosec // a folder of the test alone
			}))
			if c.after != nil {
				c.after(n, dir)
				n.must(os.Chown(n.config, nobody, nobody))
			}
			out := asNobody(t, "doctor", "--config", n.config)
			n.wants(out, c.want...)
		})
	}
}

// asNobody runs pullprint as another user and is what it says.
func asNobody(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("pullprint")
	if err != nil {
		t.Fatal(err)
	}
	// By cp: a file that this process has open for writing while another test starts a
	// program can't be run.
	program := path
	path = filepath.Join(t.TempDir(), "pullprint")
	if out, err := exec.Command("cp", program, path).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(path); strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out)
}

// What another program has is not for the daemon.
func TestDoctorOthers(t *testing.T) {
	t.Parallel()
	t.Run("the port of the metrics", func(t *testing.T) {
		t.Parallel()
		n := newPatient(t)
		ln, err := net.Listen("tcp", n.metrics)
		n.must(err)
		s := &httptest.Server{Listener: ln, Config: &http.Server{Handler: http.NotFoundHandler()}}
		s.Start()
		t.Cleanup(s.Close)
		out, err := n.does("doctor")
		if err == nil {
			t.Error("no failure")
		}
		n.wants(out, "failed   daemon         another program answers at metrics.listen, "+n.metrics,
			"-> see which it is: ss -ltnp")
	})
	t.Run("the store", func(t *testing.T) {
		t.Parallel()
		n := newPatient(t)
		dir := filepath.Join(filepath.Dir(n.config), "nats")
		n.must(os.Mkdir(dir, 0o700))
		f, err := os.Create(filepath.Join(dir, "pullprint.lock"))
		n.must(err)
		defer f.Close()
		_, err = f.WriteString("4711 2026-01-01T00:00:00Z\n")
		n.must(err)
		n.must(syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
		out, err := n.does("doctor")
		if err == nil {
			t.Error("no failure")
		}
		n.wants(out, "failed   store          store directory is in use: ", "is held by process 4711", "-> stop that process")
	})
}
