package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/notice"
	"pullprint/connector/recovery"
	"pullprint/connector/store"
	"pullprint/trigger/wait"
)

// Webhook is a system that is told of notices, each by itself and whoever it is for.
type Webhook interface {
	// Key is the same for the same receiver: its progress is stored by it.
	Key() string
	// Host names it in the log and in dead letters.
	Host() string
	// Wants reports whether notices of a kind are posted.
	Wants(kind string) bool
	// Post sends one. The error is as for Channel.Send, or ErrGone.
	Post(ctx context.Context, n *notice.Notice) error
}

// ErrGone says that a receiver wants nothing any more.
var ErrGone = errors.New("the receiver takes no more")

const (
	// maxLate is how many notices may wait for another try at one webhook, about 30 KiB in the state
	// bucket. What comes beyond waits in its stream.
	maxLate = 256
	// rereadAtOnce is how many of these are read from the stream at once.
	rereadAtOnce = 16
)

// postAgain are the waits between the tries of one notice; the specification of Standard Webhooks begins
// with 5 s.
var postAgain = wait.Backoff{First: 5 * time.Second, Max: time.Hour}

// late is a notice that was not taken yet. It stays in its stream, so that the erasure of a person
// ends it as well.
type late struct {
	Sequence uint64 `json:"sequence"`
	// ID is a digest of the notice's.
	ID     string    `json:"id"`
	Stored time.Time `json:"stored"`
	Next   time.Time `json:"next,omitzero"`
	// Tries are those of the notice, and those at the waits of postAgain while the receiver did not work.
	Tries int `json:"tries,omitempty"`
}

// old reports whether it has been tried long enough.
func (l *late) old(now time.Time) bool { return triedForLong(l.Tries, l.Stored, now) }

// due is when it is tried again; a time that is too far ahead was stored with a clock that was wrong.
func (l *late) due(now time.Time) time.Time {
	if l.Next.Sub(now) > farthest {
		return now
	}
	return l.Next
}

// hook is one run of the delivery to a webhook. One goroutine has it, and posts one notice after the
// other: a receiver that is slow delays its own notices and nothing else.
type hook struct {
	*Notifier
	following
	to Webhook
	// down is why the receiver takes nothing at the moment, nil while it does; failures is how often in
	// a row it did not, and until is when it is tried again.
	down     error
	failures int
	until    time.Time
	// tries are those since it does not work, at the waits of postAgain, and next is when another one
	// counts; counts says that the last one did.
	tries  int
	next   time.Time
	counts bool
	// gone says that the receiver wants nothing any more.
	gone bool
}

// postTo is the delivery to a webhook.
//
// Crash safety: how far it has come, and which notices are late, is stored at most positionEvery or
// batchSize notices late. What was posted since is posted again, with the same webhook-id.
func (n *Notifier) postTo(to Webhook) func(context.Context, following) error {
	return func(ctx context.Context, f following) error {
		h := &hook{Notifier: n, following: f, to: to}
		for !h.gone {
			if err := h.step(ctx); err != nil {
				return err
			}
		}
		h.log.Error("webhook switched off until the next start: its receiver answered 410 Gone", zap.String("webhook", to.Host()))
		if err := h.save(ctx); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}
}

// step takes the next notice, or waits until something is due.
func (h *hook) step(ctx context.Context) error {
	records := h.records
	if len(h.late) >= maxLate {
		records = nil
	}
	now := time.Now()
	timer := time.NewTimer(min(h.due(now), h.nextDue(now)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case r := <-records:
		if err := h.take(ctx, r); err != nil {
			return err
		}
		if err := h.move(ctx, r.Sequence, 1); err != nil {
			return err
		}
	case <-timer.C:
	}
	if h.due(time.Now()) <= 0 {
		if err := h.save(ctx); err != nil {
			return err
		}
	}
	return h.again(ctx)
}

// nextDue is how long no late notice is to be tried or given up.
func (h *hook) nextDue(now time.Time) time.Duration {
	next := now.Add(idle)
	for i := range h.late {
		at := h.late[i].due(now)
		if at.Before(h.until) {
			at = h.until
		}
		if end := h.late[i].Stored.Add(giveUpAfter); h.late[i].Tries >= minTries && end.Before(at) {
			at = end
		}
		if at.Before(next) {
			next = at
		}
	}
	return max(0, next.Sub(now))
}

// read decodes a record; ok is false when the webhook is not to get it.
func (h *hook) read(r store.Record) (n *notice.Notice, ok bool) {
	n = new(notice.Notice)
	if json.Unmarshal(r.Body, n) != nil || !n.Bound() {
		return nil, false // deliver says so in the log
	}
	return n, h.to.Wants(n.Kind)
}

// take posts a notice that has come. One that is not taken becomes late.
func (h *hook) take(ctx context.Context, r store.Record) error {
	n, ok := h.read(r)
	if !ok {
		return nil
	}
	l := late{Sequence: r.Sequence, ID: digest(n.ID), Stored: r.Stored, Tries: h.tries}
	done, err := h.try(ctx, n, &l)
	if !done && err == nil {
		h.late = append(h.late, l)
	}
	h.count()
	return err
}

// count counts a try that the receiver did not work at for all that wait for it.
func (h *hook) count() {
	if !h.counts {
		return
	}
	h.counts, h.changed = false, true
	for i := range h.late {
		h.late[i].Tries++
	}
}

// again tries late notices that are due: one while the receiver does not work, and what has become
// old.
func (h *hook) again(ctx context.Context) error {
	now, probe := time.Now(), false
	due := map[uint64]*notice.Notice{}
	for i := range h.late {
		l := &h.late[i]
		if !l.old(now) {
			if now.Before(h.until) || l.due(now).After(now) || h.down != nil && probe {
				continue
			}
			probe = true
		}
		if due[l.Sequence] = nil; len(due) == rereadAtOnce {
			break
		}
	}
	if len(due) == 0 {
		return nil
	}
	err := h.o.Records.Scan(ctx, store.Notices, func(r store.Record) error {
		if _, is := due[r.Sequence]; is {
			due[r.Sequence], _ = h.read(r)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return errors.Join(h.tryAll(ctx, due), h.save(ctx))
}

// tryAll posts late notices; one that is not in the stream any more is forgotten.
func (h *hook) tryAll(ctx context.Context, due map[uint64]*notice.Notice) (err error) {
	var left []late
	for _, l := range h.late {
		n, is := due[l.Sequence]
		done := is && (n == nil || digest(n.ID) != l.ID)
		if is && !done && err == nil && !h.gone {
			done, err = h.try(ctx, n, &l)
		}
		if !done {
			left = append(left, l)
		}
	}
	h.late, h.changed = left, true
	h.count()
	return err
}

// try posts a notice, and reports whether it is done with: taken, or given up. While the receiver does
// not work nothing is posted.
func (h *hook) try(ctx context.Context, n *notice.Notice, l *late) (done bool, err error) {
	if time.Now().Before(h.until) {
		if l.old(time.Now()) {
			return true, h.giveUp(ctx, n, l, triedForADay+h.down.Error())
		}
		return false, nil
	}
	var failed error
	perr := recovery.Catch(func() error { failed = h.to.Post(ctx, n); return nil })
	if ctx.Err() != nil {
		return false, ctx.Err() // whatever it says, the end of this process is the cause
	}
	failed = cmp.Or(failed, perr)
	h.noteDown(failed)
	if h.down == nil {
		l.Tries++
	}
	_, final := errors.AsType[*Refused](failed)
	h.gone = errors.Is(failed, ErrGone)
	switch {
	case failed == nil:
		h.metrics.count(webhookChannel, n.Kind, resultSent)
		h.log.Info("notice sent", h.fields(n, l)...)
		return true, nil
	case final, h.gone:
		return true, h.giveUp(ctx, n, l, failed.Error())
	case l.old(time.Now()):
		return true, h.giveUp(ctx, n, l, triedForADay+failed.Error())
	}
	h.metrics.count(webhookChannel, n.Kind, resultRetried)
	h.log.Warn("notice not sent, tried again", append(h.fields(n, l), zap.Error(failed))...)
	if h.down == nil {
		l.Next = time.Now().Add(postAgain.Pause(l.Tries))
	}
	return false, nil
}

// giveUp makes a dead letter of a notice.
func (h *hook) giveUp(ctx context.Context, n *notice.Notice, l *late, why string) error {
	err := h.storeDead(ctx, n.ID+":dead:"+h.to.Key(), &DeadLetter{
		At: time.Now(), ID: n.ID, Kind: n.Kind, Owner: n.Owner, Channel: webhookChannel, Webhook: h.to.Host(), Error: why, Tries: l.Tries,
		Count: 1,
	})
	if err != nil {
		return err
	}
	h.metrics.count(webhookChannel, n.Kind, resultDead)
	h.log.Error("notice given up", append(h.fields(n, l), zap.String("cause", why))...)
	return nil
}

func (h *hook) fields(n *notice.Notice, l *late) []zap.Field {
	return []zap.Field{
		zap.String("channel", webhookChannel), zap.String("webhook", h.to.Host()), zap.String("kind", n.Kind),
		zap.String("notice", n.ID), zap.Int("tries", l.Tries),
	}
}

// noteDown notes whether the receiver works.
func (h *hook) noteDown(failed error) {
	server, down := errors.AsType[*Down](failed)
	if !down {
		h.down, h.failures, h.until, h.tries, h.next = nil, 0, time.Time{}, 0, time.Time{}
		return
	}
	now := time.Now()
	h.failures++
	h.down, h.until = failed, now.Add(max(downFor.Pause(h.failures), server.After))
	if !h.next.After(now) {
		h.tries++
		h.counts, h.next = true, now.Add(postAgain.Pause(h.tries))
	}
}
