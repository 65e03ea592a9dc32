package bustest

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// External starts a NATS server with JetStream on a loopback port, as one that
// several processes share, and returns its address. It ends with the test.
func External(tb testing.TB) string {
	tb.Helper()
	return ExternalWith(tb, func(*server.Options) {}, nil)
}

// ExternalWith is External with other options and with limits of our account; nil for
// none.
func ExternalWith(tb testing.TB, change func(*server.Options), limits map[string]server.JetStreamAccountLimits) string {
	tb.Helper()
	o := &server.Options{
		ServerName: "external", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: TempDir(tb), SyncAlways: true,
	}
	change(o)
	s, err := server.NewServer(o)
	if err != nil {
		tb.Fatalf("make the external server: %v", err)
	}
	s.Start()
	tb.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(10 * time.Second) {
		tb.Fatal("the external server is not ready")
	}
	if limits != nil {
		if err := s.GlobalAccount().UpdateJetStreamLimits(limits); err != nil {
			tb.Fatalf("limit the account: %v", err)
		}
	}
	return s.ClientURL()
}

// RemoveStream removes a stream of the server at an address, as whoever administers it can.
func RemoveStream(tb testing.TB, url, name string) {
	tb.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		tb.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err == nil {
		err = js.DeleteStream(tb.Context(), name)
	}
	if err != nil {
		tb.Fatalf("remove %s: %v", name, err)
	}
}
