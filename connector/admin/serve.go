package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// Time-outs of the server of the API and the pages. A release may take as long
// as connector.Releaser lets it.
const (
	headerWithin = 5 * time.Second
	bodyWithin   = 30 * time.Second
	answerWithin = 40 * time.Second
	idleWithin   = 2 * time.Minute
	maxHeader    = 16 << 10
	finishWithin = 20 * time.Second
)

// Server serves the API and the pages.
type Server struct {
	config  Config
	handler http.Handler
	log     *zap.Logger
}

// NewServer serves the API below /v1/ and the pages elsewhere.
func NewServer(c Config, api *API, pages *Pages) *Server {
	mux := http.NewServeMux()
	mux.Handle("/v1/", api)
	mux.Handle("/", pages)
	return &Server{config: c, handler: mux, log: api.log}
}

// Serve answers on ln until ctx ends, then lets requests in hand finish: a
// release that began is carried out.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	errorLog, err := zap.NewStdLogAt(s.log, zap.DebugLevel)
	if err != nil {
		return err
	}
	l, watch, err := s.config.TLS.Listener(ln, s.log)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: headerWithin, ReadTimeout: bodyWithin, WriteTimeout: answerWithin,
		IdleTimeout: idleWithin, MaxHeaderBytes: maxHeader, ErrorLog: errorLog,
	}
	s.log.Info("api served", zap.Stringer("address", ln.Addr()), zap.Bool("tls", s.config.TLS.CertFile != ""))
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve api: %w", err)
		}
		return nil
	})
	g.Go(func() error { return watch(gctx) })
	g.Go(func() error {
		<-gctx.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
		defer cancel()
		if err := srv.Shutdown(end); err != nil {
			return errors.Join(err, srv.Close())
		}
		return gctx.Err()
	})
	err = g.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
