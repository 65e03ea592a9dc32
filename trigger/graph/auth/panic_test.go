package auth_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/graphtest"
)

// panicking panics at the first request for a token, once it is let.
type panicking struct {
	http.RoundTripper
	let  chan struct{}
	done atomic.Bool
}

func (p *panicking) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, "/token") && !p.done.Swap(true) {
		<-p.let
		panic("in a request for a token")
	}
	return p.RoundTripper.RoundTrip(req)
}

// A panic while a token is fetched reaches nobody who waits for it: they fetch one.
func TestPanicOfAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := graphtest.New(graphtest.Calm())
		defer sim.Close()
		sim.AddApp(graphtest.App{ClientID: signInApp, Secret: "secret"})
		file := t.TempDir() + "/secret"
		write(t, file, []byte("secret"))
		wire := &panicking{RoundTripper: sim.Transport(), let: make(chan struct{})}
		c, err := graph.New(graph.Config{
			TenantID: sim.Tenant(), Auth: auth.Config{ClientID: signInApp, ClientSecretFile: file},
			Endpoints: graph.Endpoints{Graph: "http://127.0.0.1:9440/v1.0", Authority: "http://127.0.0.1:9440"},
		}, graph.Options{Transport: wire})
		if err != nil {
			t.Fatal(err)
		}
		first, second := make(chan any, 1), make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() {
			defer func() { first <- recover() }()
			_ = c.KeepSignedIn(ctx)
		}()
		synctest.Wait()
		go func() { second <- c.KeepSignedIn(ctx) }()
		synctest.Wait()
		close(wire.let)
		if p := <-first; p == nil {
			t.Error("the panic is gone")
		}
		if err := <-second; err != nil {
			t.Errorf("who waited: %v", err)
		}
		if err := c.KeepSignedIn(ctx); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}
