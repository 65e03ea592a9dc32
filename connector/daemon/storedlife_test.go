package daemon_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/evaluate"
	"pullprint/trigger/graph/graphtest"
)

var packStore = flag.Bool("store.pack", false,
	"write the store of TestStoreOfFormat1 anew: only when what it holds is no longer what a release wrote")

// formerLife is an installation whose daemon was killed in the middle of its work.
type formerLife struct {
	*walker
	released, refused, lent, held, releasing, aborting, unread graphtest.JobID
}

// named are its jobs by what became of them before.
func (l *formerLife) named() map[string]graphtest.JobID {
	return map[string]graphtest.JobID{
		"released": l.released, "refused": l.refused, "lent": l.lent, "held": l.held, "releasing": l.releasing, "aborting": l.aborting,
		"unread": l.unread,
	}
}

// liveAndDie has a daemon live until it is killed: with a redirect that was made and whose
// answer did not come, an abort that was not made, and a notification that nothing was
// done about.
func liveAndDie(t *testing.T) *formerLife {
	t.Helper()
	calm := graphtest.Calm()
	calm.Seed, calm.NoRedirectedTask = 1, true
	o := newOffice(t, calm)
	o.write("policy.yaml", quotaPolicy)
	o.edit("hold_for: 1h", "hold_for: 6h")
	l := &formerLife{walker: &walker{trace: follow(o)}}
	l.shift = o.start(zap.NewNop())
	l.register()
	l.enrol(studentID, number)
	l.enrol(teacherID, teacherNumber)
	submit := func(printer, user string, spec graphtest.JobSpec) graphtest.JobID {
		spec.Printer, spec.User = printer, user
		id, err := o.sim.Submit(spec)
		if err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		return id
	}
	l.released = submit(pullID, studentID, graphtest.JobSpec{Pages: 3})
	l.shows(number)
	pass(3 * time.Minute)
	l.refused = submit(directID, studentID, graphtest.JobSpec{Copies: 99})
	l.lent = submit(pullID, teacherID, graphtest.JobSpec{})
	l.releasing = submit(pullID, studentID, graphtest.JobSpec{Pages: 4})
	l.held = submit(pullID, teacherID, graphtest.JobSpec{Pages: 2})
	never := make(chan struct{})
	o.sim.Change(func(k *graphtest.Knobs) {
		k.Intercept = func(op string, r graphtest.Request) graphtest.Fault {
			switch op {
			case graphtest.OpJobRedirect:
				return graphtest.Fault{HoldReply: never}
			case graphtest.OpJobAbort:
				return graphtest.Fault{Hold: never}
			case graphtest.OpJobGet:
				if job, _ := o.sim.Job(graphtest.JobID{Printer: r.Printer, Job: r.Job}); job.Pages == 2 && r.Printer == directID {
					return graphtest.Fault{Hold: never}
				}
			}
			return graphtest.Fault{}
		}
	})
	l.aborting = submit(directID, studentID, graphtest.JobSpec{Copies: 98})
	l.unread = submit(directID, studentID, graphtest.JobSpec{Pages: 2})
	go l.knock()
	pass(2 * time.Second)
	l.api(adminToken, "PUT", "/v1/delegations", `{"owner":"`+teacherID+`","to":"`+studentID+`","expires":"2000-01-01T12:00:00Z"}`)
	l.trace.close(true)
	bustest.KillIn(t, l.bus, filepath.Join(l.dir, "nats"))
	l.stop()
	<-l.done // it fails: its store is gone
	o.sim.Change(func(k *graphtest.Knobs) { k.Intercept = nil })
	return l
}

// A store that an earlier release left when it was killed is opened, what was under way
// is ended once and under the ids that release would have used, and everything goes on.
// The same life is led before by today's program, so that the simulator has the jobs.
func TestStoreOfFormat1(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		l := liveAndDie(t)
		file, dir := filepath.Join("testdata", "store", "format-1.tgz"), filepath.Join(l.dir, "nats")
		if *packStore {
			pack(t, file, l.dir, "nats", "nats.mark")
		}
		if err := errors.Join(os.RemoveAll(dir), os.Remove(dir+".mark")); err != nil {
			t.Fatal(err)
		}
		unpack(t, file, l.dir)
		l.trace.begin()
		l.shift = l.start(zap.NewNop())
		pass(3 * time.Minute)

		var text strings.Builder
		state := func(when string) {
			fmt.Fprintf(&text, "%s\n", when)
			for _, what := range []string{"released", "refused", "lent", "held", "releasing", "aborting", "unread"} {
				id := l.named()[what]
				var detail apiclient.JobDetail
				l.ask(adminToken, "GET", "/v1/jobs/"+id.Printer+"/"+id.Job, "", &detail)
				job, _ := l.sim.Job(id)
				fmt.Fprintf(&text, "  %s: %s, at Graph %s\n", what, detail.Job.State, job.State)
			}
			for _, who := range []string{studentID, teacherID} {
				var a evaluate.AccountStatus
				l.ask(adminToken, "GET", "/v1/quotas/"+who, "", &a)
				for _, b := range a.Balances {
					fmt.Fprintf(&text, "  account of %s: %s spent, %s reserved, %s left\n", who, b.Spent, b.Reserved, b.Left)
				}
			}
		}
		state("three minutes after the start")
		l.shows(number) // prints what was lent as well
		pass(3 * time.Minute)
		state("and after the card was shown")
		if made := len(l.sim.Jobs(westID)); made != 4 {
			t.Errorf("%d jobs were sent to the printer, want 4", made)
		}
		if wrong := l.sim.Audit(); len(wrong) != 0 {
			t.Errorf("%s", wrong)
		}
		_, ids, _ := strings.Cut(l.text(), "\nids of messages\n")
		golden(t, "store-of-format-1.txt", l.office.named(text.String())+"ids of messages\n"+ids)
		l.trace.close(false)
		l.end()
	})
}

// pack writes files and folders below dir into an archive.
func pack(t *testing.T, file, dir string, names ...string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	a := tar.NewWriter(z)
	root := os.DirFS(dir)
	for _, name := range names {
		err = errors.Join(err, fs.WalkDir(root, name, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			body, err := fs.ReadFile(root, path)
			if err != nil {
				return err
			}
			if err := a.WriteHeader(&tar.Header{Name: path, Mode: 0o600, Size: int64(len(body))}); err != nil {
				return err
			}
			_, err = a.Write(body)
			return err
		}))
	}
	if err := errors.Join(err, a.Close(), z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// unpack puts what pack has written below dir.
func unpack(t *testing.T, file, dir string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	a := tar.NewReader(z)
	for {
		h, err := a.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(a)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, filepath.FromSlash(h.Name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, body, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}
