package graph

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"pullprint/trigger/graph/transport"
)

// The floor of both benchmarks is what anybody would write with net/http and
// encoding/json: no token to keep, no retry, no limit, no metrics.

// stub answers like Graph over plain loopback HTTP, at the least cost.
func stub(b *testing.B) *Client {
	job := []byte(jobJSON)
	c, _ := server(b, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header()["Content-Type"] = acceptJSON
		_, _ = w.Write(job)
	})
	if err := c.SignIn(b.Context()); err != nil {
		b.Fatal(err)
	}
	return c
}

func bare() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: (&net.Dialer{}).DialContext, MaxIdleConnsPerHost: 64, DisableCompression: true,
	}}
}

func BenchmarkJob(b *testing.B) {
	c := stub(b)
	b.Run("floor", func(b *testing.B) {
		h := bare()
		defer h.CloseIdleConnections()
		url := c.base.String() + "/print/printers/" + ref.Printer + "/jobs/" + ref.Job + "?$expand=tasks,documents"
		b.ReportAllocs()
		for b.Loop() {
			req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
			if err != nil {
				b.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer token-1")
			req.Header.Set("client-request-id", transport.NewGUID())
			resp, err := h.Do(req)
			if err != nil {
				b.Fatal(err)
			}
			raw, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusOK {
				b.Fatal(resp.Status, err)
			}
			var job wireJob
			if err := json.Unmarshal(raw, &job); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("client", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Job(b.Context(), ref); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAbort(b *testing.B) {
	c := stub(b)
	b.Run("floor", func(b *testing.B) {
		h := bare()
		defer h.CloseIdleConnections()
		url := c.base.String() + "/print/printers/" + ref.Printer + "/jobs/" + ref.Job + "/abort"
		b.ReportAllocs()
		for b.Loop() {
			raw, err := json.Marshal(map[string]string{"reason": "Too many pages."})
			if err != nil {
				b.Fatal(err)
			}
			req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, bytes.NewReader(raw))
			if err != nil {
				b.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer token-1")
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("client-request-id", transport.NewGUID())
			resp, err := h.Do(req)
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != http.StatusNoContent {
				b.Fatal(resp.Status)
			}
		}
	})
	b.Run("client", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := c.AbortJob(b.Context(), ref, "Too many pages."); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkTasks is the cost of a task in a long list, over pages of 100.
func BenchmarkTasks(b *testing.B) {
	const size = 100
	var page bytes.Buffer
	page.WriteString(`{"value":[`)
	for i := range size {
		if i > 0 {
			page.WriteString(",")
		}
		fmt.Fprintf(&page,
			`{"id":"d036638b-1272-4bba-9227-%012d","parentUrl":"https://graph.microsoft.com/v1.0/print/printers/%s/jobs/%d","status":{"state":"processing","description":"The task is being processed."}}`, i, ref.Printer, i)
	}
	page.WriteString(`]}`)
	c, _ := server(b, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(page.Bytes()) })
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		for _, err := range c.Tasks(b.Context(), "d") {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/task")
}
