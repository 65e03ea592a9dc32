package notify

import (
	"fmt"
	"testing"
	"time"

	"pullprint/connector/notice"
)

// What a server may have is not changed any more: a notice that comes after the first try of a message
// waits for the next.
func TestTriedIsNotChanged(t *testing.T) {
	now := time.Unix(1_773_136_800, 0)
	b := box{Owner: "anna"}
	about := func(n int) notice.Notice {
		return notice.Notice{ID: fmt.Sprint(n), Kind: notice.Aborted, Reason: "copies.too-many"}
	}
	for n := range 2 {
		b.take(about(n), now)
	}
	if len(b.Waiting) != 1 || b.Waiting[0].Count != 2 {
		t.Fatalf("before a try: %+v", b.Waiting)
	}
	b.try(now)
	for n := range 4 {
		b.take(about(n), now) // the first two are known
	}
	if len(b.Waiting) != 2 || b.Waiting[0].Count != 2 || b.Waiting[1].Count != 2 || !b.Waiting[1].Due.Equal(now.Add(gatherFor)) {
		t.Errorf("after a try: %+v", b.Waiting)
	}
	if next := b.next(now); next.Before(now.Add(time.Minute)) || next.After(now.Add(again.First)) {
		t.Errorf("tried again after %s", next.Sub(now))
	}
	b.done(true, now)
	if b.Sent != 1 || len(b.Waiting) != 1 || !b.next(now).Equal(now.Add(gatherFor)) {
		t.Errorf("after it was sent: %+v", b)
	}
}

// What is stored of one person is bounded, whatever comes.
func TestBoxIsBounded(t *testing.T) {
	now := time.Unix(1_773_136_800, 0)
	b := box{Owner: "anna"}
	for n := range 5000 {
		b.take(notice.Notice{ID: fmt.Sprint(n), Kind: notice.Aborted, Reason: fmt.Sprint("reason.", n)}, now)
		if n%100 == 0 && len(b.Waiting) > 0 {
			b.try(now)
			b.done(true, now)
		}
		now = now.Add(time.Second)
	}
	if len(b.IDs) > maxIDs || len(b.Waiting) > perDay || len(b.Hours) > 2*perDay || b.Sent > perDay {
		t.Errorf("%d ids, %d waiting, %d hours, %d sent", len(b.IDs), len(b.Waiting), len(b.Hours), b.Sent)
	}
}

// A clock that was a day ahead, or a day behind, keeps nobody from their messages for longer than the
// hour in which they are gathered.
func TestWrongClock(t *testing.T) {
	right := time.Unix(1_773_136_800, 0)
	for _, wrong := range []time.Time{right.Add(25 * time.Hour), right.Add(-25 * time.Hour)} {
		b := box{Owner: "anna"}
		about := func(n int) notice.Notice {
			return notice.Notice{ID: fmt.Sprint(n), Kind: notice.Aborted, Reason: fmt.Sprint("reason.", n%perDay)}
		}
		for n := range perDay - 1 {
			b.take(about(n), wrong)
			b.try(wrong)
			b.done(true, wrong)
		}
		b.take(about(perDay-1), wrong)
		if next := b.next(right); next.After(right) {
			t.Errorf("clock at %s: what waited is sent after %s", wrong, next.Sub(right))
		}
		b.try(wrong)
		if next := b.next(right); next.After(right) {
			t.Errorf("clock at %s: what was tried is tried again after %s", wrong, next.Sub(right))
		}
		b.done(true, wrong)
		if !b.take(about(perDay), right) || len(b.Waiting) != 1 || b.Waiting[0].Due.After(right) {
			t.Errorf("clock at %s: the next waits: %+v", wrong, b)
		}
	}
}
