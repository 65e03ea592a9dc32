package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/decision"
	"pullprint/trigger/graph/graphtest"
)

// Graph's own report is compared with what decisions let print, day by day.
func TestUsage(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	for _, spec := range []graphtest.JobSpec{{Pages: 4, Copies: 3}, {Pages: 8, Color: true}} {
		spec.Printer = queueA // without a trigger: it prints at once
		if _, err := n.sim.Submit(spec); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now().UTC()
	decided := func(id, verdict string, pages, copies int) decision.Decision {
		d := decision.Decision{
			ID: id, At: now, Point: "release", Verdict: verdict, Policy: "p", By: "i", Input: decision.Input{
				Mode:   "pull",
				Copies: copies,
			},
		}
		if pages > 0 {
			d.Input.Pages = &decision.Pages{Count: pages}
		}
		return d
	}
	var told []byte
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/decisions":
			two := decided("b", "redirect", 6, 1)
			two.Set = &decision.Settings{PagesPerSheet: 2}
			_ = json.NewEncoder(w).Encode(apiclient.DecisionList{Decisions: []decision.Decision{
				decided("a", "redirect", 4, 3), two, decided("c", "keep", 9, 9), decided("d", "complete", 0, 1),
			}})
		case "/v1/usage":
			told, _ = io.ReadAll(r.Body)
			_, _ = w.Write(told)
		}
	}))
	t.Cleanup(api.Close)
	var out strings.Builder
	cmd := &cobra.Command{}
	cmd.Flags().String("config", n.config, "")
	cmd.SetContext(t.Context())
	cmd.SetErr(writerFunc(func(p []byte) {
		for _, code := range n.sim.DeviceCodes() {
			if err := n.sim.ApproveDevice(code, n.admin); err != nil {
				t.Error(err)
			}
		}
	}))
	list, err := compareUsage(cmd, apiclient.New(api.URL, "token"), 2, now.AddDate(0, 0, 1))
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	last := list[1]
	if last.Date != now.Format(time.DateOnly) || last.Graph != 20 || last.Pullprint != 15 || last.Unknown != 1 ||
		last.Divergence() != 0.25 ||
		list[0].Divergence() != 0 {
		t.Errorf("%+v", list)
	}
	if err := apiclient.New(api.URL, "token").TellUsage(context.Background(), last); err != nil ||
		!strings.Contains(string(told), `"graph_pages":20`) {
		t.Errorf("%v %s", err, told)
	}
	if err := printUsage(&out, list); err != nil || !strings.Contains(out.String(),
		fmt.Sprintf("%s  20     15         25 %%        1 job",
			last.Date)) {
		t.Errorf("%v\n%s", err, out.String())
	}
}
