package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
)

// configMap is a mounted volume of Kubernetes: each file is a symbolic link through
// ..data, which points to a folder of one version and is replaced by a rename. The
// file's own link never changes, and the folder before is deleted.
type configMap struct {
	t   *testing.T
	dir string
	n   int
}

// write publishes a version as the kubelet does.
func (m *configMap) write(files map[string]string) {
	m.t.Helper()
	must := func(err error) {
		m.t.Helper()
		if err != nil {
			m.t.Fatal(err)
		}
	}
	before, _ := os.Readlink(filepath.Join(m.dir, "..data"))
	m.n++
	version := fmt.Sprintf("..2026_01_01_00_00_%02d.1", m.n)
	must(os.Mkdir(filepath.Join(m.dir, version), 0o750))
	for name, text := range files {
		must(os.WriteFile(filepath.Join(m.dir, version, name), []byte(text), 0o440))
	}
	must(os.Symlink(version, filepath.Join(m.dir, "..data_tmp")))
	must(os.Rename(filepath.Join(m.dir, "..data_tmp"), filepath.Join(m.dir, "..data")))
	for name := range files {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(m.dir, name)); !errors.Is(err, os.ErrExist) {
			must(err)
		}
	}
	if before != "" {
		must(os.RemoveAll(filepath.Join(m.dir, before)))
	}
}

// A policy in a ConfigMap is followed, though its path, its link and, with a touch of
// bad luck, its size and time stay what they were. A bad version keeps the one before.
func TestPolicyInConfigMap(t *testing.T) {
	rule := func(copies int) string {
		return fmt.Sprintf("rules: [{name: bulk, at: arrival, when: 'job.copies > %d', verdict: abort, reason: copies.many, text: Too many., "+
			"remedy: Print fewer.}]\n", copies)
	}
	m := &configMap{t: t, dir: t.TempDir()}
	m.write(map[string]string{"policy.yaml": rule(10)})
	synctest.Test(t, func(t *testing.T) {
		f, err := openPolicy(filepath.Join(m.dir, "policy.yaml"), prometheus.NewRegistry(), zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx, nil) }()
		later := func() string {
			time.Sleep(policyPoll + time.Millisecond)
			synctest.Wait()
			return f.current.Load().Hash()
		}
		first := later()
		m.write(map[string]string{"policy.yaml": rule(20)})
		second := later()
		if second == first {
			t.Error("the new version is not in force")
		}
		m.write(map[string]string{"policy.yaml": "rules: none\n"})
		if got := later(); got != second || testutil.ToFloat64(f.ok) != 0 {
			t.Errorf("after a bad version %s is in force, want %s; reload successful: %v", got, second, testutil.ToFloat64(f.ok))
		}
		m.write(map[string]string{"policy.yaml": rule(10)})
		if got := later(); got != first || testutil.ToFloat64(f.ok) != 1 {
			t.Errorf("after a good version %s is in force, want %s; reload successful: %v", got, first, testutil.ToFloat64(f.ok))
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
