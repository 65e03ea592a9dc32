package bustest

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// Served are the addresses of a NATS server.
type Served struct {
	// URL is where NATS clients connect.
	URL string
	// MQTT is host:port of the MQTT listener.
	MQTT string
}

// ServeMQTT starts a NATS server with MQTT by a configuration, with loopback addresses
// and a folder of the test in place of its own, and without TLS. Whoever connects over
// NATS without credentials is the user named. It ends with the test.
func ServeMQTT(tb testing.TB, conf, user string) Served {
	tb.Helper()
	path := filepath.Join(TempDir(tb), "nats-server.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		tb.Fatal(err)
	}
	var mqtt *server.MQTTOpts
	url := FromFile(tb, path, Port, Store(tb), func(o *server.Options) {
		o.MQTT.Host, o.MQTT.Port, o.MQTT.TLSConfig = "127.0.0.1", server.RANDOM_PORT, nil
		o.NoAuthUser = user
		mqtt = &o.MQTT
	})
	return Served{URL: url, MQTT: net.JoinHostPort(mqtt.Host, strconv.Itoa(mqtt.Port))}
}
