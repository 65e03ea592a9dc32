package bustest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"pullprint/connector/bus"
)

// Message is one that passed a server.
type Message struct {
	Subject string
	Header  map[string][]string
	Body    []byte
}

// Wire sees what is sent to the streams and buckets of an embedded server, and the
// acknowledgements of tasks, in their order.
type Wire struct {
	tb  testing.TB
	nc  *nats.Conn
	sub *nats.Subscription
}

// Listen begins to see. It has to be closed before the bus.
func Listen(tb testing.TB, b *bus.Bus) *Wire {
	tb.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(b), nats.Name("wire"))
	if err != nil {
		tb.Fatal(err)
	}
	sub, err := nc.SubscribeSync(">")
	if err == nil {
		err = errors.Join(sub.SetPendingLimits(-1, -1), flush(nc))
	}
	if err != nil {
		tb.Fatal(err)
	}
	return &Wire{tb, nc, sub}
}

// Passed are the messages since the last call. A write that was acknowledged before is
// among them.
func (w *Wire) Passed() (list []Message) {
	w.tb.Helper()
	for range 2 { // the server may store a message before it hands it on
		if err := flush(w.nc); err != nil {
			return list // closed
		}
	}
	for {
		n, _, err := w.sub.Pending()
		if err != nil || n == 0 {
			return list
		}
		m, err := w.sub.NextMsgWithContext(context.Background()) // there is one
		if err != nil {
			return list
		}
		if strings.HasPrefix(m.Reply, "$JS.ACK.") {
			continue // a stored message on its way to a consumer
		}
		for _, prefix := range []string{"$KV.", "pullprint.", "$JS.ACK."} {
			if strings.HasPrefix(m.Subject, prefix) {
				list = append(list, Message{m.Subject, m.Header, m.Data})
			}
		}
	}
}

// flush waits until the server has handed on what it had. It has a context of its own:
// timers of the client's other methods would be shared between tests in virtual time.
func flush(nc *nats.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return nc.FlushWithContext(ctx)
}

// Close ends it.
func (w *Wire) Close() { w.nc.Close() }
