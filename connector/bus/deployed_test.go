package bus_test

import (
	"context"
	"crypto/tls"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/store"
)

// The example of deploy/nats, by what each of its users can do and, above all,
// what it can't.
func TestDeployed(t *testing.T) {
	d := bustest.StartDeployed(t, bustest.AsIn("nats-server.conf"))
	if !d.Options.SyncAlways || len(d.Options.Routes) != 3 || d.Options.TLSConfig.ClientAuth != tls.RequireAndVerifyClientCert ||
		d.Options.Cluster.TLSConfig == nil {
		t.Errorf("sync %v, %d routes, client certificates %v", d.Options.SyncAlways, len(d.Options.Routes), d.Options.TLSConfig.ClientAuth)
	}
	b := opens(t, bus.Config{URL: d.URL, NkeyFile: d.Nkeys["PULLPRINT_NKEY"], TLS: d.TLS}, bus.Options{})
	taps := make(chan string, 16)
	serving, stop := context.WithCancel(t.Context())
	var served sync.WaitGroup
	served.Go(func() {
		_ = b.ServeTaps(serving, func(_ context.Context, r store.TapRequest) store.TapReply {
			taps <- r.Device
			return store.TapReply{Status: 200, Body: []byte("printed")}
		})
	})
	defer served.Wait()
	defer stop()
	if _, swapped, err := b.Badges().CompareAndSet(t.Context(), "card.1", []byte("owner"), 0, 0); err != nil || !swapped {
		t.Fatal(swapped, err)
	}

	t.Run("pullprint", func(t *testing.T) { deployedPullprint(t, d) })
	t.Run("bridge", func(t *testing.T) { deployedBridge(t, d, b) })
	t.Run("reader", func(t *testing.T) { deployedReader(t, d, b, taps) })
	t.Run("without certificate or key", func(t *testing.T) {
		noCert := bus.Config{URL: d.URL, NkeyFile: d.Nkeys["PULLPRINT_NKEY"], TLS: bus.TLS{CAFile: d.TLS.CAFile}}
		refused(t, noCert, says("asks for a certificate of ours"))
		refused(t, bus.Config{URL: d.URL, TLS: d.TLS}, says("lets nobody in without credentials"))
	})
}

// client is a connection that remembers what it may not do.
type client struct {
	*nats.Conn
	t  *testing.T
	mu sync.Mutex
	no []string
}

func connectAs(t *testing.T, d *bustest.Deployed, key, inbox string) *client {
	t.Helper()
	c := &client{t: t}
	c.Conn = d.Connect(t, key, nats.CustomInboxPrefix(inbox), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.no = append(c.no, err.Error())
	}))
	return c
}

// may reports whether the server lets a message or a subscription pass.
func (c *client) may(verb, subject string) bool {
	c.t.Helper()
	c.mu.Lock()
	before := len(c.no)
	c.mu.Unlock()
	if verb == "subscribe" {
		sub, err := c.SubscribeSync(subject)
		if err != nil {
			c.t.Fatal(err)
		}
		defer func() { _ = sub.Unsubscribe() }()
	} else if err := c.Publish(subject, []byte("x")); err != nil {
		c.t.Fatal(err)
	}
	if err := c.Flush(); err != nil {
		c.t.Fatal(err)
	}
	// The violation comes before the answer to the flush; its handler runs beside it.
	for range 20 {
		c.mu.Lock()
		n := len(c.no)
		c.mu.Unlock()
		if n > before {
			return false
		}
		<-time.After(5 * time.Millisecond)
	}
	return true
}

func (c *client) mayNot(verb string, subjects ...string) {
	c.t.Helper()
	for _, s := range subjects {
		if c.may(verb, s) {
			c.t.Errorf("may %s %s", verb, s)
		}
	}
}

func deployedPullprint(t *testing.T, d *bustest.Deployed) {
	c := connectAs(t, d, "PULLPRINT_NKEY", "_INBOX")
	c.mayNot("publish", "$JS.API.STREAM.CREATE.OTHER", "$JS.API.STREAM.UPDATE.PULLPRINT_TASKS", "$JS.API.STREAM.DELETE.PULLPRINT_TASKS",
		"$JS.API.STREAM.PURGE.KV_pullprint_jobs", "$JS.API.STREAM.MSG.DELETE.PULLPRINT_DECISIONS",
		"$JS.API.STREAM.SNAPSHOT.KV_pullprint_badges",
		"$JS.API.STREAM.LIST", "$JS.API.ACCOUNT.PURGE.PULLPRINT", "$SYS.REQ.SERVER.PING", "$SYS.REQ.ACCOUNT.SYS.CONNZ", "orders.new")
	c.mayNot("subscribe", "$SYS.>", "$SYS.ACCOUNT.*.CONNECT", ">", "pullprint.tasks.*", "$KV.pullprint_badges.>", "orders.>")
}

func deployedBridge(t *testing.T, d *bustest.Deployed, b *bus.Bus) {
	c := connectAs(t, d, "BRIDGE_NKEY", "_INBOX.bridge")
	before, _, err := b.Lag(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ack, err := c.Request("pullprint.tasks.def", []byte(`{}`), 5*time.Second)
	if err != nil || !strings.Contains(string(ack.Data), "PULLPRINT_TASKS") {
		t.Errorf("a task of a bridge was not stored: %v", err)
	}
	within(t, 5*time.Second, "the task waits for a worker", func() bool {
		after, _, err := b.Lag(t.Context())
		return err == nil && after == before+1
	})
	c.mayNot("publish", "pullprint.taps.hq-2-west", "pullprint.decisions.hold", "pullprint.ledger.user.x", "pullprint.notices",
		"$KV.pullprint_badges.card.1",
		"$JS.API.INFO", "$JS.API.STREAM.INFO.PULLPRINT_TASKS", "$JS.API.STREAM.MSG.GET.KV_pullprint_jobs",
		"$JS.API.DIRECT.GET.KV_pullprint_badges.$KV.pullprint_badges.card.1",
		"$JS.API.CONSUMER.CREATE.PULLPRINT_TASKS.spy", "$JS.API.CONSUMER.MSG.NEXT.PULLPRINT_TASKS.connector",
		"$JS.ACK.PULLPRINT_TASKS.connector.1.1.1.1.0", "$SYS.REQ.SERVER.PING")
	c.mayNot("subscribe", "pullprint.tasks.*", "pullprint.taps.*", "$KV.>", "_INBOX.>", "_INBOX.hq-2-west.>", ">")
	injects(t, b, c, "pullprint.tasks.def")
}

func deployedReader(t *testing.T, d *bustest.Deployed, b *bus.Bus, taps <-chan string) {
	c := connectAs(t, d, "READER_HQ_2_WEST_NKEY", "_INBOX.hq-2-west")
	var answer *nats.Msg
	within(t, 5*time.Second, "a tap is answered", func() (ok bool) {
		var err error
		answer, err = c.Request("pullprint.taps.hq-2-west", []byte("badge"), time.Second)
		return err == nil
	})
	if device := <-taps; device != "hq-2-west" || string(answer.Data) != "printed" || answer.Header.Get("Status") != "200" {
		t.Errorf("%s: %q", device, answer.Data)
	}
	sub, err := c.SubscribeSync("pullprint.taps.hq-2-west.answer")
	if err != nil {
		t.Fatal(err)
	}
	within(t, 5*time.Second, "a tap without a reply subject is answered", func() bool {
		if err := c.Publish("pullprint.taps.hq-2-west", []byte("badge")); err != nil {
			t.Fatal(err)
		}
		answer, err = sub.NextMsg(time.Second)
		return err == nil && string(answer.Data) == "printed"
	})
	c.mayNot("publish", "pullprint.taps.hq-2-west.answer", "pullprint.taps.hq-2-east", "pullprint.tasks.def", "$KV.pullprint_badges.card.1",
		"$JS.API.INFO",
		"$JS.API.DIRECT.GET.KV_pullprint_badges", "$JS.API.STREAM.MSG.GET.KV_pullprint_badges", "$SYS.REQ.SERVER.PING")
	c.mayNot("subscribe", "pullprint.taps.*", "pullprint.taps.hq-2-west", "pullprint.taps.hq-2-east.answer",
		"pullprint.notices", "_INBOX.>",
		"_INBOX.hq-2-east.>", "_INBOX.bridge.>", ">")
	injects(t, b, c, "pullprint.taps.hq-2-west")
}

// injects tries to have the answer to a message of its own stored as somebody's
// badge, by naming that key as the place for the answer.
func injects(t *testing.T, b *bus.Bus, c *client, subject string) {
	t.Helper()
	for _, reply := range []string{"$KV.pullprint_badges.card.1", "$KV.pullprint_badges.card.2"} {
		if err := c.PublishRequest(subject, reply, []byte("evil")); err != nil {
			t.Fatal(err)
		}
	}
	// The answer to a later message comes after those.
	if _, err := c.Request(subject, []byte("badge"), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	<-time.After(100 * time.Millisecond)
	if value, _, err := b.Badges().Get(t.Context(), "card.1"); err != nil || string(value) != "owner" {
		t.Errorf("a badge is %q now: %v", value, err)
	}
	if value, _, err := b.Badges().Get(t.Context(), "card.2"); err != nil || value != nil {
		t.Errorf("a badge was made: %q, %v", value, err)
	}
}

// Whoever shares our account must not have a tap's answer stored anywhere either.
func TestTapAnsweredElsewhere(t *testing.T) {
	t.Parallel()
	b := opens(t, bus.Config{URL: bustest.External(t)}, bus.Options{})
	ctx, stop := context.WithCancel(t.Context())
	acted := make(chan string, 100)
	var served sync.WaitGroup
	served.Go(func() {
		_ = b.ServeTaps(ctx, func(_ context.Context, r store.TapRequest) store.TapReply {
			acted <- string(r.Body)
			return store.TapReply{Status: 200}
		})
	})
	defer served.Wait()
	defer stop()
	within(t, 5*time.Second, "taps are answered", func() bool {
		_, err := b.Conn().Request("pullprint.taps.west", []byte("good"), time.Second)
		return err == nil
	})
	if err := b.Conn().PublishRequest("pullprint.taps.west", "$KV.pullprint_badges.card", []byte("evil")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Conn().Request("pullprint.taps.west", []byte("good"), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	for range len(acted) {
		if <-acted == "evil" {
			t.Error("a tap was acted on whose answer belongs nowhere")
		}
	}
	if value, _, err := b.Badges().Get(t.Context(), "card"); err != nil || value != nil {
		t.Errorf("the answer was stored: %q, %v", value, err)
	}
}
