package auth_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/trigger/graph"
)

// silentEntra gives no token from when it is silent until it is let.
type silentEntra struct {
	http.RoundTripper
	silent atomic.Bool
	let    chan struct{}
}

func (s *silentEntra) RoundTrip(req *http.Request) (*http.Response, error) {
	if s.silent.Load() && strings.HasSuffix(req.URL.Path, "/token") {
		<-s.let
	}
	return s.RoundTripper.RoundTrip(req)
}

// While one call renews the token of a person and Entra does not answer, another waits as
// long as its own context lasts.
func TestWaitingForATokenEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeping(t)
		entra := &silentEntra{RoundTripper: k.o.Transport, let: make(chan struct{})}
		k.o = graph.Options{Transport: entra}
		c := k.signIn()
		time.Sleep(2 * time.Hour) // virtual: the token has ended
		entra.silent.Store(true)
		first := make(chan error, 1)
		go func() { _, err := c.Triggers(t.Context(), "printer-1"); first <- err }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		second := make(chan error, 1)
		go func() { _, err := c.Triggers(ctx, "printer-1"); second <- err }()
		time.Sleep(2 * time.Second)
		select {
		case err := <-second:
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		default:
			t.Error("waits beyond its context")
		}
		close(entra.let)
		<-first
		synctest.Wait()
	})
}
