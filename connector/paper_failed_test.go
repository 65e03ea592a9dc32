package connector_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"pullprint/connector"
	"pullprint/connector/admin"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job/paper"
	"pullprint/connector/notice"
	"pullprint/connector/store"
	"pullprint/policy/quota"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// notices are those that were stored.
type notices struct {
	ids    []string
	bodies []notice.Notice
}

func (n *notices) Notify(context.Context, string, []byte) error { return store.ErrUnheard }

func (n *notices) PublishNotice(_ context.Context, _, msgID string, body []byte) error {
	var told notice.Notice
	if err := json.Unmarshal(body, &told); err != nil {
		return err
	}
	n.ids, n.bodies = append(n.ids, msgID), append(n.bodies, told)
	return nil
}

// Of a job that fails at its printer, the notice, the record, the account, the metrics and the list
// of printers say the same: once, with the printer's word, whatever it answers.
func TestFailedAtThePrinter(t *testing.T) {
	racetest.Skip(t, "one job after the other")
	for name, c := range map[string]struct {
		details []string
		cause   string
		words   string
		src     string
		back    int // pages of 8; -1: nobody paid
	}{
		"a jam, all given back":   {[]string{"mediaJam", "tonerLow"}, "mediaJam", "paper jam", "refunds: {aborted: 1}\n" + weekly, 8},
		"out of paper, half":      {[]string{"mediaEmpty"}, "mediaEmpty", "out of paper", "refunds: {aborted: 0.5}\n" + weekly, 4},
		"nothing told, no budget": {nil, "unknown", "", testPolicy, -1},
		"words that are new":      {[]string{"<b>\u202e", "gremlins"}, "unknown", "", "refunds: {aborted: 0}\n" + weekly, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				k := graphtest.Calm()
				k.PrintTime = 90 * time.Second
				w, reg, told := newWorld(t, bustest.Open(t), k), prometheus.NewRegistry(), new(notices)
				l := w.live("", withPolicy(t, c.src), withMetrics(reg), func(d *connector.Deps) { d.Notices = told })
				id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 8})
				l.worker.Handle(l.ctx, d)
				out, err := l.release.Release(l.ctx, order())
				if err != nil || len(out.Released) != 1 {
					t.Fatalf("%+v, %v", out, err)
				}
				if err := w.sim.Jam(westID, c.details...); err != nil {
					t.Fatal(err)
				}
				if err := w.sim.FailJob(graphtest.JobID{Printer: westID, Job: out.Released[0].DestinationJob}); err != nil {
					t.Fatal(err)
				}
				for range 3 {
					time.Sleep(time.Minute)
					l.sweep(t)
				}
				time.Sleep(time.Second)
				rec := w.record(id)
				if rec.Paper.State != paper.Failed || rec.Paper.Detail != c.words || len(paperSteps(rec)) != 1 {
					t.Errorf("%+v, %+v", rec.Paper, rec.Trail)
				}
				if len(told.bodies) != 1 || told.bodies[0].Kind != notice.Failed || !strings.Contains(told.bodies[0].Text, c.words) ||
					told.bodies[0].Owner != studentID || told.bodies[0].Device != "hq-2-west" ||
					told.ids[0] != rec.Decision.ID+":job.failed" {
					t.Fatalf("%q %+v", told.ids, told.bodies)
				}
				if back := told.bodies[0].Refunded; (back == nil) != (c.back < 0) || back != nil &&
					*back != quota.Amount(c.back)*quota.Unit {
					t.Errorf("the notice says that %v was given back", back)
				}
				if c.back >= 0 {
					w.has(t, weekly, 8-c.back, 0)
				}
				const others = `pullprint_print_failures_total{cause="doorOpen",device="hq-2-west"} 0`
				if !strings.Contains(exposition(t, reg), others) {
					t.Error("other causes don't begin at zero")
				}
				want := fmt.Sprintf("pullprint_print_failures_total{cause=%q,device=\"hq-2-west\"} 1\n", c.cause)
				if got := exposition(t, reg); !strings.Contains(got, want) || printedCount(t, reg, "hq-2-west", "failed") != 1 {
					t.Errorf("no %s in %s", want, got)
				}
				api := &admin.API{Deps: admin.Deps{Index: l.index}}
				list := api.PrinterFailures(time.Now(), 1).Printers
				if len(list) != 1 || list[0].Device != "hq-2-west" || list[0].Jobs != 1 || list[0].Detail != c.words {
					t.Errorf("%+v", list)
				}
				if list := api.PrinterFailures(time.Now().Add(24*time.Hour), 1).Printers; len(list) != 0 {
					t.Errorf("%+v, a day later", list)
				}
			})
		})
	}
}

// exposition is all metrics as they are scraped.
func exposition(t *testing.T, reg *prometheus.Registry) string {
	t.Helper()
	rec := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	return rec.Body.String()
}
