package health

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

func get(t *testing.T, h http.HandlerFunc, target string) (int, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	h(rec, httptest.NewRequest(http.MethodGet, target, nil))
	if rec.Header().Get("X-Content-Type-Options") != "nosniff" || rec.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%s: headers %v", target, rec.Header())
	}
	return rec.Code, rec.Body.String()
}

func TestReady(t *testing.T) {
	var broken error
	h := New(Check{"store", func(context.Context) error { return nil }}, Check{"token", func(context.Context) error { return broken }})
	if code, body := get(t, h.Ready, "/readyz"); code != 200 || body != "ready\n" {
		t.Errorf("%d %q", code, body)
	}
	if code, body := get(t, h.Ready, "/readyz?verbose"); code != 200 || body != "[+] store: ok\n[+] token: ok\nready\n" {
		t.Errorf("%d %q", code, body)
	}
	broken = errors.New("no token; sign-in is tried again")
	if code, body := get(t, h.Ready, "/readyz"); code != 503 || !strings.Contains(body, "[-] token: no token") ||
		!strings.HasSuffix(body, "not ready\n") {
		t.Errorf("%d %q", code, body)
	}
	if code, body := get(t, h.Ready, "/readyz?verbose&exclude=token"); code != 200 ||
		body != "[+] store: ok\n[ ] token: excluded\nready\n" {
		t.Errorf("%d %q", code, body)
	}
	if code, body := get(t, h.Ready, "/readyz?exclude=store"); code != 503 {
		t.Errorf("%d %q", code, body)
	}
	if code, body := get(t, h.Ready, "/readyz?exclude=tokn"); code != 400 || body != "exclude: no such check; they are store, token\n" {
		t.Errorf("%d %q", code, body)
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(h.Collector())
	for check, want := range map[string]float64{"store": 1, "token": 0} {
		if got := gauge(t, reg, "pullprint_ready", check); got != want {
			t.Errorf("pullprint_ready of %s = %v", check, got)
		}
	}
	broken = nil
	var known error
	h.Advise(Check{"tokens", func(context.Context) error { return known }})
	if _, body := get(t, h.Ready, "/readyz?verbose"); body != "[+] store: ok\n[+] token: ok\nready\n" {
		t.Errorf("%q", body)
	}
	known = errors.New("nobody is let in as west")
	if code, body := get(t, h.Ready, "/readyz?verbose"); code != 200 ||
		body != "[+] store: ok\n[+] token: ok\n[!] tokens: nobody is let in as west\nready\n" {
		t.Errorf("%d %q", code, body)
	}
	h.Stop()
	if code, body := get(t, h.Ready, "/readyz?exclude=store&exclude=token"); code != 503 {
		t.Errorf("stopping: %d %q", code, body)
	}
	if code, body := get(t, h.Ready, "/readyz?verbose"); code != 503 || !strings.Contains(body, "[-] daemon: stopping") {
		t.Errorf("%d %q", code, body)
	}
	if code, _ := get(t, h.Live, "/healthz"); code != 200 {
		t.Errorf("healthz = %d while stopping", code)
	}
}

// The server answers what it is for and nothing else, and ends with its context.
func TestMetricsServer(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "pullprint_test_gauge", Help: "x"}))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s, err := NewServer(ServerOptions{Gatherer: reg, Health: New(), Version: "v1.2.3", Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	go func() { ended <- s.Serve(ctx, ln) }()
	for path, want := range map[string]string{
		"/metrics": "pullprint_test_gauge 0", "/healthz": "ok", "/readyz": "ready", "/": "v1.2.3", "/other": "404",
	} {
		res, err := http.Get("http://" + ln.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %s, want %s", path, res.StatusCode, body, want)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// gauge is the value of the series whose only label has this value.
func gauge(t *testing.T, g prometheus.Gatherer, name, label string) float64 {
	t.Helper()
	all, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == label {
				return m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no %s of %s", name, label)
	return 0
}
