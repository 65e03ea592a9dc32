package daemon_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/bus"
	"pullprint/connector/bus/backup"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/config"
	"pullprint/connector/daemon"
	"pullprint/connector/evaluate"
	"pullprint/policy/quota"
	"pullprint/trigger/graph/graphtest"
)

// A restore, rehearsed: jobs are held, released and paid for; a backup is made by
// the running daemon; more happens; the store is lost. The start is refused. After
// the restore no job is lost, each has one effect, and budgets are those of the
// backup with what is printed since.
func TestRestoreRehearsed(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.write("policy.yaml", `allowances: [{name: students, when: '"students" in user.groups', pages: 30, every: week}]
unmatched: free
`)
		s := o.start(zap.NewNop())
		s.register()
		ids := s.hold(6)
		release := func(s *shift, id graphtest.JobID, want int) {
			t.Helper()
			if code := s.ask(adminToken, "POST", "/v1/jobs/"+id.Printer+"/"+id.Job+"/release",
				`{"device":"hq-2-west"}`, nil); code != want {
				t.Fatalf("release of %v: %d, want %d", id, code, want)
			}
		}
		release(s, ids[0], http.StatusOK)
		release(s, ids[1], http.StatusOK)
		pass(3 * time.Minute) // they are printed and settled
		file := s.backup()

		release(s, ids[2], http.StatusOK)
		late := o.print(graphtest.JobSpec{Printer: pullID, Pages: 2})
		s.await("the job after the backup is held", time.Minute, func() bool { return len(s.all()) == 10 })
		pass(time.Minute)
		s.end()
		if err := os.RemoveAll(filepath.Join(o.dir, "nats")); err != nil {
			t.Fatal(err)
		}
		refused := o.start(zap.NewNop())
		if err := <-refused.done; err == nil {
			t.Fatal("a store that is gone is started anew")
		}
		refused.stop()

		cfg, err := config.Load(filepath.Join(o.dir, "config.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = bus.Restore(t.Context(), daemon.StoreConfig(cfg), bytes.NewReader(file), int64(len(file)), bus.RestoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s = o.start(zap.NewNop())
		defer s.end()
		s.await("the daemon is ready", time.Minute, func() bool { code, _ := s.get("/readyz"); return code == http.StatusOK })
		s.await("the late job is found again", 3*time.Minute, func() bool { return len(s.jobs("held")) >= 4 && s.knows(late) })
		// The record says held; Graph knows that it was released.
		if code := s.ask(adminToken, "POST", "/v1/jobs/"+ids[2].Printer+"/"+ids[2].Job+"/release", `{"device":"hq-2-west"}`,
			nil); code == http.StatusOK {
			t.Logf("the released job answered %d", code)
		}
		for _, id := range append(ids[3:], late) {
			release(s, id, http.StatusOK)
		}
		pass(10 * time.Minute)
		for _, id := range append(ids, late) {
			job, _ := o.sim.Job(id)
			if e := job.Effects; e.RedirectApplied != 1 || e.RedirectRefused != 0 {
				t.Errorf("job %v: %+v", id, e)
			}
		}
		if n := len(s.jobs("held")) + len(s.jobs("releasing")); n != 0 {
			t.Errorf("%d jobs are held or in between", n)
		}
		var standing evaluate.AccountStatus
		s.ask(adminToken, "GET", "/v1/quotas/"+studentID, "", &standing)
		// Two pages before the backup and five after it; the one in between is known
		// to Graph alone.
		if b := standing.Balances; len(b) != 1 || b[0].Spent != 7*quota.Unit || b[0].Reserved != 0 || b[0].Left != 23*quota.Unit {
			t.Errorf("the account: %+v", standing)
		}
	})
}

// backup is what POST /v1/backup answers.
func (s *shift) backup() []byte {
	s.t.Helper()
	client := &http.Client{Transport: s.net.transport()}
	defer client.CloseIdleConnections()
	req, err := http.NewRequest(http.MethodPost, "http://"+s.admin()+"/v1/backup", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	res, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	file, err := io.ReadAll(res.Body)
	if err == nil {
		_, err = backup.Verify(bytes.NewReader(file), int64(len(file)))
	}
	if err != nil {
		s.t.Fatalf("%d: %v", res.StatusCode, err)
	}
	return file
}

func (s *shift) jobs(state string) []apiclient.JobEntry {
	var list apiclient.JobList
	s.ask(adminToken, "GET", "/v1/jobs?state="+state, "", &list)
	return list.Jobs
}

func (s *shift) knows(id graphtest.JobID) bool {
	return s.ask(adminToken, "GET", fmt.Sprintf("/v1/jobs/%s/%s", id.Printer, id.Job), "", nil) == http.StatusOK
}
