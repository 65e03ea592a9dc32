package graphtest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func benchmarkCall(b *testing.B, method, suffix, body string, want int) {
	s := New(Calm())
	defer s.Close()
	app := s.AddApp(App{})
	queue := s.AddPrinter(Printer{})
	if _, err := s.AddTrigger(queue.ID, s.PlantDefinition(app.ClientID, "d")); err != nil {
		b.Fatal(err)
	}
	bearer, transport := "Bearer "+s.AppToken(app.ClientID), s.Transport()
	for range b.N {
		if _, err := s.Submit(JobSpec{Printer: queue.ID}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		req, err := http.NewRequestWithContext(b.Context(), method,
			fmt.Sprintf("%s/print/printers/%s/jobs/%d%s", base, queue.ID, i+1, suffix),
			strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Authorization", bearer)
		res, err := transport.RoundTrip(req)
		if err != nil || res.StatusCode != want {
			b.Fatal(err, res)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

func BenchmarkReadJob(b *testing.B) {
	benchmarkCall(b, "GET", "?$expand=tasks,documents", "", http.StatusOK)
}

func BenchmarkAbortJob(b *testing.B) {
	benchmarkCall(b, "POST", "/abort", `{"reason":"x"}`, http.StatusNoContent)
}
