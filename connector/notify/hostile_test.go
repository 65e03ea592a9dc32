package notify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/bus/stored"
	"pullprint/connector/decision"
	"pullprint/connector/notice"
	"pullprint/connector/notify"
	"pullprint/trigger/racetest"
)

// meddled is a state bucket in which another instance changes a box before each of the first changes
// of ours.
type meddled struct {
	*stored.KV
	times atomic.Int64
}

func (m *meddled) CompareAndSet(
	ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration,
) (uint64, bool, error) {
	if strings.HasPrefix(key, notify.Prefix) && revision > 0 && m.times.Add(-1) >= 0 {
		was, rev, err := m.Get(ctx, key)
		if err != nil {
			return 0, false, err
		}
		if _, _, err := m.KV.CompareAndSet(ctx, key, was, rev, ttl); err != nil {
			return 0, false, err
		}
	}
	return m.KV.CompareAndSet(ctx, key, value, revision, ttl)
}

// run runs a Notifier on a state for some time.
func run(t *testing.T, b *bus.Bus, state notify.State, texts *notify.Texts, c notify.Channel, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	_ = notify.New(notify.Options{
		Records: b, State: state, Stream: b, Dead: b, Channels: []notify.Channel{c}, Texts: texts, Logger: zap.NewNop(),
	}).Run(ctx)
}

func builtIn(t *testing.T) *notify.Texts {
	t.Helper()
	texts, err := notify.LoadTexts("")
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// An instance that has lost its lease may change a box once more, and then ends: what waits in the box
// is delivered by the other.
func TestChangedByAnother(t *testing.T) {
	for _, times := range []int64{1, 2, 3} {
		bustest.Virtual(t, func(t *testing.T) {
			b, in := bustest.Open(t), &inbox{}
			abort(t, b, anna, 1, "copies.too-many")
			state := &meddled{KV: b.State()}
			state.times.Store(times)
			run(t, b, state, builtIn(t), in, 3*time.Hour)
			if n := len(in.of(anna)); n != 1 {
				t.Errorf("changed %d times: %d messages", times, n)
			}
		})
	}
}

// A decision or a notice that is as large as NATS takes, and larger in JSON, keeps nobody else from
// being told.
func TestHugeRecords(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b, in := bustest.Open(t), &inbox{}
		huge := strings.Repeat("<", 200_000) // six bytes each when it is encoded
		publish := func(i int, id, reason, text, printer string) {
			d := fmt.Sprintf(`{"id":%q,"at":%q,"verdict":"abort","reason":%q,"text":%q,"owner":%q,"printer":%q,"job":"1"}`,
				id, time.Now().Format(time.RFC3339), reason, text, person(i), printer)
			if err := b.PublishDecision(t.Context(), "abort", fmt.Sprint("huge", i), []byte(d)); err != nil {
				t.Fatal(err)
			}
			n := fmt.Sprintf(`{"id":%q,"kind":"job.aborted","reason":%q,"text":%q,"owner":%q,"printer":%q,"job":"1"}`,
				"n"+id, reason, text, person(i+100), printer)
			if err := b.PublishNotice(t.Context(), "job.aborted", fmt.Sprint("huge", i), []byte(n)); err != nil {
				t.Fatal(err)
			}
		}
		publish(1, "a", "x", huge, "p")
		publish(2, "b", huge, "x", "p")
		publish(3, huge, "x", "x", "p")
		publish(4, "d", "x", "x", huge)
		abort(t, b, anna, 1, "copies.too-many")
		abort(t, b, person(3), 1, "color.no") // it waits for what is written of the same person
		run(t, b, b.State(), builtIn(t), in, time.Minute)
		for _, of := range []string{anna, person(1), person(2), person(3), person(101), person(102)} {
			if n := len(in.of(of)); n != 1 {
				t.Errorf("%s has %d messages", of, n)
			}
		}
	})
}

// A person's messages of the most that is allowed fit into their box.
func TestLargestBox(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b, in := bustest.Open(t), &inbox{fail: func(notify.Message) error { return &notify.Down{Why: "no answer"} }}
		long := strings.Repeat("<", 10_000)
		for i := range 12 {
			n := notice.Notice{
				ID: fmt.Sprint(i, long[:300]), Kind: notice.Aborted, Owner: anna, Reason: fmt.Sprint(i, long), Text: long, Remedy: long,
				Queue: long, Device: long,
			}
			for range 200 {
				n.Devices = append(n.Devices, long)
			}
			if err := notice.Write(t.Context(), b, &n); err != nil {
				t.Fatal(err)
			}
		}
		run(t, b, b.State(), builtIn(t), in, time.Minute)
		if in.tries == 0 {
			t.Error("nothing was tried")
		}
	})
}

// What panics while a message is made ends no process, and keeps nobody else from being told.
func TestTextPanics(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b, in, texts := bustest.Open(t), &inbox{}, builtIn(t)
		for _, owner := range []string{anna, person(1)} {
			d := decision.Decision{
				ID: "task:" + owner, At: time.Now(), Verdict: "abort", Reason: "copies.too-many", Owner: owner, Device: owner,
			}
			body, err := json.Marshal(&d)
			if err != nil {
				t.Fatal(err)
			}
			if err := b.PublishDecision(t.Context(), d.Verdict, d.ID, body); err != nil {
				t.Fatal(err)
			}
		}
		texts.Place = func(device string) string {
			if device == anna {
				panic("no place")
			}
			return device
		}
		run(t, b, b.State(), texts, in, 5*time.Minute)
		if n := len(in.messages); n != 1 || in.messages[0].Owner != person(1) {
			t.Errorf("%d messages", n)
		}
	})
}

// While mail is down, no more people than maxBoxes wait in memory and in the state bucket; the others
// wait in the stream, and are told when mail is back.
func TestBoxesAreBounded(t *testing.T) { // it takes 3 s: each of the notices, and each try, is stored
	racetest.Skip(t, "many cases of what TestGathered and TestRefused do")
	bustest.Virtual(t, func(t *testing.T) {
		const most, people = 2000 + 64, 2300 // maxBoxes with one batch
		b, in := bustest.Open(t), &inbox{fail: func(notify.Message) error { return &notify.Down{Why: "no answer"} }}
		for i := range people {
			n := notice.Notice{ID: fmt.Sprint(i), Kind: notice.Aborted, Owner: person(i), Reason: "copies.too-many"}
			if err := notice.Write(t.Context(), b, &n); err != nil {
				t.Fatal(err)
			}
		}
		run(t, b, b.State(), builtIn(t), in, time.Minute)
		boxes := 0
		err := b.State().Each(t.Context(), notify.Prefix+"*", func(string, []byte, uint64) error { boxes++; return nil })
		if err != nil || boxes > most || boxes < most-64 {
			t.Errorf("%v: %d people wait", err, boxes)
		}
		in.fail = nil
		run(t, b, b.State(), builtIn(t), in, 2*time.Hour)
		if n := len(in.messages); n != people {
			t.Errorf("%d messages", n)
		}
	})
}
