package health

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/exporter-toolkit/web"
	"go.uber.org/zap"

	"pullprint/trigger/listen"
)

// ServerOptions are what a Server is made of.
type ServerOptions struct {
	Gatherer prometheus.Gatherer
	Health   *Checks
	// WebConfigFile is a web configuration of Prometheus' exporter toolkit: TLS,
	// certificates of clients, passwords. Empty is plain http for everybody.
	WebConfigFile string
	// Version is shown on the landing page.
	Version string
	Logger  *zap.Logger
}

// Server serves /metrics, /healthz and /readyz, and a page that leads there.
type Server struct {
	srv       *http.Server
	webConfig string
	log       *zap.Logger
}

// NewServer reads the web configuration, if there is one, and starts nothing.
func NewServer(o ServerOptions) (*Server, error) {
	if err := CheckWebConfig(o.WebConfigFile); err != nil {
		return nil, fmt.Errorf("metrics.web_config_file: %w", err)
	}
	front, err := landing(o.Version)
	if err != nil {
		return nil, fmt.Errorf("make the landing page: %w", err)
	}
	log := o.Logger.Named("metrics")
	mux := http.NewServeMux()
	mux.Handle("GET /metrics",
		buffered(promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{ErrorLog: zap.NewStdLog(log), MaxRequestsInFlight: 8})))
	mux.HandleFunc("GET /healthz", o.Health.Live)
	mux.HandleFunc("GET /readyz", o.Health.Ready)
	mux.Handle("GET /{$}", front)
	handler, err := guarded(o.WebConfigFile, log, mux)
	if err != nil {
		return nil, fmt.Errorf("metrics.web_config_file: %w", err)
	}
	srv := &http.Server{Handler: handler, ErrorLog: zap.NewStdLog(log)} //nolint:gosec // listen.Bound sets the time-outs
	return &Server{log: log, webConfig: o.WebConfigFile, srv: srv}, nil
}

// metricsLimits are for the clients of the metrics: Prometheus, probes, and sometimes a
// person. Prometheus scrapes every 15 s by default, so its connection is kept.
func metricsLimits() listen.Limits {
	return listen.Limits{
		Conns: listen.Share(64, 16), Header: 5 * time.Second, Body: 5 * time.Second, Answer: 15 * time.Second,
		Idle: 30 * time.Second, HeaderBytes: 16 << 10, // of the API too: a cookie and a token are far less
	}
}

// guarded answers only while the web configuration is not empty, if it was not at the start.
// The toolkit reads the file for each request and takes an empty one for a configuration
// without passwords; but a file may be empty because it is being written. To let everybody
// in, write {} into it.
func guarded(file string, log *zap.Logger, next http.Handler) (http.Handler, error) {
	if file == "" {
		return next, nil
	}
	if empty, err := blank(file); err != nil || empty {
		return next, err
	}
	return http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		empty, err := blank(file)
		if err == nil && !empty {
			next.ServeHTTP(rw, req)
			return
		}
		log.Error("web configuration is empty or gone, nobody is let in",
			zap.String("file", file), zap.Error(err))
		http.Error(rw, "The web configuration of this listener is empty; the log says more.", http.StatusServiceUnavailable)
	}), nil
}

// blank reports whether a file holds nothing but comments.
func blank(file string) (bool, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	for line := range bytes.Lines(src) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false, nil
		}
	}
	return true, nil
}

// buffered sends what next has written once next has returned, so that a client that reads
// slowly does not count against MaxRequestsInFlight.
func buffered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		out := captured{header: rw.Header(), status: http.StatusOK}
		next.ServeHTTP(&out, req)
		rw.WriteHeader(out.status)
		_, _ = rw.Write(out.body.Bytes()) // the client may have gone
	})
}

// MetricsText is the answer of /metrics to a request, without compression.
func MetricsText(g prometheus.Gatherer, req *http.Request) string {
	out := captured{header: http.Header{}}
	promhttp.HandlerFor(g, promhttp.HandlerOpts{DisableCompression: true}).ServeHTTP(&out, req)
	return out.body.String()
}

// captured keeps what a handler answers.
type captured struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (p *captured) Header() http.Header         { return p.header }
func (p *captured) WriteHeader(status int)      { p.status = status }
func (p *captured) Write(b []byte) (int, error) { return p.body.Write(b) }

// Serve answers on ln until ctx ends, then lets open requests finish for a
// second. The web configuration is read again for every connection and request.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ln = listen.Bound(s.srv, ln, metricsLimits())
	s.log.Info("metrics served", zap.Stringer("address", ln.Addr()), zap.String("web_config_file", s.webConfig))
	flags := &web.FlagConfig{WebConfigFile: &s.webConfig}
	err := listen.Serve(ctx, s.srv, time.Second, func() error {
		return web.Serve(ln, s.srv, flags, slog.New(bridge{s.log}))
	})
	if err != nil {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}

// landing is the page at /.
func landing(version string) (http.Handler, error) {
	page, err := web.NewLandingPage(web.LandingConfig{
		Name: "pullprint", Description: "Pull printing for Microsoft Universal Print", Version: version,
		HeaderColor: "#0b57d0", Profiling: "false",
		Links: []web.LandingLinks{
			{Address: "/metrics", Text: "metrics", Description: "what Prometheus reads"},
			{Address: "/readyz?verbose", Text: "readyz", Description: "whether it can work now, check by check"},
			{Address: "/healthz", Text: "healthz", Description: "whether the process answers"},
		},
	})
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		rw.Header().Set("X-Content-Type-Options", "nosniff")
		rw.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		page.ServeHTTP(rw, req)
	}), nil
}
