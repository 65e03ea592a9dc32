package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/trigger/listen"
)

// Time-outs of the server, beside those of the Handler.
const (
	headerWithin = 2 * time.Second
	readWithin   = 2 * time.Second
	writeWithin  = 4 * time.Second
	idleWithin   = 20 * time.Second // Graph comes again sooner, or not for a while
	maxHeader    = 16 << 10         // with a validationToken of 4 KiB, percent-encoded
	closeWithin  = 3 * time.Second
)

// maxConns is how many connections may be open: as many as POSTs may be in hand, and a
// quarter of the descriptors of the process at most.
const (
	maxConns  = maxRequests
	connsPart = 4
)

// Config is the section `webhook` of the configuration.
type Config struct {
	// Listen is the address to listen on.
	Listen string `yaml:"listen"`
	// PublicURL is where Graph reaches us: it posts to {public_url}/graph/notifications
	// and {public_url}/graph/lifecycle. Plain http only on loopback.
	PublicURL string `yaml:"public_url"`
	TLS       TLS    `yaml:"tls"`
}

// TLS names a certificate and its key, in PEM; both are read again when they
// change. Without them the webhook speaks plain http, for a proxy in front of it.
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

// NewServer reads the certificate, if there is one, and starts nothing.
func NewServer(c Config, h *Handler, log *zap.Logger) (*Server, error) {
	if log == nil {
		log = zap.NewNop()
	}
	s := &Server{handler: h, log: log.Named("webhook")}
	if c.TLS.CertFile == "" && c.TLS.KeyFile == "" {
		return s, nil
	}
	var err error
	if s.pair, err = openPair(c.TLS, s.log); err != nil {
		return nil, err
	}
	return s, nil
}

// Serve serves on a listener, which it closes, until ctx ends. Then it answers
// 503, finishes what is in hand, and returns ctx's error; what was accepted may
// still be stored meanwhile, so the Store has to outlive it. It serves once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	errorLog, err := zap.NewStdLogAt(s.log, zap.DebugLevel)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	srv := &http.Server{ //nolint:gosec // listen.Bound sets the time-outs
		Handler:  s.handler,
		ErrorLog: errorLog,
		// HTTP/1 alone, so that a connection is one request at a time and its
		// time-outs are the request's.
		Protocols: new(http.Protocols),
	}
	srv.Protocols.SetHTTP1(true)
	l = listen.Bound(srv, l, listen.Limits{
		Conns: listen.Share(maxConns, connsPart), Header: headerWithin, Body: readWithin, Answer: writeWithin,
		Idle: idleWithin, HeaderBytes: maxHeader,
	})
	if s.pair != nil {
		l = tls.NewListener(l,
			&tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.pair.get, NextProtos: []string{"http/1.1"}})
	}
	s.log.Info("listening", zap.Stringer("address", l.Addr()), zap.Bool("tls", s.pair != nil))
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve webhook: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		<-gctx.Done()
		return errors.Join(context.Cause(gctx), s.stop(srv))
	})
	if s.pair != nil {
		g.Go(func() error { return s.pair.watch(gctx) })
	}
	err = g.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// stop refuses, finishes and closes, in this order.
func (s *Server) stop(srv *http.Server) error {
	s.log.Info("refusing notifications, finishing those in hand")
	late := time.NewTimer(closeWithin)
	defer late.Stop()
	select {
	case <-s.handler.Refuse():
	case <-late.C:
		s.log.Warn("store did not return in time; graph will repeat the notifications")
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return errors.Join(err, srv.Close())
	}
	return nil
}
