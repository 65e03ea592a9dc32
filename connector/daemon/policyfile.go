package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pullprint/policy"
	"pullprint/policy/policyfile"
)

// policyPoll is how soon a changed policy file is in force. Reading a few kilobytes
// is cheaper than being wrong about the ways editors and Kubernetes replace a file. A
// change is taken when two looks saw the same, as a file that is being written can be a
// policy with fewer rules.
const (
	policyPoll = 2 * time.Second
	policyLook = policyPoll / 2
)

// policyFile keeps the policy in force and replaces it when its file changes.
// A file that does not load changes nothing but the metrics and the log.
type policyFile struct {
	path    string
	log     *zap.Logger
	current atomic.Pointer[policy.Policy]
	last    []byte // what was read last, good or bad
	seen    glance // what is taken when the next look sees the same
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
	p, err := policyfile.Load(path, src)
	if err != nil {
		return nil, err
	}
	f.last = src
	f.use(p)
	return f, nil
}

// glance is a file as one look saw it.
type glance struct {
	src      []byte
	modified time.Time
}

// read reads the file.
func (f *policyFile) read() (glance, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return glance{}, err
	}
	defer file.Close()
	src, err := io.ReadAll(file)
	if err != nil {
		return glance{}, err
	}
	st, err := file.Stat()
	if err != nil {
		return glance{}, err
	}
	return glance{src, st.ModTime()}, nil
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
	tick := time.NewTicker(policyLook)
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

// look reads the file and takes it if it changed and has been the same over two looks, or
// if somebody asked.
func (f *policyFile) look(asked bool) {
	if f.path == "" {
		return
	}
	now, err := f.read()
	if err != nil {
		if asked || f.last != nil {
			f.refuse(err)
		}
		f.last, f.seen = nil, glance{}
		return
	}
	before := f.seen
	f.seen = now
	switch {
	case asked:
	case f.last != nil && bytes.Equal(now.src, f.last):
		return
	case before.src == nil, !bytes.Equal(now.src, before.src), !now.modified.Equal(before.modified):
		return // it may be being written
	}
	f.last = now.src
	f.take(now.src)
}

// errNoRules is of a file that may have lost its end.
var errNoRules = errors.New("the file has no rules any more: write it again if it was cut off; if no rules are what is " +
	"meant, restart the daemon")

// hasRules reports whether a policy has more than allowances.
func hasRules(p *policy.Policy) bool {
	return slices.ContainsFunc(p.Parts(), func(part policy.Part) bool { return part.Kind == "rule" })
}

// take has a policy in force, or refuses it.
func (f *policyFile) take(src []byte) {
	p, err := policyfile.Load(f.path, src)
	if err == nil && !hasRules(p) && hasRules(f.current.Load()) {
		err = errNoRules
	}
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
	f.log.Error("policy not loaded, the previous one stays in force", zap.String("file", f.path),
		zap.String("policy", f.current.Load().Hash()), zap.Error(err))
}
