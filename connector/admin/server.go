package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// MetricsServer serves /metrics, /healthz and /readyz.
type MetricsServer struct {
	srv *http.Server
	log *zap.Logger
}

// NewMetricsServer serves what g gathers and what h finds.
func NewMetricsServer(g prometheus.Gatherer, h *Health, log *zap.Logger) *MetricsServer {
	log = log.Named("metrics")
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(g, promhttp.HandlerOpts{ErrorLog: zap.NewStdLog(log), MaxRequestsInFlight: 8}))
	mux.HandleFunc("GET /healthz", h.Live)
	mux.HandleFunc("GET /readyz", h.Ready)
	mux.HandleFunc("GET /{$}", landing)
	return &MetricsServer{log: log, srv: &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: zap.NewStdLog(log),
	}}
}

// Serve answers on ln until ctx ends, then lets open requests finish for a
// second.
func (s *MetricsServer) Serve(ctx context.Context, ln net.Listener) error {
	s.log.Info("metrics served", zap.Stringer("address", ln.Addr()))
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		stopped <- s.srv.Shutdown(end)
	})
	defer stop()
	if err := s.srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	if err := <-stopped; err != nil {
		return s.srv.Close()
	}
	return nil
}

func landing(rw http.ResponseWriter, _ *http.Request) {
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	rw.Header().Set("X-Content-Type-Options", "nosniff")
	rw.Header().Set("Content-Security-Policy", "default-src 'none'")
	fmt.Fprint(rw, `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>pullprint</title>
<h1>pullprint</h1><ul><li><a href="/metrics">metrics</a><li><a href="/healthz">healthz</a><li><a href="/readyz?verbose">readyz</a></ul></html>
`)
}
