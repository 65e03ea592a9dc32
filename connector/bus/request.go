package bus

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"pullprint/connector/bus/link"
	"pullprint/connector/bus/schema"
	"pullprint/connector/store"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// subjectTaps is where readers show badges, by request and reply. A reader that
// can't ask for a reply, as one that speaks MQTT, hears the answer on the subject of
// its device with answerToken behind it.
const (
	subjectTaps = "pullprint.taps."
	answerToken = ".answer"
)

// tapActs is how many taps one instance answers at once, tapsWaiting how many may
// wait for their turn: what comes beyond is dropped, and its reader asks again.
const (
	tapActs     = 64
	tapsWaiting = 1024
)

// tapPanicked is the status of a tap that was not handled for a mistake of ours.
const tapPanicked = 500

// tapHandler answers a tap.
type tapHandler = func(context.Context, store.TapRequest) store.TapReply

// ServeTaps answers taps until ctx ends, then finishes those in hand. Among
// several instances each tap is answered by one. A tap without a reply subject is
// answered on pullprint.taps.{device}.answer. A tap whose answer is wanted on a
// subject of somebody else is not acted on: see inbox.
func (b *Bus) ServeTaps(ctx context.Context, answer func(context.Context, store.TapRequest) store.TapReply) error {
	taps := make(chan *nats.Msg, tapsWaiting)
	sub, err := b.link.NC.ChanQueueSubscribe(subjectTaps+"*", schema.Consumer, taps)
	if err != nil {
		return fmt.Errorf("subscribe to taps: %w", err)
	}
	var acts errgroup.Group
	acts.SetLimit(tapActs)
	act := func(msg *nats.Msg) {
		if msg.Reply == "" {
			msg.Reply = msg.Subject + answerToken
		} else if !inbox(msg.Reply) {
			b.log.Warn("tap refused: invalid reply subject", zap.String("subject", msg.Subject))
			return
		}
		acts.Go(func() error {
			b.answerTap(context.WithoutCancel(ctx), msg, answer)
			return nil
		})
	}
	for {
		select {
		case msg := <-taps:
			act(msg)
			continue
		case <-ctx.Done():
		}
		break
	}
	// Those that an external server has given to us go to no other instance: they
	// are let in still. With a server of our own there is no other.
	if b.srv == nil {
		_ = sub.Drain()
	} else {
		_ = sub.Unsubscribe()
	}
	ending, cancel := link.WithLimit(context.WithoutCancel(ctx), time.Second)
	_ = b.link.NC.FlushWithContext(ending)
	cancel()
	for {
		select {
		case msg := <-taps:
			act(msg)
			continue
		default:
		}
		break
	}
	_ = acts.Wait()
	return ctx.Err()
}

// inbox reports whether an answer may go to a subject that its sender chose: to one
// that begins with an underscore, as inboxes do and what servers put in their place
// between accounts and clusters (_R_, _GR_). Anywhere else the answer would be a
// message of ours that the sender may not send: into our own buckets and streams, to
// the API of JetStream, or to programs of others.
func inbox(reply string) bool { return strings.HasPrefix(reply, "_") }

// recoverTap answers with status 500 when answer panics, so that other taps go on.
func (b *Bus) recoverTap(answer tapHandler) tapHandler {
	return func(ctx context.Context, t store.TapRequest) (reply store.TapReply) {
		defer func() {
			if p := recover(); p != nil {
				b.log.Error("panic while a tap was handled", zap.String("panic", fmt.Sprintf("%T", p)), zap.Stack("stack"))
				reply = store.TapReply{Status: tapPanicked}
			}
		}()
		return answer(ctx, t)
	}
}

func (b *Bus) answerTap(ctx context.Context, msg *nats.Msg, answer tapHandler) {
	reply := b.recoverTap(answer)(ctx, store.TapRequest{
		Device: strings.TrimPrefix(msg.Subject, subjectTaps), Authorization: msg.Header.Get("Authorization"),
		Body: msg.Data,
	})
	out := &nats.Msg{Subject: msg.Reply, Data: reply.Body, Header: nats.Header{}}
	out.Header.Set("Status", strconv.Itoa(reply.Status))
	if err := b.link.NC.PublishMsg(out); err != nil {
		b.log.Warn("tap reply not sent", zap.Error(err)) // it was carried out, and asking again changes nothing
	}
}
