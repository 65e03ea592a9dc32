package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/connector/decision"

	"go.uber.org/zap"
)

// feed is a stream of decisions; it fails when something comes on end.
type feed struct {
	bodies chan []byte
	end    chan struct{}
	opened int
	since  time.Time
}

func (f *feed) Decisions(ctx context.Context, since time.Time, _ bool, fn func(time.Time, []byte) error) error {
	f.opened++
	f.since = since
	for {
		select {
		case body := <-f.bodies:
			if err := fn(time.Now(), body); err != nil {
				return err
			}
		case <-f.end:
			return errors.New("the stream was removed")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *feed) send(t *testing.T, d decision.Decision) {
	t.Helper()
	body, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	f.bodies <- body
	synctest.Wait()
}

// The newest decisions are kept, up to a number, newest first; an erased person's go, as owner
// or as delegate; a stream that is gone is followed again, and a record of another version is
// left out.
func TestRecent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &feed{bodies: make(chan []byte), end: make(chan struct{})}
		r := NewRecent(f, zap.NewNop())
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		synctest.Wait()
		if !f.since.Equal(time.Now().Add(-recentSpan)) {
			t.Errorf("read since %s", f.since)
		}
		for i := range recentMost + 10 {
			f.send(t, decision.Decision{ID: fmt.Sprint(i), Owner: "grace"})
		}
		f.bodies <- []byte(`["another version"]`)
		f.send(t, decision.Decision{ID: "ada's", Owner: "ADA", Rule: "too-many"})
		f.send(t, decision.Decision{ID: "by ada", Owner: "grace", Actor: "ada", Rule: "too-many"})
		list := r.Newest()
		if len(list) != recentMost || list[0].ID != "by ada" || list[1].ID != "ada's" || list[2].ID != fmt.Sprint(recentMost+9) {
			t.Errorf("%d decisions, the newest %+v", len(list), list[0])
		}
		if hits, since := r.Hits(); hits["too-many"].Count != 2 || len(hits) != 1 || since.IsZero() {
			t.Errorf("hits: %+v since %s", hits, since)
		}
		r.Forget("ada")
		for _, d := range r.Newest() {
			if strings.EqualFold(d.Owner, "ada") || d.Actor == "ada" {
				t.Errorf("still shown: %+v", d)
			}
		}
		f.end <- struct{}{}
		synctest.Wait()
		time.Sleep(followAgain)
		synctest.Wait()
		f.send(t, decision.Decision{ID: "later"})
		if list := r.Newest(); f.opened != 2 || len(list) != 1 || list[0].ID != "later" {
			t.Errorf("opened %d times, %d decisions", f.opened, len(list))
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
