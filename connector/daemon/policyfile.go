package daemon

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pullprint/policy"
)

// policyPoll is how often the policy file is compared with what was read last.
// Reading a few kilobytes is cheaper than being wrong about the ways editors
// and Kubernetes replace a file.
const policyPoll = 2 * time.Second

// policyFile keeps the policy in force and replaces it when its file changes.
// A file that does not load changes nothing but the metrics and the log.
type policyFile struct {
	path    string
	log     *zap.Logger
	current atomic.Pointer[policy.Policy]
	last    []byte // what was read last, good or bad
	refused atomic.Bool

	ok   prometheus.Gauge
	when prometheus.Gauge
}

// openPolicy loads the policy; with no path it is the built-in one. A policy
// that does not load at start is an error.
func openPolicy(path string, reg prometheus.Registerer, log *zap.Logger) (*policyFile, error) {
	return openPolicyAs("config", path, reg, log)
}

// openShadow reads the policy that is tried out; nil when there is none.
func openShadow(path string, reg prometheus.Registerer, log *zap.Logger) (*policyFile, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // none is no error
	}
	return openPolicyAs("shadow_policy", path, reg, log.Named("shadow"))
}

// openPolicyAs reads a policy whose metrics begin with name.
func openPolicyAs(name, path string, reg prometheus.Registerer, log *zap.Logger) (*policyFile, error) {
	f := &policyFile{
		path: path, log: log.Named("policy"),
		ok: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_" + name + "_last_reload_successful",
			Help: "1 when the policy file was read and loaded at the last try, 0 when the policy before is still in force.",
		}),
		when: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_" + name + "_last_reload_success_timestamp_seconds", Help: "When the policy in force was loaded.",
		}),
	}
	reg.MustRegister(f.ok, f.when)
	if path == "" {
		f.use(policy.Default())
		return f, nil
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	p, err := policy.Load(path, src)
	if err != nil {
		return nil, err
	}
	f.last = src
	f.use(p)
	return f, nil
}

func (f *policyFile) use(p *policy.Policy) {
	f.current.Store(p)
	f.refused.Store(false)
	f.ok.Set(1)
	f.when.SetToCurrentTime()
}

// Run follows the file until ctx ends; a value on reload reads it at once.
func (f *policyFile) Run(ctx context.Context, reload <-chan struct{}) error {
	return f.follow(ctx, reload, func(read func()) { read() })
}

// follow is Run that calls around with what reads the file because somebody asked.
func (f *policyFile) follow(ctx context.Context, reload <-chan struct{}, around func(read func())) error {
	tick := time.NewTicker(policyPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-reload:
			around(func() { f.look(true) })
		case <-tick.C:
			f.look(false)
		}
	}
}

// look reads the file and takes it if it changed, or if somebody asked.
func (f *policyFile) look(asked bool) {
	if f.path == "" {
		return
	}
	src, err := os.ReadFile(f.path)
	if err != nil {
		if asked || f.last != nil {
			f.refuse(err)
		}
		f.last = nil
		return
	}
	if bytes.Equal(src, f.last) && !asked {
		return
	}
	f.last = src
	p, err := policy.Load(f.path, src)
	if err != nil {
		f.refuse(err)
		return
	}
	before := f.current.Load().Hash()
	f.use(p)
	f.log.Info("policy loaded", zap.String("file", f.path), zap.String("policy", p.Hash()), zap.String("before", before))
}

// inForce says with an error that the file is refused, and the policy of before holds.
func (f *policyFile) inForce(context.Context) error {
	if f.refused.Load() {
		return fmt.Errorf("the file has changed and is refused, policy %s stays in force: see pullprint check",
			f.current.Load().Hash())
	}
	return nil
}

func (f *policyFile) refuse(err error) {
	f.refused.Store(true)
	f.ok.Set(0)
	f.log.Error("policy not loaded, the one before stays in force", zap.String("file", f.path),
		zap.String("policy", f.current.Load().Hash()), zap.Error(err))
}
