package backup

import (
	"context"
	"testing"
	"time"

	"pullprint/connector/bus/schema"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A cluster that has no leader at the moment is asked again for a restore.
func TestRestoreWaitsForALeader(t *testing.T) {
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	go srv.Start()
	defer srv.Shutdown()
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("no server")
	}
	nc, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	asked := make(chan error, 1)
	go func() {
		subject, err := askRestore(context.Background(), nc, jetstream.StreamConfig{Name: schema.Dead}, jetstream.StreamState{})
		if err == nil && subject != "there" {
			err = nats.ErrBadSubject
		}
		asked <- err
	}()
	<-time.After(2 * restoreRetry) // nobody hears the first questions
	if _, err := nc.Subscribe("$JS.API.STREAM.RESTORE."+schema.Dead, func(m *nats.Msg) {
		_ = m.Respond([]byte(`{"deliver_subject":"there"}`))
	}); err != nil {
		t.Fatal(err)
	}
	if err := <-asked; err != nil {
		t.Error(err)
	}
}
