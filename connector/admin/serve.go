package admin

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"

	"pullprint/trigger/listen"
)

// Time-outs and limits of the server of the API and the pages.
const (
	headerWithin = 5 * time.Second
	bodyWithin   = 10 * time.Second // a body of 64 KiB takes a second on a slow line
	importWithin = 30 * time.Second // 16 MiB at 5 Mbit/s
	answerWithin = 40 * time.Second // longer than release.Releaser lets a release take
	idleWithin   = 30 * time.Second // readers and stations open another for the next tap
	maxHeader    = 16 << 10         // a token and two cookies have below 1 KiB; proxies add some
	finishWithin = 20 * time.Second // the daemon has 25 s to end; see deploy/kubernetes
)

// maxConns is how many connections to the API and the pages may be open: twice the
// requests that are answered at once, and a quarter of the descriptors of the process
// at most.
const (
	maxConns  = 2 * maxRequests
	connsPart = 4
)

// Server serves the API and the pages.
type Server struct {
	config  Config
	handler http.Handler
	log     *zap.Logger
}

// NewServer serves the API below /v1/ and the pages elsewhere.
func NewServer(c Config, api *API, pages http.Handler) *Server {
	mux := http.NewServeMux()
	mux.Handle("/v1/", api)
	mux.Handle("/", pages)
	return &Server{config: c, handler: mux, log: api.log}
}

// Serve answers on ln until ctx ends, then lets the requests that have begun finish for
// finishWithin: a release is carried out.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	errorLog, err := zap.NewStdLogAt(s.log, zap.DebugLevel)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: s.handler, ErrorLog: errorLog} //nolint:gosec // listen.Bound sets the time-outs
	l, watch, err := s.config.TLS.Listener(listen.Bound(srv, ln, listen.Limits{
		Conns: listen.Share(maxConns, connsPart), Header: headerWithin, Body: bodyWithin, Answer: answerWithin,
		Idle: idleWithin, HeaderBytes: maxHeader,
	}), s.log)
	if err != nil {
		return err
	}
	s.log.Info("api served", zap.Stringer("address", ln.Addr()), zap.Bool("tls", s.config.TLS.CertFile != ""))
	if err := listen.Serve(ctx, srv, finishWithin, func() error { return srv.Serve(l) }, watch); err != nil {
		return fmt.Errorf("serve api: %w", err)
	}
	return ctx.Err()
}
