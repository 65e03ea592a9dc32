package notify_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/notice"
	"pullprint/connector/notify"
	"pullprint/trigger/racetest"
)

// TestNoNoticeIsLostOrSentTwice kills the process at each step between a decision and its delivery,
// and once more at each step of the life after. A mail server that remembers message ids shows each
// notice once.
func TestNoNoticeIsLostOrSentTwice(t *testing.T) { // it takes some seconds: each death has a store of its own
	racetest.Skip(t, "one death after the other")
	steps := 0
	bustest.Virtual(t, func(t *testing.T) {
		b, in := bustest.Open(t), &inbox{}
		abort(t, b, anna, 1, "copies.too-many")
		steps = live(t, b, in, -1, time.Hour).reached
		if len(in.messages) != 1 {
			t.Fatalf("%d messages without a crash", len(in.messages))
		}
	})
	if steps < 12 {
		t.Fatalf("%d steps only", steps)
	}
	for first := range steps {
		for _, second := range []int{-1, first % 7} {
			t.Run(fmt.Sprintf("%d %d", first, second), func(t *testing.T) {
				bustest.Virtual(t, func(t *testing.T) {
					b, in := bustest.Open(t), &inbox{}
					abort(t, b, anna, 1, "copies.too-many")
					live(t, b, in, first, time.Minute)
					if second >= 0 {
						live(t, b, in, second, time.Minute)
					}
					live(t, b, in, -1, 3*time.Hour)
					if len(in.messages) != 1 || inStream(t, b) != 1 || len(dead(t, b)) != 0 {
						t.Errorf("%d messages, %d notices, %d dead letters", len(in.messages), inStream(t, b), len(dead(t, b)))
					}
				})
			})
		}
	}
}

// Ten thousand aborts of one person in a minute are a handful of messages, which count them.
func TestFloodIsGathered(t *testing.T) { // it takes 3 s: each of the decisions is stored
	racetest.Skip(t, "ten thousand writes")
	bustest.Virtual(t, func(t *testing.T) {
		const flood = 10_000
		b, in := bustest.Open(t), &inbox{}
		var writing, running sync.WaitGroup
		running.Go(func() { live(t, b, in, -1, 4*time.Hour) })
		var next atomic.Int64
		for range 64 {
			writing.Go(func() {
				for n := next.Add(1); n <= flood; n = next.Add(1) {
					abort(t, b, anna, int(n), "copies.too-many")
				}
			})
		}
		writing.Wait()
		running.Wait()
		got := in.of(anna)
		if len(got) == 0 || len(got) > 5 {
			t.Fatalf("%d messages: %q", len(got), got)
		}
		sum := 0
		for _, subject := range got {
			n := 1
			_, _ = fmt.Sscanf(strings.ReplaceAll(subject, ",", ""), "%d print jobs", &n)
			sum += n
		}
		if sum != flood {
			t.Errorf("they count %d jobs: %q", sum, got)
		}
	})
}

// The first notice of a kind and reason is sent at once, those that follow within the hour in one
// message at its end; another reason is not held back by that.
func TestGathered(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b, in := bustest.Open(t), &inbox{}
		var running sync.WaitGroup
		running.Go(func() { live(t, b, in, -1, 3*time.Hour) })
		abort(t, b, anna, 1, "copies.too-many")
		time.Sleep(time.Minute) // virtual
		want := func(when string, n int) {
			t.Helper()
			if got := in.of(anna); len(got) != n {
				t.Errorf("%s: %d messages, want %d: %q", when, len(got), n, got)
			}
		}
		want("after a minute", 1)
		for i := range 3 {
			abort(t, b, anna, 10+i, "copies.too-many")
		}
		abort(t, b, anna, 20, "color.no")
		time.Sleep(time.Minute)
		want("another reason", 2)
		time.Sleep(57 * time.Minute)
		want("before the end of the hour", 2)
		time.Sleep(2 * time.Minute)
		want("after the hour", 3)
		if got := in.of(anna); !strings.HasPrefix(got[2], "3 print jobs") {
			t.Errorf("%q", got)
		}
		running.Wait()
	})
}

// A person gets ten messages a day, whatever happens, and again ten the next day.
func TestTenADay(t *testing.T) {
	racetest.Skip(t, "days of what TestGathered does")
	bustest.Virtual(t, func(t *testing.T) {
		b, in := bustest.Open(t), &inbox{}
		var running sync.WaitGroup
		running.Go(func() { live(t, b, in, -1, 30*time.Hour) })
		for i := range 30 {
			abort(t, b, anna, i, fmt.Sprintf("reason.%d", i))
		}
		time.Sleep(time.Hour) // virtual
		if n := len(in.of(anna)); n != 10 {
			t.Errorf("%d messages", n)
		}
		time.Sleep(24 * time.Hour)
		abort(t, b, anna, 99, "reason.99")
		time.Sleep(time.Minute)
		if n := len(in.of(anna)); n != 11 {
			t.Errorf("%d messages after a day", n)
		}
		running.Wait()
	})
}

// While mail is down for a day, what waits is bounded and tried rarely; after it all is delivered.
func TestDownForADay(t *testing.T) {
	racetest.Skip(t, "many cases of what TestGathered and TestRefused do")
	bustest.Virtual(t, func(t *testing.T) {
		b, in := bustest.Open(t), &inbox{fail: func(notify.Message) error { return &notify.Down{Why: "no answer"} }}
		var running sync.WaitGroup
		running.Go(func() { live(t, b, in, -1, 30*time.Hour) })
		const people = 50
		for i := range people {
			for n := range 3 {
				abort(t, b, person(i), n, "copies.too-many")
			}
		}
		time.Sleep(24 * time.Hour) // virtual
		waiting, size := 0, 0
		err := b.State().Each(t.Context(), notify.Prefix+"*", func(_ string, value []byte, _ uint64) error {
			waiting, size = waiting+1, size+len(value)
			return nil
		})
		if err != nil || waiting != people || size > people*2000 {
			t.Errorf("%v: %d people wait with %d bytes", err, waiting, size)
		}
		in.mu.Lock()
		if in.tries > 24*60 {
			t.Errorf("%d tries in a day", in.tries)
		}
		in.fail = nil
		in.mu.Unlock()
		running.Wait()
		for i := range people {
			if n := len(in.of(person(i))); n == 0 || n > 3 {
				t.Errorf("person %d has %d messages", i, n)
			}
		}
		if n := len(dead(t, b)); n != 0 {
			t.Errorf("%d dead letters", n)
		}
	})
}

// What a server refuses for good is a dead letter that says why; what it refuses for now is tried for
// a day, in order for its person, and keeps nobody else waiting.
func TestRefused(t *testing.T) {
	racetest.Skip(t, "a day of tries with the goroutines of TestGathered")
	bustest.Virtual(t, func(t *testing.T) {
		var at []time.Duration
		began := time.Now()
		in := &inbox{}
		in.fail = func(m notify.Message) error {
			switch m.Owner {
			case person(1):
				return &notify.Refused{Why: "the mail server answered 550 5.1.1 to the recipient"}
			case person(2):
				at = append(at, time.Since(began))
				return errors.New("the mail server answered 450 to the recipient")
			case person(3):
				return notify.ErrNoAddress
			}
			return nil
		}
		b := bustest.Open(t)
		for i := range 4 {
			abort(t, b, person(i), 1, "copies.too-many")
		}
		abort(t, b, person(2), 2, "color.no")
		live(t, b, in, -1, 52*time.Hour)
		if n := len(in.messages); n != 1 || in.messages[0].Owner != person(0) {
			t.Errorf("%d messages", n)
		}
		letters := dead(t, b)
		slices.SortFunc(letters, func(a, b notify.DeadLetter) int { return a.At.Compare(b.At) })
		if len(letters) != 3 || letters[0].Owner != person(1) || !strings.Contains(letters[0].Error, "550") ||
			!strings.Contains(letters[1].Error, "tried for a day") {
			t.Errorf("dead letters %+v", letters)
		}
		if len(at) < 40 || len(at) > 80 || at[len(at)-1] > 50*time.Hour {
			t.Errorf("tried %d times: %v", len(at), at)
		}
	})
}

// What is in the streams but can't be read, or is about nobody, is passed over.
func TestOddRecords(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b, in := bustest.Open(t), &inbox{}
		for i, body := range []string{
			"", "[]", `{"owner":"` + anna + `"}`,
			`{"id":"x","kind":"job.unheard-of","owner":"` + anna + `"}`, `{"id":"y","owner":"_"}`,
		} {
			if err := b.PublishNotice(t.Context(), "job.aborted", fmt.Sprint("odd", i), []byte(body)); err != nil {
				t.Fatal(err)
			}
			if err := b.PublishDecision(t.Context(), "abort", fmt.Sprint("odd", i), []byte(body)); err != nil {
				t.Fatal(err)
			}
		}
		abort(t, b, "", 1, "owner.unknown")
		abort(t, b, anna, 1, "copies.too-many")
		live(t, b, in, -1, time.Hour)
		if n := len(in.of(anna)); n != 1 {
			t.Errorf("%d messages", n)
		}
	})
}

// A decision that is stored a second time, days later, is not told again; nor is one from before the
// upgrade to a version with notices.
func TestOldDecisions(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b, in := bustest.Open(t), &inbox{}
		abort(t, b, person(1), 1, "copies.too-many")
		time.Sleep(2 * time.Hour) // virtual
		abort(t, b, anna, 1, "copies.too-many")
		live(t, b, in, -1, time.Hour)
		if len(in.of(person(1))) != 0 || len(in.of(anna)) != 1 {
			t.Errorf("%q, %q", in.of(person(1)), in.of(anna))
		}
		time.Sleep(7 * time.Hour) // the server has forgotten the message id
		var body []byte
		n := notice.Notice{
			ID: "task-" + anna + "-1:arrival:job.aborted", Kind: notice.Aborted, At: time.Now(), Owner: anna, Reason: "copies.too-many",
		}
		body, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.PublishNotice(t.Context(), n.Kind, n.ID, body); err != nil {
			t.Fatal(err)
		}
		live(t, b, in, -1, 2*time.Hour)
		if len(in.of(anna)) != 1 || in.repeats != 0 {
			t.Errorf("%q, %d repeats", in.of(anna), in.repeats)
		}
	})
}
