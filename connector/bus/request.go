package bus

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// subjectTaps is where readers show badges, by request and reply.
const subjectTaps = "pullprint.taps."

// tapActs is how many taps one instance answers at once, tapsWaiting how many may
// wait for their turn: what comes beyond is dropped, and its reader asks again.
const (
	tapActs     = 64
	tapsWaiting = 1024
)

// TapRequest is a badge shown over NATS.
type TapRequest struct {
	// Device is the last token of the subject.
	Device string
	// Authorization is the header of that name, as in HTTP.
	Authorization string
	Body          []byte
}

// TapReply is the answer to it. Status is the one that HTTP would have; it goes
// into the header Status.
type TapReply struct {
	Status int
	Body   []byte
}

// ServeTaps answers taps until ctx ends, then finishes those in hand. Among
// several instances each tap is answered by one. A tap that nobody waits for
// is not answered and not acted on, nor one whose answer is to go elsewhere than
// to an inbox.
func (b *Bus) ServeTaps(ctx context.Context, answer func(context.Context, TapRequest) TapReply) error {
	taps := make(chan *nats.Msg, tapsWaiting)
	sub, err := b.nc.ChanQueueSubscribe(subjectTaps+"*", consumerName, taps)
	if err != nil {
		return fmt.Errorf("subscribe to taps: %w", err)
	}
	var acts errgroup.Group
	acts.SetLimit(tapActs)
	act := func(msg *nats.Msg) {
		if !inbox(msg.Reply) {
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
	// Those that the server has given to us go to no other instance.
	_ = sub.Drain()
	ending, cancel := withLimit(context.WithoutCancel(ctx), time.Second)
	_ = b.nc.FlushWithContext(ending)
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

// inbox reports whether an answer may go to a subject: an inbox of a client, or that
// of another account. Who names a key of a bucket instead would have us write it.
func inbox(reply string) bool {
	return strings.HasPrefix(reply, "_INBOX.") || strings.HasPrefix(reply, "_R_.")
}

func (b *Bus) answerTap(ctx context.Context, msg *nats.Msg, answer func(context.Context, TapRequest) TapReply) {
	reply := answer(ctx, TapRequest{
		Device: strings.TrimPrefix(msg.Subject, subjectTaps), Authorization: msg.Header.Get("Authorization"), Body: msg.Data,
	})
	out := &nats.Msg{Subject: msg.Reply, Data: reply.Body, Header: nats.Header{}}
	out.Header.Set("Status", strconv.Itoa(reply.Status))
	if err := b.nc.PublishMsg(out); err != nil {
		b.log.Warn("tap not answered", zap.Error(err)) // it was carried out, and asking again changes nothing
	}
}
