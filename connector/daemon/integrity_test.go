package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/bus/disk"
	"pullprint/connector/bus/stored"
	"pullprint/connector/config"
	"pullprint/connector/daemon"
	"pullprint/connector/integrity"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// stored changes records in the store of a daemon that does not run.
func (o *office) stored(change func(ctx context.Context, b *bus.Bus)) {
	o.t.Helper()
	cfg, err := config.Load(filepath.Join(o.dir, "config.yaml"))
	if err != nil {
		o.t.Fatal(err)
	}
	b, err := bus.Open(o.t.Context(), daemon.StoreConfig(cfg), bus.Options{})
	if err != nil {
		o.t.Fatal(err)
	}
	change(o.t.Context(), b)
	if err := b.Close(); err != nil {
		o.t.Fatal(err)
	}
}

// overwrite puts a value into the place of all whose keys begin with prefix, or at
// prefix when there is none.
func overwrite(ctx context.Context, t *testing.T, kv *stored.KV, prefix, value string) {
	t.Helper()
	at := map[string]uint64{}
	err := kv.Each(ctx, ">", func(key string, _ []byte, rev uint64) error {
		if strings.HasPrefix(key, prefix) {
			at[key] = rev
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(at) == 0 {
		at[prefix] = 0
	}
	for key, rev := range at {
		if _, ok, err := kv.CompareAndSet(ctx, key, []byte(value), rev, 0); err != nil || !ok {
			t.Fatal(key, ok, err)
		}
	}
}

// Records that the disk has kept well and nobody understands: the daemon starts and works
// for everybody else, is not ready, and says what is damaged and what to do; what can be
// made anew is; when the rest is mended it is ready.
func TestRecordsNobodyUnderstands(t *testing.T) {
	racetest.Skip(t, "one record after the other")
	bustest.Virtual(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.ErrorLevel)
		o := newOffice(t, graphtest.Calm())
		o.write("policy.yaml", `allowances: [{name: all, when: 'true', pages: 30, every: week}]
`)
		s := o.start(zap.NewNop())
		s.register()
		const lost, well = "04A21BC301", "04A21BC302"
		s.enrol(teacherID, lost)
		s.end()
		o.stored(func(ctx context.Context, b *bus.Bus) {
			overwrite(ctx, t, b.Badges(), "b.", `{"owner":["`+lost+`"`)
			overwrite(ctx, t, b.Quota(), teacherID, `null`)
			overwrite(ctx, t, b.State(), "trigger.subscription", `[]`)
			overwrite(ctx, t, b.State(), "trigger.definition", `{`)
			overwrite(ctx, t, b.State(), "trigger.sweep", `{"client_state":7}`)
			overwrite(ctx, t, b.State(), "visit.at.hq-2-west", `"x"`)
			overwrite(ctx, t, b.State(), "delegation."+studentID+"."+teacherID, `{"owner":"somebody"}`)
		})

		s = o.start(zap.New(core))
		pass(2 * time.Minute)
		code, body := s.get("/readyz?verbose")
		for _, want := range []string{"[-] integrity: 3 records can't be read", teacherID, "badge ", "delegation", "accept-loss"} {
			if code != http.StatusServiceUnavailable || !strings.Contains(body, want) {
				t.Errorf("readyz = %d %s, want %q", code, body, want)
			}
		}
		if code, body := s.get("/readyz?exclude=integrity"); code != http.StatusOK {
			t.Errorf("it does not work otherwise: %d %s", code, body)
		}
		if n := logs.FilterMessage("stored records can't be read").Len(); n < 1 || n > 2 { // again without what was made anew
			t.Errorf("told %d times in two minutes", n)
		}
		for _, l := range logs.All() {
			if text := fmt.Sprint(l.Message, l.ContextMap()); strings.Contains(text, lost) {
				t.Errorf("the log tells a card number: %s", text)
			}
		}

		// Others print.
		s.enrol(studentID, well)
		s.print(graphtest.JobSpec{Printer: pullID, Pages: 2})
		s.await("the job is held", time.Minute, func() bool { return len(s.all()) == 1 })
		if out, code := s.tap(well); code != http.StatusOK || len(out.Released) != 1 {
			t.Errorf("a tap: %d %+v", code, out)
		}
		var p struct{ Type, Detail string }
		if code := s.ask(readerToken, "POST", "/v1/taps", `{"badge":"`+lost+`"}`, &p); code != http.StatusConflict ||
			!strings.Contains(p.Detail, "enrolled again") {
			t.Errorf("the badge that can't be read: %d %+v", code, p)
		}

		// It is mended: the badge is enrolled again, without its owner being told as another's.
		if b := s.enrol(teacherID, lost); b.Owner != teacherID {
			t.Errorf("enrolled again: %+v", b)
		}
		if code := s.ask(adminToken, "DELETE", "/v1/delegations", `{"owner":"`+teacherID+`","to":"`+studentID+`"}`, nil); code/100 != 2 {
			t.Errorf("the delegation is not removed: %d", code)
		}
		pass(2 * time.Minute)
		if _, body := s.get("/readyz?verbose"); !strings.Contains(body, "[-] integrity: 1 record can't be read: account "+teacherID) {
			t.Errorf("readyz: %s", body)
		}
		s.end()

		// The rest is given up.
		cfg, err := config.Load(filepath.Join(o.dir, "config.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		no := errors.New("no")
		options := bus.Options{CheckRecord: integrity.CheckRecord}
		_, err = bus.AcceptLoss(t.Context(), daemon.StoreConfig(cfg), options, "ada", func([]disk.Loss) error { return no })
		if !errors.Is(err, no) {
			t.Fatal(err)
		}
		given, err := bus.AcceptLoss(t.Context(), daemon.StoreConfig(cfg), options, "ada", func([]disk.Loss) error { return nil })
		if err != nil || len(given) != 1 || !strings.Contains(given[0].String(), teacherID) {
			t.Fatal(given, err)
		}
		s = o.start(zap.NewNop())
		defer s.end()
		s.await("ready", time.Minute, func() bool { code, _ := s.get("/readyz"); return code == http.StatusOK })
	})
}
