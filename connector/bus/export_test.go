package bus

import (
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// JetStream is the client below the bus, for floors and for meddling.
func (b *Bus) JetStream() jetstream.JetStream { return b.js }

// Conn is the connection below the bus.
func (b *Bus) Conn() *nats.Conn { return b.nc }

// CheckVersion is what an external server has to pass.
var CheckVersion = checkVersion
