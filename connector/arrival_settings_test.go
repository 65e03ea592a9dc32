package connector_test

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// rewritten has Graph tell something else of jobs.
type rewritten struct {
	next http.RoundTripper
	what *regexp.Regexp
	into string
}

func (w rewritten) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := w.next.RoundTrip(r)
	if err != nil || r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/jobs/") || strings.Contains(r.URL.Path, "documents/") {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(w.what.ReplaceAll(body, []byte(w.into))))
	res.ContentLength = -1
	return res, err
}

// A setting of a job that can't be read does not strand the job: where it has a part in the
// price, what the job costs is unknown; else it has no part in anything.
func TestSettingThatCantBeRead(t *testing.T) {
	racetest.Skip(t, "one setting after the other")
	for what, c := range map[string]struct{ into, reason string }{
		`"copies":1`:              {`"copies":1e30`, reasons.PagesUnknown},
		`"copies":1,`:             {`"copies":"50",`, reasons.PagesUnknown},
		`"pagesPerSheet":1`:       {`"pagesPerSheet":99999999999999999999`, reasons.PagesUnknown},
		`"pageRanges":\[\]`:       {`"pageRanges":"1-3"`, reasons.PagesUnknown},
		`"colorMode":"[a-zA-Z]*"`: {`"colorMode":7`, reasons.PagesUnknown},
		`"finishings":\[\]`:       {`"finishings":"staple"`, ""},
		`"mediaType":"[a-zA-Z]*"`: {`"mediaType":["plain"]`, ""},
		`"collate":(true|false)`:  {`"collate":"yes"`, ""},
		`"configuration":\{[^{}]*(\{[^{}]*\})?[^{}]*\}`: {`"configuration":"none"`, reasons.PagesUnknown},
	} {
		t.Run(c.into, func(t *testing.T) {
			w := newWorld(t, bustest.Open(t), graphtest.Calm())
			wire := rewritten{w.sim.Transport(), regexp.MustCompile(what), c.into}
			l := w.live("", withPolicy(t, weekly), func(d *connector.Deps) { d.Graph = answered{w.client(wire)} })
			id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 7})
			l.worker.Handle(l.ctx, d)
			if rec := w.record(id); rec.State != job.Held {
				t.Fatalf("the job is %q", rec.State)
			}
			out, err := l.release.Release(l.ctx, order())
			switch {
			case err != nil:
				t.Error(err)
			case c.reason == "" && len(out.Released) != 1, c.reason != "" && (len(out.Kept) != 1 || out.Kept[0].Reason.Code != c.reason):
				t.Errorf("%+v", out)
			}
		})
	}
}
