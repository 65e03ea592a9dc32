package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"

	"pullprint/trigger/listen"
)

// Limits of the server, besides those of the Handler. The first three end connections whose
// client is slower than the Handler allows a POST to be.
const (
	headerTimeout = 2 * time.Second
	readTimeout   = 2 * time.Second
	writeTimeout  = 4 * time.Second
	idleTimeout   = 20 * time.Second // Graph sends the next POST sooner, or much later
	closeTimeout  = 3 * time.Second  // for each of the two steps of a shutdown; as long as Graph waits
	maxHeader     = 16 << 10         // with a percent-encoded validationToken of 4 KiB
)

// A connection can be open for each POST that is worked on, but at most for a quarter of the
// file descriptors of the process.
const (
	maxConns  = maxRequests
	connsPart = 4
)

// Config is the section `webhook` of the configuration.
type Config struct {
	// Listen is the address to listen on.
	Listen string `yaml:"listen"`
	// PublicURL is where Graph reaches us: it posts to {public_url}/graph/notifications and
	// {public_url}/graph/lifecycle. Plain http is accepted on loopback only.
	PublicURL string `yaml:"public_url"`
	TLS       TLS    `yaml:"tls"`
}

// TLS names a certificate and its key, in PEM. Both are reloaded when they change. Without them
// the webhook serves plain http, for a proxy in front of it.
type TLS struct {
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// Server serves a Handler to Graph.
type Server struct {
	handler *Handler
	log     *zap.Logger
	pair    *pair // nil: plain http
}

// NewServer reads the certificate, if one is configured, and starts nothing.
func NewServer(c Config, h *Handler, log *zap.Logger) (*Server, error) {
	if log == nil {
		log = zap.NewNop()
	}
	s := &Server{handler: h, log: log.Named("webhook")}
	var err error
	s.pair, err = openPair(c.TLS, s.log)
	return s, err
}

// Serve serves on a listener, which it closes, until ctx ends. Then it answers 503 to new
// requests, finishes those under way, and returns ctx's error. Notifications that were accepted
// may still be stored during that time, so the Store has to outlive it. Call it once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	errorLog, err := zap.NewStdLogAt(s.log, zap.DebugLevel)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	srv := &http.Server{ //nolint:gosec // listen.Bound sets the time-outs
		Handler:  s.handler,
		ErrorLog: errorLog,
		// Only HTTP/1, so that a connection carries one request at a time and its time-outs
		// apply to that request.
		Protocols: new(http.Protocols),
	}
	srv.Protocols.SetHTTP1(true)
	l = listen.Bound(srv, l, listen.Limits{
		Conns: listen.Share(maxConns, connsPart), Header: headerTimeout, Body: readTimeout, Answer: writeTimeout,
		Idle: idleTimeout, HeaderBytes: maxHeader,
	})
	l = s.pair.listener(l, "http/1.1")
	s.log.Info("listening", zap.Stringer("address", l.Addr()), zap.Bool("tls", s.pair != nil))
	err = listen.Serve(ctx, srv, closeTimeout, func() error { return srv.Serve(l) }, s.refuse, s.pair.watch)
	if err != nil {
		return fmt.Errorf("serve webhook: %w", err)
	}
	return ctx.Err()
}

// refuse refuses new requests when ctx ends, and waits for those under way.
func (s *Server) refuse(ctx context.Context) error {
	<-ctx.Done()
	s.log.Info("refusing notifications, finishing those in hand")
	late := time.NewTimer(closeTimeout)
	defer late.Stop()
	select {
	case <-s.handler.Refuse():
	case <-late.C:
		s.log.Warn("store did not return in time; graph will repeat the notifications")
	}
	return nil
}
