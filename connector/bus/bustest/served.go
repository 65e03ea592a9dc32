package bustest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Served are the addresses of a NATS server.
type Served struct {
	// URL is where NATS clients connect.
	URL string
	// MQTT is host:port of the MQTT listener.
	MQTT string
}

// Serve starts a NATS server by a configuration file, with loopback addresses and a
// folder of the test in place of its own, and without TLS. Whoever connects over NATS
// without credentials is the user named. It ends with the test.
func Serve(tb testing.TB, conf, user string) Served {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "nats-server.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		tb.Fatal(err)
	}
	o, err := server.ProcessConfigFile(path)
	if err != nil {
		tb.Fatal(fmt.Errorf("read the configuration of a NATS server: %w", err))
	}
	o.Host, o.Port, o.StoreDir, o.NoLog, o.NoSigs = "127.0.0.1", server.RANDOM_PORT, tb.TempDir(), true, true
	o.MQTT.Host, o.MQTT.Port, o.MQTT.TLSConfig = "127.0.0.1", -1, nil
	o.NoAuthUser = user
	s, err := server.NewServer(o)
	if err != nil {
		tb.Fatalf("make a NATS server: %v", err)
	}
	s.Start()
	tb.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(10 * time.Second) {
		tb.Fatal("the NATS server is not ready")
	}
	return Served{URL: s.ClientURL(), MQTT: net.JoinHostPort(o.MQTT.Host, strconv.Itoa(o.MQTT.Port))}
}
