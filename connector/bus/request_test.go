package bus_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/store"
)

// A tap over NATS is answered once, with its status, and one in hand is finished
// when the instance stops.
func TestServeTaps(t *testing.T) {
	b := bustest.Open(t)
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	var seen []store.TapRequest
	entered, leave := make(chan struct{}, 16), make(chan struct{})
	answer := func(_ context.Context, r store.TapRequest) store.TapReply {
		mu.Lock()
		seen = append(seen, r)
		mu.Unlock()
		entered <- struct{}{}
		if string(r.Body) == "slow" {
			<-leave
		}
		return store.TapReply{Status: 418, Body: []byte("to " + r.Device)}
	}
	var serving sync.WaitGroup
	for range 2 { // two instances, one answer
		serving.Go(func() { _ = b.ServeTaps(ctx, answer) })
	}
	ask := func(body string) (*nats.Msg, error) {
		msg := &nats.Msg{Subject: "pullprint.taps.hq-2-west", Data: []byte(body), Header: nats.Header{"Authorization": {"Bearer secret"}}}
		actx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		return b.Conn().RequestMsgWithContext(actx, msg)
	}
	var msg *nats.Msg
	var err error
	for range 2000 { // until the subscription is there; without one the server refuses at once
		if msg, err = ask("badge"); !errors.Is(err, nats.ErrNoResponders) {
			break
		}
		<-time.After(5 * time.Millisecond)
	}
	if err != nil || msg.Header.Get("Status") != "418" || string(msg.Data) != "to hq-2-west" {
		t.Fatalf("%+v, %v", msg, err)
	}
	<-entered
	if len(seen) != 1 || seen[0].Authorization != "Bearer secret" || string(seen[0].Body) != "badge" {
		t.Errorf("seen %+v", seen)
	}
	// Without a reply subject the answer is on that of the device, where the reader listens.
	sub, err := b.Conn().SubscribeSync("pullprint.taps.*.answer")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Conn().Publish("pullprint.taps.hq-2-west", []byte("without reply")); err != nil {
		t.Fatal(err)
	}
	ctx2, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if msg, err = sub.NextMsgWithContext(ctx2); err != nil || msg.Subject != "pullprint.taps.hq-2-west.answer" ||
		string(msg.Data) != "to hq-2-west" {
		t.Fatalf("%+v, %v", msg, err)
	}
	<-entered
	slow := make(chan *nats.Msg, 1)
	go func() { m, _ := ask("slow"); slow <- m }()
	<-entered
	stop()
	close(leave)
	if m := <-slow; m == nil || !strings.HasPrefix(string(m.Data), "to ") {
		t.Error("the tap in hand was not answered")
	}
	serving.Wait()
}

// Whoever may show badges can't have the answer sent where they may not send
// themselves: such a tap is not acted on.
func TestTapAnswersGoToInboxes(t *testing.T) {
	b := bustest.Open(t)
	var mu sync.Mutex
	var seen []string
	ctx, stop := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() {
		_ = b.ServeTaps(ctx, func(_ context.Context, r store.TapRequest) store.TapReply {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, string(r.Body))
			return store.TapReply{Status: 401, Body: []byte("{}")}
		})
	})
	if err := b.PublishAudit(t.Context(), "release", "id-1", []byte("action")); err != nil {
		t.Fatal(err)
	}
	send := func(reply, body string) {
		if err := b.Conn().PublishMsg(&nats.Msg{Subject: "pullprint.taps.hq-2-west", Reply: reply, Data: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	answers := func(subject string) *nats.Subscription {
		sub, err := b.Conn().SubscribeSync(subject)
		if err != nil {
			t.Fatal(err)
		}
		return sub
	}
	first, last := answers("_INBOX.first"), answers("_INBOX.last")
	actx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for try := true; try; { // until the subscription is there
		send("_INBOX.first", "first")
		short, cancel := context.WithTimeout(actx, 100*time.Millisecond)
		_, err := first.NextMsgWithContext(short)
		cancel()
		try = err != nil && actx.Err() == nil
	}
	for _, reply := range []string{
		"$JS.API.STREAM.PURGE.PULLPRINT_AUDIT", "$KV.pullprint_state.poison", "pullprint.tasks.poison", "pullprint.taps.hq-2-east",
		"others.orders",
	} {
		send(reply, reply)
	}
	send("_INBOX.last", "last")
	if _, err := last.NextMsgWithContext(actx); err != nil {
		t.Fatal(err)
	}
	stop()
	serving.Wait()
	mu.Lock()
	defer mu.Unlock()
	for _, body := range seen {
		if body != "first" && body != "last" {
			t.Errorf("a tap was acted on whose answer was to go to %s", body)
		}
	}
	n := 0
	if err := b.Actions(t.Context(), time.Time{}, false, func(time.Time, []byte) error { n++; return nil }); err != nil || n != 1 {
		t.Errorf("%d actions are left, %v", n, err)
	}
}

// A notice reaches who listens, with the id that a stream drops repeats by; when nobody
// does, it is said.
func TestNotify(t *testing.T) {
	for name, b := range map[string]*bus.Bus{"embedded": bustest.Open(t), "external": openExternal(t, bustest.External(t))} {
		t.Run(name, func(t *testing.T) { notify(t, b) })
	}
}

func notify(t *testing.T, b *bus.Bus) {
	for range 2 {
		if err := b.Notify(t.Context(), "task:expiry", []byte("body")); !errors.Is(err, store.ErrUnheard) {
			t.Errorf("nobody listens: %v", err)
		}
	}
	sub, err := b.Conn().SubscribeSync("pullprint.notices")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Notify(t.Context(), "task:expiry", []byte("body")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	msg, err := sub.NextMsgWithContext(ctx)
	if err != nil || string(msg.Data) != "body" || msg.Header.Get("Nats-Msg-Id") != "task:expiry" {
		t.Errorf("%+v, %v", msg, err)
	}
	if err := sub.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	if err := b.Conn().Flush(); err != nil {
		t.Fatal(err)
	}
	if err := b.Notify(t.Context(), "task:expiry", nil); !errors.Is(err, store.ErrUnheard) {
		t.Errorf("nobody listens any more: %v", err)
	}
	// A stream that is laid over the subject hears it.
	js, err := jetstream.New(b.Conn())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: "N", Subjects: []string{"pullprint.notices"}, Storage: jetstream.MemoryStorage,
	}); err != nil {
		t.Fatal(err)
	}
	if err := b.Notify(t.Context(), "task:expiry", []byte("body")); err != nil {
		t.Error(err)
	}
}

// What was asked for is read back as it was stored, once.
func TestAudit(t *testing.T) {
	b := bustest.Open(t)
	for range 2 {
		if err := b.PublishAudit(t.Context(), "release", "id-1", []byte("action")); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	err := b.Actions(t.Context(), time.Time{}, false, func(_ time.Time, body []byte) error {
		n++
		if string(body) != "action" {
			t.Errorf("%s", body)
		}
		return nil
	})
	if err != nil || n != 1 {
		t.Errorf("%d actions, %v", n, err)
	}
}

// An instance that stops under a rush of taps answers what it was given; the rest
// goes to the other. No tap is left without an answer, none is answered twice.
func TestServeTapsStops(t *testing.T) {
	t.Parallel()
	cfg := bus.Config{URL: bustest.External(t)}
	stopping, stop := context.WithCancel(t.Context())
	staying, end := context.WithCancel(t.Context())
	var mu sync.Mutex
	acted := map[string]int{}
	begun := make(chan struct{}, 1000)
	var serving sync.WaitGroup
	for _, ctx := range []context.Context{stopping, staying} {
		b := opens(t, cfg, bus.Options{})
		serving.Go(func() {
			_ = b.ServeTaps(ctx, func(_ context.Context, r store.TapRequest) store.TapReply {
				mu.Lock()
				acted[string(r.Body)]++
				mu.Unlock()
				begun <- struct{}{}
				<-time.After(5 * time.Millisecond)
				return store.TapReply{Status: 200}
			})
		})
	}
	defer serving.Wait()
	defer end()
	reader := opens(t, cfg, bus.Options{})
	ask := func(body string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := reader.Conn().RequestWithContext(ctx, "pullprint.taps.west", []byte(body))
		return err
	}
	within(t, 5*time.Second, "somebody answers", func() bool { return ask("first") == nil })
	var rush sync.WaitGroup
	for i := range 400 {
		rush.Go(func() {
			if err := ask(strconv.Itoa(i)); err != nil {
				t.Errorf("tap %d: %v", i, err)
			}
		})
	}
	for range 20 {
		<-begun
	}
	stop()
	rush.Wait()
	mu.Lock()
	defer mu.Unlock()
	for body, n := range acted {
		if n != 1 {
			t.Errorf("tap %s was acted on %d times", body, n)
		}
	}
}

// A tap whose handling panics costs itself: it is answered, and so are those after it.
func TestTapThatPanics(t *testing.T) {
	b := bustest.Open(t)
	ctx, stop := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() {
		_ = b.ServeTaps(ctx, func(_ context.Context, r store.TapRequest) store.TapReply {
			if string(r.Body) == "bad" {
				panic("PLANTED")
			}
			return store.TapReply{Status: 200}
		})
	})
	defer serving.Wait()
	defer stop()
	ask := func(body string) string {
		for range 500 { // until the subscription is there
			<-time.After(10 * time.Millisecond)
			actx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			msg, err := b.Conn().RequestMsgWithContext(actx, &nats.Msg{Subject: "pullprint.taps.hq-2-west", Data: []byte(body)})
			cancel()
			if err == nil {
				return msg.Header.Get("Status") + string(msg.Data)
			}
		}
		return "no answer"
	}
	for body, want := range map[string]string{"good": "200", "bad": "500"} {
		for range 2 {
			if got := ask(body); got != want {
				t.Errorf("%s: %q, want %q", body, got, want)
			}
		}
	}
}
