package notify

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pullprint/connector/decision"
	"pullprint/connector/notice"
	"pullprint/trigger/fuzztest"
)

// most is how large an input is at most: ten notices of the largest size are smaller.
const most = 64 << 10

// FuzzNotice: whatever is stored as a decision or as a notice, a message of it has one line as its
// subject and bounded text, and it fits into the box of its person.
func FuzzNotice(f *testing.F) {
	texts, err := LoadTexts("")
	if err != nil {
		f.Fatal(err)
	}
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	for _, kind := range notice.Kinds {
		n := Example(kind, now)
		body, err := json.Marshal(&n)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(`{"id":"1","owner":"66666666-7777-4888-8999-aaaaaaaaaaaa","verdict":"abort","reason":"x","text":"\r\nBcc: a"}`))
	f.Add([]byte(`{"id":"1","owner":"66666666-7777-4888-8999-aaaaaaaaaaaa","verdict":"redirect","cost":2,` +
		`"input":{"balances":[{"key":"user:66666666-7777-4888-8999-aaaaaaaaaaaa","limit":100,"left":11}]}}`))
	watch := fuzztest.New(f, fuzztest.Small)
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > most {
			return
		}
		defer watch.Input(t)()
		var list []notice.Notice
		var n notice.Notice
		if json.Unmarshal(body, &n) == nil {
			list = append(list, n)
		}
		var d decision.Decision
		if json.Unmarshal(body, &d) == nil {
			list = append(list, notice.Of(&d, notice.DefaultLow)...)
		}
		for _, n := range list {
			if !n.Bound() {
				continue
			}
			m, err := texts.render(context.Background(), &n, 3)
			if err == nil && (strings.ContainsAny(m.Subject, "\r\n") || len(m.Text) > maxText) {
				t.Errorf("subject %q, %d bytes", m.Subject, len(m.Text))
			}
			var b box
			b.take(n, now)
			if value, err := json.Marshal(&b); err == nil && len(value) > 1<<20/perDay {
				t.Errorf("%d bytes of one notice", len(value))
			}
		}
	})
}

// FuzzBox: whatever is stored as the box of a person, its messages come to their end: each is due
// within the time that it may wait, and nobody gets more of them than a day allows.
func FuzzBox(f *testing.F) {
	const owner = "66666666-7777-4888-8999-aaaaaaaaaaaa"
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	var b box
	for _, kind := range notice.Kinds {
		n := Example(kind, now)
		n.ID += "x"
		b.take(n, now)
	}
	body, err := json.Marshal(&b)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte(`{"waiting":[{"tries":-1,"due":"9999-01-01T00:00:00Z","first":"2026-01-01T00:00:00Z"}],"sent":-5,"hours":{"":"0001-01-01T00:00:00Z"}}`))
	f.Add([]byte(`{"waiting":[null,{"tries":9223372036854775807}],"ids":[""],"day":"9999-01-01T00:00:00Z","sent":9223372036854775807}`))
	watch := fuzztest.New(f, fuzztest.Small)
	f.Fuzz(func(t *testing.T, value []byte) {
		if len(value) > most {
			return
		}
		defer watch.Input(t)()
		b, err := readBox(keyOf(owner), value)
		if err != nil {
			return
		}
		n := Example(notice.Aborted, now)
		before := len(b.Waiting)
		b.take(n, now)
		if len(b.IDs) > maxIDs || len(b.Waiting) > max(before, perDay) {
			t.Errorf("%d ids, %d messages wait", len(b.IDs), len(b.Waiting))
		}
		for range len(b.Waiting) {
			if at := b.next(now); at.After(now.Add(farthest)) {
				t.Errorf("the next try is at %s", at)
			}
			b.try(now)
			if at := b.next(now); at.After(now.Add(farthest)) || !at.After(now) {
				t.Errorf("after a try the next is at %s", at)
			}
			b.done(true, now)
		}
	})
}
