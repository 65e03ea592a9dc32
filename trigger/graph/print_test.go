package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// scripted answers every Graph request alike and keeps the last one.
type scripted struct {
	status int
	answer string
	got    *http.Request
	body   string
}

func (s *scripted) client(t *testing.T) *Client {
	o := &fakeServers{graph: func(_ int, r *http.Request) (*http.Response, error) {
		s.got, s.body = r, ""
		if r.Body != nil {
			raw, _ := io.ReadAll(r.Body)
			s.body = string(raw)
		}
		return answer(s.status, s.answer), nil
	}}
	c, _ := o.client(t)
	return c
}

func TestRequests(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 30, 0, 0, time.FixedZone("", 3600))
	const sub = "7f105c7d-2dc5-4530-97cd-4e7ae6534c07"
	for _, tt := range []struct {
		name   string
		do     func(context.Context, *Client) error
		status int
		answer string
		want   string // METHOD URL below the base
		body   string
	}{
		{"definitions", func(ctx context.Context, c *Client) error {
			_,
				err := c.Definitions(ctx)
			return err
		}, 200, `{"value":[]}`, "GET /print/taskDefinitions", ""},
		{"create definition", func(ctx context.Context, c *Client) error {
			_, err := c.CreateDefinition(ctx, "pull print")
			return err
		}, 201, `{"id":"d1"}`, "POST /print/taskDefinitions", `{"displayName":"pull print","createdBy":{"displayName":"pull print"}}`},
		{"tasks", func(ctx context.Context, c *Client) error {
			for _, err := range c.Tasks(ctx, "d1") {
				return err
			}
			return nil
		}, 200, `{"value":[]}`, "GET /print/taskDefinitions/d1/tasks", ""},
		{"task", func(ctx context.Context, c *Client) error {
			_,
				err := c.Task(ctx, "d1", "t1")
			return err
		}, 200, `{"id":"t1"}`, "GET /print/taskDefinitions/d1/tasks/t1", ""},
		{"finish", func(ctx context.Context, c *Client) error {
			return c.FinishTask(ctx, "d1", "t1", TaskCompleted, `a "quoted" <text>`)
		}, 200, `{`, "PATCH /print/taskDefinitions/d1/tasks/t1", `{"status":{"state":"completed","description":"a \"quoted\" <text>"}}`},
		{"job", func(ctx context.Context, c *Client) error {
			_,
				err := c.Job(ctx, Ref{"p1", "7"})
			return err
		}, 200, `{"id":"7"}`, "GET /print/printers/p1/jobs/7?$expand=tasks,documents", ""},
		{"abort", func(ctx context.Context, c *Client) error {
			return c.AbortJob(ctx, Ref{"p1", "7"}, "Zu viele Seiten – drucken Sie weniger.")
		}, 204, ``, "POST /print/printers/p1/jobs/7/abort", `{"reason":"Zu viele Seiten – drucken Sie weniger."}`},
		{"redirect", func(ctx context.Context, c *Client) error {
			to, err := c.RedirectJob(ctx, Ref{"p1", "7"}, "p2", nil)
			if err == nil && to != (Ref{"p2", "9"}) {
				return errors.New("wrong job")
			}
			return err
		}, 200, `{"id":"9"}`, "POST /print/printers/p1/jobs/7/redirect", `{"destinationPrinterId":"p2"}`},
		{
			"redirect and rewrite", func(ctx context.Context, c *Client) error {
				_, err := c.RedirectJob(ctx, Ref{"p1", "7"}, "p2", []byte(`{"collate":true,"margin":{"top":3}}`))
				return err
			}, 200, `{"id":"9"}`, "POST /print/printers/p1/jobs/7/redirect",
			`{"destinationPrinterId":"p2","configuration":{"collate":true,"margin":{"top":3}}}`,
		},
		{"rewrite", func(ctx context.Context, c *Client) error {
			return c.UpdateJob(ctx, Ref{"p1", "7"}, []byte(`{"colorMode":"blackAndWhite"}`))
		}, 200, `{}`, "PATCH /print/printers/p1/jobs/7", `{"configuration":{"colorMode":"blackAndWhite"}}`},
		{"printer", func(ctx context.Context, c *Client) error {
			_, err := c.Printer(ctx,
				"p1")
			return err
		}, 200, `{"id":"p1"}`, "GET /print/printers/p1?$select=id,displayName,isAcceptingJobs,lastSeenDateTime,status,capabilities", ""},
		{
			"groups", func(ctx context.Context, c *Client) error {
				_, err := c.Groups(ctx, "u1")
				return err
			}, 200, `{"value":[{"id":"g"}]}`,
			"GET /users/u1/transitiveMemberOf/microsoft.graph.group?$select=id,displayName&$count=true&$top=999",
			"",
		},
		{
			"user by employee id", func(ctx context.Context, c *Client) error {
				u, ok, err := c.UserByEmployeeID(ctx, "o'42")
				if err == nil && (!ok || u.ID != "u1") {
					return fmt.Errorf("%+v %t", u, ok)
				}
				return err
			}, 200, `{"value":[{"id":"u1","userPrincipalName":"ada@contoso.com"}]}`,
			"GET /users?$filter=employeeId+eq+%27o%27%2742%27&$select=id,userPrincipalName&$top=2", "",
		},
		{"subscriptions", func(ctx context.Context, c *Client) error {
			_,
				err := c.Subscriptions(ctx)
			return err
		}, 200, `{"value":[]}`, "GET /subscriptions", ""},
		{"subscription", func(ctx context.Context, c *Client) error {
			_,
				err := c.Subscription(ctx, sub)
			return err
		}, 200, `{"id":"` + sub + `"}`, "GET /subscriptions/" + sub, ""},
		{
			"subscribe", func(ctx context.Context, c *Client) error {
				_, err := c.CreateSubscription(ctx, NewSubscription{TasksResource("d1"), "https://a/n", "https://a/l", "state", at})
				return err
			}, 201, `{"id":"s1"}`, "POST /subscriptions",
			`{"changeType":"created","resource":"print/taskDefinitions/d1/tasks","notificationUrl":"https://a/n",` +
				`"lifecycleNotificationUrl":"https://a/l","clientState":"state","expirationDateTime":"2026-03-01T11:30:00.0000000Z"}`,
		},
		{"renew", func(ctx context.Context, c *Client) error {
			_, err := c.RenewSubscription(ctx, sub,
				at)
			return err
		}, 200, `{}`, "PATCH /subscriptions/" + sub, `{"expirationDateTime":"2026-03-01T11:30:00.0000000Z"}`},
		{"reauthorize", func(ctx context.Context, c *Client) error {
			return c.ReauthorizeSubscription(ctx,
				sub)
		}, 204, ``, "POST /subscriptions/" + sub + "/reauthorize", ""},
		{"delete", func(ctx context.Context, c *Client) error { return c.DeleteSubscription(ctx, sub) }, 204, ``, "DELETE /subscriptions/" +
			sub, ""},
		{"delete what is gone", func(ctx context.Context, c *Client) error {
			return c.DeleteSubscription(ctx,
				sub)
		}, 404, `{}`, "DELETE /subscriptions/" + sub, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &scripted{status: tt.status, answer: tt.answer}
			if err := tt.do(t.Context(), s.client(t)); err != nil {
				t.Fatal(err)
			}
			if got := s.got.Method + " " + strings.TrimPrefix(s.got.URL.String(), "https://graph.microsoft.com/v1.0"); got != tt.want {
				t.Errorf("asked %s, want %s", got, tt.want)
			}
			if !sameJSON(t, s.body, tt.body) {
				t.Errorf("sent %s, want %s", s.body, tt.body)
			}
			h := s.got.Header
			if h.Get("Authorization") != "Bearer token-1" || h.Get("User-Agent") != "pullprint" || len(h.Get("client-request-id")) != 36 {
				t.Errorf("headers %v", h)
			}
			if (h.Get("Content-Type") != "") != (tt.body != "") || (h.Get("ConsistencyLevel") == "eventual") != (tt.name == "groups") {
				t.Errorf("headers %v", h)
			}
		})
	}
}

func sameJSON(t *testing.T, got, want string) bool {
	if got == "" || want == "" {
		return got == want
	}
	var a, b any
	if err := errors.Join(json.Unmarshal([]byte(got), &a), json.Unmarshal([]byte(want), &b)); err != nil {
		t.Fatal(err)
	}
	return cmp.Equal(a, b)
}

func TestIDsAreCheckedBeforeTheyTravel(t *testing.T) {
	s := &scripted{status: 200, answer: "{}"}
	c, ctx := s.client(t), t.Context()
	for _, bad := range []string{"", "..", "a/b", "a?b", "a%2fb", "ann@example.com", strings.Repeat("x", 65)} {
		_, e1 := c.Task(ctx, bad, "t")
		_, e2 := c.Task(ctx, "d", bad)
		_, e3 := c.Job(ctx, Ref{bad, "7"})
		_, e4 := c.Job(ctx, Ref{"p", bad})
		e5 := c.AbortJob(ctx, Ref{"p", bad}, "no")
		_, e6 := c.RedirectJob(ctx, Ref{"p", "7"}, bad, nil)
		e7 := c.FinishTask(ctx, "d", bad, TaskAborted, "")
		_, e8 := c.Printer(ctx, bad)
		_, e9 := c.Groups(ctx, bad)
		_, e10 := c.RenewSubscription(ctx, bad, time.Now())
		e11, e12 := c.ReauthorizeSubscription(ctx, bad), c.DeleteSubscription(ctx, bad)
		_, e13 := c.Subscription(ctx, bad)
		var e14 error
		for _, e14 = range c.Tasks(ctx, bad) {
		}
		for i, err := range []error{e1, e2, e3, e4, e5, e6, e7, e8, e9, e10, e11, e12, e13, e14} {
			if !errors.Is(err, errInvalidID) {
				t.Errorf("%q, call %d: %v", bad, i+1, err)
				continue
			}
			if e := problem(t, err); e.Ambiguous() || e.Unavailable() || e.NotFound() {
				t.Errorf("%q, call %d: %v", bad, i+1, e)
			}
		}
	}
	if err := c.AbortJob(ctx, ref, ""); !errors.Is(err, errInvalid) {
		t.Errorf("an abort without a reason: %v", err)
	}
	if s.got != nil {
		t.Errorf("asked %v", s.got.URL)
	}
}

const jobJSON = `{
	"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#print/printers('p')/jobs/$entity",
	"id": "5182", "createdDateTime": "2020-02-04T00:00:00.1234567Z",
	"createdBy": {"id": "de80c0c8-1eb4-4f2c-9d4b-6a2f0c7a7e16", "displayName": "Ann",
		"userPrincipalName": "ann@example.com", "ipAddress": null},
	"configuration": {"feedOrientation": "longEdgeFirst", "pageRanges": [{"start": 1, "end": 3}],
		"quality": "medium", "dpi": 600, "orientation": "landscape",
		"copies": 2, "duplexMode": "flipOnLongEdge", "colorMode": "unknownFutureValue", "inputBin": "by-pass-tray",
		"outputBin": null, "mediaSize": "A4",
		"margin": {"top": 0}, "mediaType": "stationery", "finishings": null, "pagesPerSheet": 1,
		"multipageLayout": "clockwiseFromBottomLeft", "collate": false,
		"scaling": "shrinkToFit", "fitPdfToPage": null, "newSetting": {"x": [1]}},
	"status": {"state": "paused", "description": "Secret Plan", "details": ["releaseWait", "hovering"], "isAcquiredByPrinter": false},
	"redirectedTo": null, "redirectedFrom": "https://graph.microsoft.com/v1.0/print/printers/q/jobs/3", "isFetchable": false, "errorCode": 0,
	"documents": [{"id": "ca96c367", "displayName": "Secret Plan.docx", "contentType": "application/oxps", "size": 276604}],
	"tasks": [{"id": "d036638b", "parentUrl": "https://graph.microsoft.com/v1.0/print/printers/p/jobs/5182",
		"status": {"state": "processing", "description": "The task is being processed."}, "definition": {"id": "d"}, "trigger": {"id": "t"}}]}`

func TestJobIsRead(t *testing.T) {
	s := &scripted{status: 200, answer: jobJSON}
	got, err := s.client(t).Job(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	no := false
	want := Job{
		Ref: ref, CreatedBy: User{"de80c0c8-1eb4-4f2c-9d4b-6a2f0c7a7e16", "ann@example.com"},
		Created: time.Date(2020, 2, 4, 0, 0, 0, 123456700, time.UTC),
		State:   JobPaused, Details: []string{"releaseWait", "hovering"},
		RedirectedFrom: "https://graph.microsoft.com/v1.0/print/printers/q/jobs/3",
		Configuration: Configuration{
			Copies: 2, ColorMode: "unknownFutureValue", DuplexMode: "flipOnLongEdge", MediaSize: "A4", MediaType: "stationery",
			Orientation: "landscape", Quality: "medium",
			PagesPerSheet: 1, MultipageLayout: "clockwiseFromBottomLeft", PageRanges: []PageRange{{
				1,
				3,
			}}, InputBin: "by-pass-tray", Collate: &no,
		},
		Documents: []Document{{"ca96c367", "application/oxps", 276604}},
		Tasks:     []Task{{"d036638b", TaskProcessing, "The task is being processed.", Ref{"p", "5182"}}},
	}
	if !strings.Contains(string(got.Settings), `"margin"`) || !strings.Contains(string(got.Settings), `"newSetting"`) {
		t.Errorf("settings without what has no name here: %s", got.Settings)
	}
	got.Settings = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestUnknownWordsAreNoError(t *testing.T) {
	s := &scripted{status: 200}
	c := s.client(t)
	for state, want := range map[string]string{
		"completed": "completed", "unknownFutureValue": "unknownFutureValue", "quarantined": "quarantined", "": "",
		"two words\n": "unknownFutureValue",
	} {
		raw, _ := json.Marshal(map[string]any{
			"id": ref.Job, "status": map[string]any{"state": state},
			"tasks": []any{map[string]any{"status": map[string]any{"state": state}}}, "createdBy": nil,
			"configuration": nil,
		})
		s.answer = string(raw)
		job, err := c.Job(t.Context(), ref)
		if err != nil || string(job.State) != want || string(job.Tasks[0].State) != want {
			t.Errorf("%q: %+v, %v", state, job, err)
		}
		if p, err := c.Printer(t.Context(), ref.Job); err != nil || string(p.State) != want {
			t.Errorf("%q: %+v, %v", state, p, err)
		}
	}
}

func TestDefinitionsTellWhoseTheyAre(t *testing.T) {
	s := &scripted{
		status: 200,
		answer: `{"value":[{"id":"d1","displayName":"pullprint","createdBy":{"appId":"a1","displayName":"x"}},` +
			`{"id":"d2","displayName":"pullprint","createdBy":null}]}`,
	}
	got, err := s.client(t).Definitions(t.Context())
	if diff := cmp.Diff([]Definition{{"d1", "pullprint", "a1"}, {"d2", "pullprint", ""}}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestErrorsCanBeLookedUp(t *testing.T) {
	for _, tt := range []struct {
		response *http.Response
		code, id string
		notFound bool
	}{
		{refusal(404, "NotFound"), "NotFound", "r-1", true},
		{answer(410, `{"error":{"code":"Gone","innererror":{"request-id":"r-2"}}}`), "Gone", "r-2", true},
		{answer(403, ``, "request-id", "r-3"), "", "r-3", false},
		{answer(403, `{"error":{"code":"Secret Plan","innerError":{"request-id":"Secret Plan"}}}`, "request-id", "r-4"), "", "r-4", false},
		{answer(400, `{"error":"x"}`, "request-id", "Secret Plan"), "", "", false},
	} {
		o := &fakeServers{graph: func(int, *http.Request) (*http.Response, error) { return tt.response, nil }}
		c, _ := o.client(t)
		_, err := c.Job(t.Context(), ref)
		e := problem(t, err)
		if e.Code != tt.code || e.RequestID != tt.id || e.NotFound() != tt.notFound || len(e.ClientRequestID) != 36 ||
			e.Operation != "get_job" {
			t.Errorf("%+v", e)
		}
		if c.LastSuccess().IsZero() {
			t.Error("a refusal is no sign of life")
		}
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	o := &fakeServers{graph: func(n int, _ *http.Request) (*http.Response, error) {
		switch n {
		case 1:
			return refusal(503, "x"), nil
		case 2:
			return nil, errRead
		}
		return answer(200, `{"id":"5182"}`), nil
	}}
	c, err := New(testConfig(t), Options{Transport: o, Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Job(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if o.idle != 1 {
		t.Errorf("%d times new connections, want 1 after the 503", o.idle)
	}
	for labels, want := range map[[2]string]float64{
		{"get_job", "503"}: 1, {"get_job", "error"}: 1, {"get_job", "200"}: 1, {"sign_in", "200"}: 1, {"abort_job", "204"}: 0,
	} {
		if got := testutil.ToFloat64(c.metrics.requests.WithLabelValues(labels[0], labels[1])); got != want {
			t.Errorf("%v: %v, want %v", labels, got, want)
		}
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
	if n, err := testutil.GatherAndCount(reg, "pullprint_graph_request_duration_seconds"); err != nil || n != int(operations) {
		t.Errorf("%d histograms, %v", n, err)
	}
}
