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

// A clock that jumps a day ahead between two tries does not end a message: it takes as many tries as a
// day has. One that was ahead at the first try does not keep it for ever.
func TestJumpingClock(t *testing.T) {
	now := time.Unix(1_773_136_800, 0)
	b := box{Owner: "anna"}
	b.take(notice.Notice{ID: "1", Kind: notice.Aborted}, now)
	b.try(now)
	if now = now.Add(25 * time.Hour); b.tired(now) {
		t.Error("given up after a jump")
	}
	for !b.tired(now) {
		b.try(now)
		now = b.next(now)
	}
	if n := b.Waiting[0].Tries; n != minTries {
		t.Errorf("given up after %d tries", n)
	}
	b = box{Owner: "anna"}
	b.take(notice.Notice{ID: "1", Kind: notice.Aborted}, now)
	b.try(now.AddDate(10, 0, 0))
	for until := now.Add(60 * time.Hour); !b.tired(now); now = b.next(now) {
		if b.try(now); now.After(until) {
			t.Fatal("tried for ever after a clock that was ahead")
		}
	}
}

// A box is stored without end while a message waits in it, and then as long as it knows of something
// that is told once.
func TestKeep(t *testing.T) {
	now := time.Unix(1_773_136_800, 0)
	b := box{Owner: "anna"}
	low := notice.Notice{ID: "1", Kind: notice.BudgetLow, Renews: now.Add(20 * day)}
	b.take(low, now)
	if d := b.keep(now); d != 0 {
		t.Errorf("%s while a message waits", d)
	}
	b.try(now)
	b.done(true, now)
	if d := b.keep(now); d != 20*day {
		t.Errorf("%s for something that is told once in 20 days", d)
	}
	b.IDs = nil // many came meanwhile
	if now = now.Add(19 * day); !b.take(low, now) || len(b.Waiting) > 0 {
		t.Error("told twice in a period")
	}
	low.ID, low.Renews = "2", now.AddDate(100, 0, 0)
	b.take(low, now)
	b.try(now)
	b.done(true, now)
	if d := b.keep(now); d != longest {
		t.Errorf("%s for a time that can't be", d)
	}
	for i := range 10 * maxOnce {
		b.rememberOnce(string(rune(i)), low.Renews, now)
	}
	if len(b.Once) > maxOnce {
		t.Errorf("%d things that are told once", len(b.Once))
	}
}

// Who was told enough for a day hears of a new badge all the same.
func TestMandatory(t *testing.T) {
	now := time.Unix(1_773_136_800, 0)
	b := box{Owner: "anna"}
	for i := range 2 * perDay {
		b.take(notice.Notice{ID: fmt.Sprint(i), Kind: notice.Aborted, Reason: fmt.Sprint(i)}, now)
	}
	if !b.take(notice.Notice{ID: "badge", Kind: notice.BadgeEnrolled}, now) || len(b.Waiting) != perDay+1 {
		t.Errorf("%d messages wait", len(b.Waiting))
	}
}
