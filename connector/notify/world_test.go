package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus"
	"pullprint/connector/bus/stored"
	"pullprint/connector/decision"
	"pullprint/connector/notice"
	"pullprint/connector/notify"
	"pullprint/connector/store"
	"pullprint/trigger/graph"
)

const anna = "11111111-2222-4333-8444-555555555555"

// person is the object id of one of many people.
func person(i int) string { return fmt.Sprintf("11111111-2222-4333-8444-%012d", i) }

// inbox is a mail server that remembers message ids: the second of one is dropped.
type inbox struct {
	mu       sync.Mutex
	messages []notify.Message
	repeats  int
	tries    int
	fail     func(notify.Message) error // may be nil
}

func (*inbox) Name() string { return "mail" }

func (b *inbox) Send(_ context.Context, m notify.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tries++
	if b.fail != nil {
		if err := b.fail(m); err != nil {
			return err
		}
	}
	for _, had := range b.messages {
		if had.ID == m.ID {
			b.repeats++
			if had != m {
				return fmt.Errorf("another text under the same id")
			}
			return nil
		}
	}
	b.messages = append(b.messages, m)
	return nil
}

// of are the subjects that a person got.
func (b *inbox) of(owner string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []string
	for _, m := range b.messages {
		if m.Owner == owner {
			list = append(list, m.Subject)
		}
	}
	return list
}

var errKilled = errors.New("the process is dead")

// life is one process: after so many steps nothing that it does reaches the world any more.
type life struct {
	bus     *bus.Bus
	inbox   *inbox
	mu      sync.Mutex
	left    int // steps; negative is without end
	dead    bool
	kill    context.CancelFunc
	reached int
	kept    time.Duration // for how long a box was stored last
}

// step is before or after something that the world sees.
func (l *life) step() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reached++
	if l.left == 0 {
		l.dead = true
		l.kill()
	}
	l.left--
	if l.dead {
		return errKilled
	}
	return nil
}

// around does what the world sees, and may die before and after it.
func (l *life) around(fn func() error) error {
	if err := l.step(); err != nil {
		return err
	}
	err := fn()
	return errors.Join(err, l.step())
}

type dyingState struct {
	*stored.KV
	l *life
}

func (s dyingState) CompareAndSet(
	ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration,
) (next uint64, ok bool, err error) {
	if strings.HasPrefix(key, notify.Prefix) {
		s.l.kept = ttl
	}
	err = s.l.around(func() error {
		next, ok, err = s.KV.CompareAndSet(context.WithoutCancel(ctx), key, value, revision, ttl)
		return err
	})
	return next, ok, err
}

func (l *life) PublishNotice(ctx context.Context, kind, id string, body []byte) error {
	return l.around(func() error { return l.bus.PublishNotice(context.WithoutCancel(ctx), kind, id, body) })
}

func (l *life) PublishDeadNotice(ctx context.Context, id string, body []byte) error {
	return l.around(func() error { return l.bus.PublishDeadNotice(context.WithoutCancel(ctx), id, body) })
}

func (l *life) Follow(ctx context.Context, k store.Kind, after uint64, since time.Time, fn func(store.Record) error) error {
	return l.bus.Follow(ctx, k, after, since, fn)
}

func (l *life) Scan(ctx context.Context, k store.Kind, fn func(store.Record) error) error {
	return l.bus.Scan(ctx, k, fn)
}

func (*life) Name() string { return "mail" }

func (l *life) Send(ctx context.Context, m notify.Message) error {
	return l.around(func() error { return l.inbox.Send(ctx, m) })
}

// live runs a process for some time, or until it dies after so many steps, and returns it.
func live(t *testing.T, b *bus.Bus, in *inbox, steps int, d time.Duration, hooks ...*receiver) *life {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	l := &life{bus: b, inbox: in, left: steps, kill: cancel}
	texts, err := notify.LoadTexts("")
	if err != nil {
		t.Fatal(err)
	}
	o := notify.Options{
		Records: l, State: dyingState{b.State(), l}, Stream: l, Dead: l, Channels: []notify.Channel{l}, Texts: texts,
		Choices: notice.NewChoices(b.State()), Logger: zap.NewNop(),
	}
	for _, r := range hooks {
		o.Webhooks = append(o.Webhooks, dyingReceiver{r, l})
	}
	n := notify.New(o)
	if err := n.Run(ctx); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return l
}

// abort stores the decision to abort a job of a person.
func abort(t testing.TB, b *bus.Bus, owner string, n int, reason string) {
	t.Helper()
	d := decision.Decision{
		ID: fmt.Sprintf("task-%s-%d:arrival", owner, n), At: time.Now(), Point: "arrival", Verdict: "abort", Reason: reason,
		Text: "More than 50 copies go to the print shop.", Remedy: "Print fewer copies.", Owner: owner, Queue: "Follow-Me",
		Ref: graph.Ref{Printer: "p", Job: fmt.Sprint(n)}, Asked: decision.AskedByArrival,
	}
	body, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.PublishDecision(t.Context(), d.Verdict, d.ID, body); err != nil {
		t.Fatal(err)
	}
}

// dead are the dead letters of notices.
func dead(t *testing.T, b *bus.Bus) (list []notify.DeadLetter) {
	t.Helper()
	err := b.Scan(t.Context(), store.Dead, func(r store.Record) error {
		var d notify.DeadLetter
		if err := json.Unmarshal(r.Body, &d); err != nil {
			return err
		}
		list = append(list, d)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// inStream counts the notices in the stream.
func inStream(t *testing.T, b *bus.Bus) (n int) {
	t.Helper()
	err := b.Scan(t.Context(), store.Notices, func(r store.Record) error {
		var of notice.Notice
		n++
		if !strings.HasPrefix(r.Subject, "pullprint.notices.") {
			t.Errorf("subject %s", r.Subject)
		}
		return json.Unmarshal(r.Body, &of)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
