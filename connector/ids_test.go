package connector_test

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/connector/release"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
)

var guid = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// shouting is Graph that writes every id in capitals, in what it answers.
type shouting struct{ http.RoundTripper }

func (s shouting) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL.Path = strings.ToLower(req.URL.Path)
	req.URL.Path = strings.Replace(req.URL.Path, "taskdefinitions", "taskDefinitions", 1)
	req.URL.Path = strings.Replace(req.URL.Path, "transitivememberof", "transitiveMemberOf", 1)
	res, err := s.RoundTripper.RoundTrip(req)
	if err != nil || strings.Contains(req.URL.Path, "/oauth2/") {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	body = guid.ReplaceAllFunc(body, bytes.ToUpper)
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return res, err
}

// An id is the same in any case, wherever it comes from: the configuration,
// a notification, what Graph answers, and who asks for a release.
func TestIDsInAnyCase(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		up := func(d *connector.Deps) {
			d.Queues, d.Devices = slices.Clone(queues), slices.Clone(devices)
			for i := range d.Queues {
				d.Queues[i].PrinterID = strings.ToUpper(d.Queues[i].PrinterID)
			}
			for i := range d.Devices {
				d.Devices[i].PrinterID = strings.ToUpper(d.Devices[i].PrinterID)
			}
			d.Graph = answered{w.client(shouting{w.sim.Transport()})}
		}
		l := w.live("", up)
		id, d := w.print(graphtest.JobSpec{Printer: pullID})
		d.Body = guid.ReplaceAllFunc(d.Body, bytes.ToUpper) // parentUrl, resource, tenantId
		l.worker.Handle(l.ctx, d)
		if s := w.record(id).State; s != job.Held {
			t.Fatalf("the job is %q", s)
		}
		swept, _ := w.print(graphtest.JobSpec{Printer: pullID})
		l.works(t, 1)
		if s := w.record(swept).State; s != job.Held {
			t.Fatalf("the job that the sweep found is %q", s)
		}
		if _, ok := l.index.Lookup(graph.Ref{Printer: strings.ToUpper(pullID), Job: id.Job}); !ok {
			t.Error("the job is not found by its id in capitals")
		}
		o := release.Order{Device: "hq-2-west", Owner: strings.ToUpper(studentID), At: time.Now()}
		out, err := l.release.Release(l.ctx, o)
		if err != nil || len(out.Released) != 2 || out.Released[0].Destination != westID {
			t.Errorf("%+v %v", out, err)
		}
		l.sweep(t)
		for _, id := range []graphtest.JobID{id, swept} {
			if rec := w.record(id); rec.State != job.Released || w.sim.Prints(id) != 1 {
				t.Errorf("the job is %s, printed %d times", rec.State, w.sim.Prints(id))
			}
		}
	})
}

func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		strings.ToUpper(pullID): pullID, pullID: pullID, "42": "42", "Queue-A": "Queue-A", "": "",
	} {
		if got := graph.Canonical(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}
