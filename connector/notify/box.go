package notify

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pullprint/connector/notice"
	"pullprint/trigger/graph"
	"pullprint/trigger/wait"
)

// What a person gets at most.
const (
	// gatherFor is how long notices of one kind and reason are gathered after a message of them: who
	// makes one mistake again and again reads of it once an hour.
	gatherFor = time.Hour
	// farthest is how far ahead a message may be due at most: what is farther was stored with a clock
	// that was wrong. No message waits longer than gatherFor, or than again.Max for its next try; twice
	// that leaves room for clocks that differ.
	farthest = 2 * gatherFor
	// perDay is how many messages a person gets in 24 hours: more are read as noise.
	perDay = 10
	day    = 24 * time.Hour
	// giveUpAfter is how long a message is tried: after a day its job is no news any more. minTries is
	// how often besides, as a clock that jumps ahead makes a day of a minute: so many tries there are
	// within a day at the longest waits of again, and they take half a day at the shortest.
	giveUpAfter = 24 * time.Hour
	minTries    = 28
	// remember is how long it is known which notices a person was told.
	remember = 7 * 24 * time.Hour
	// longest is how long it is known at most: a period of a budget is no longer than a year.
	longest = 400 * 24 * time.Hour
	// maxOnce is how many of them are known of a person: periods end, and no policy has so many.
	maxOnce = 32
	// maxIDs is how many of these are known of a person: two batches, as a crash may repeat what came
	// since the position was stored.
	maxIDs = 2 * batchSize
)

// again are the waits between the tries of one message. The first is longer than a try may take, so
// that another instance does not try it at the same time.
var again = wait.Backoff{First: 4 * time.Minute, Max: time.Hour}

// keyOf is the key of a person's box in the state bucket.
func keyOf(owner string) string { return Prefix + owner }

// Prefix is that of the keys of the boxes in the state bucket, each with the Entra object id of a
// person behind it.
const Prefix = "notices.person."

// box is what is stored of one person: the messages that wait for delivery, and what was delivered
// lately. Every change is a compare-and-set.
type box struct {
	// Owner is the person's Entra object id.
	Owner string `json:"owner"`
	// IDs are digests of the ids of the newest notices that were taken in, newest last.
	IDs []string `json:"ids,omitempty"`
	// Once are those, by the same digests, of which the person is told once until a time.
	Once map[string]time.Time `json:"once,omitempty"`
	// Hours say until when the notices of a kind and reason are gathered.
	Hours   map[string]time.Time `json:"hours,omitempty"`
	Waiting []message            `json:"waiting,omitempty"`
	// Sent is how many messages were sent in the day that began at Day.
	Sent int       `json:"sent,omitempty"`
	Day  time.Time `json:"day,omitzero"`
}

// message is one that waits. Its id is that of its first notice.
type message struct {
	Notice notice.Notice `json:"notice"`
	// Count is how many notices it stands for.
	Count int       `json:"count"`
	Due   time.Time `json:"due"`
	// First is when it was tried first: from then on nothing is added to it, since a server may have
	// it. Next is when it is tried again.
	First time.Time `json:"first,omitzero"`
	Next  time.Time `json:"next,omitzero"`
	Tries int       `json:"tries,omitempty"`
	// Passed are the channels that will not take it.
	Passed []pass `json:"passed,omitempty"`
}

// topic is what notices have in common that are gathered into one message.
func topic(n *notice.Notice) string { return n.Kind + " " + n.Reason }

// digest is what is remembered of the id of a notice: 72 bits, so that two of one person are the same
// by chance as good as never.
func digest(id string) string {
	sum := sha256.Sum256([]byte(id))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// take puts a notice into the box, unless it was before. It reports false when the person has had
// perDay messages by then.
func (b *box) take(n notice.Notice, now time.Time) bool {
	id := digest(n.ID)
	if _, told := b.Once[id]; told || slices.Contains(b.IDs, id) {
		return true
	}
	b.IDs = append(b.IDs, id)
	b.IDs = b.IDs[max(0, len(b.IDs)-maxIDs):]
	b.turnDay(now)
	for i := range b.Waiting {
		if w := &b.Waiting[i]; w.First.IsZero() && topic(&w.Notice) == topic(&n) {
			w.Count++
			return true
		}
	}
	if b.Sent+len(b.Waiting) >= perDay && !notice.Mandatory(n.Kind) {
		return false
	}
	b.rememberOnce(id, n.Renews, now)
	due := now
	for key, end := range b.Hours {
		if !end.After(now) || end.Sub(now) > farthest {
			delete(b.Hours, key)
		}
	}
	if end, ok := b.Hours[topic(&n)]; ok {
		due = end
	}
	if b.Hours == nil {
		b.Hours = map[string]time.Time{}
	}
	b.Hours[topic(&n)] = due.Add(gatherFor)
	b.Waiting = append(b.Waiting, message{Notice: n, Count: 1, Due: due})
	slices.SortStableFunc(b.Waiting, func(a, b message) int { return a.Due.Compare(b.Due) })
	return true
}

// rememberOnce notes that a notice is told until a time, if it has one, and forgets those whose time is
// over.
func (b *box) rememberOnce(id string, until, now time.Time) {
	maps.DeleteFunc(b.Once, func(_ string, until time.Time) bool { return !until.After(now) })
	if !until.After(now) || len(b.Once) >= maxOnce {
		return
	}
	if b.Once == nil {
		b.Once = map[string]time.Time{}
	}
	b.Once[id] = until
}

// keep is how long the box is stored: without end while messages wait in it, as everything may be down
// for long.
func (b *box) keep(now time.Time) time.Duration {
	if len(b.Waiting) > 0 {
		return 0
	}
	d := remember
	for _, until := range b.Once {
		d = max(d, until.Sub(now))
	}
	return min(d, longest)
}

// triedForLong reports whether something has been tried long enough, by a person's channels or by a
// webhook.
func triedForLong(tries int, since, now time.Time) bool {
	return tries >= minTries && now.Sub(since) >= giveUpAfter
}

// tired reports whether the first message has been tried long enough.
func (b *box) tired(now time.Time) bool {
	return triedForLong(b.Waiting[0].Tries, b.Waiting[0].First, now)
}

// slow reports whether the first message has been tried long enough by a channel that has one after it.
func (b *box) slow(now time.Time) bool {
	w, nth := &b.Waiting[0], len(b.Waiting[0].Passed)+1
	return w.Tries >= nth*passTries && now.Sub(w.First) >= time.Duration(nth)*passAfter
}

// pass notes a channel that will not take the first message.
func (b *box) pass(by pass) {
	b.Waiting = slices.Clone(b.Waiting)
	b.Waiting[0].Passed = append(slices.Clone(b.Waiting[0].Passed), by)
}

// turnDay begins another day when the last is over. One that begins in the future was begun with a
// wrong clock.
func (b *box) turnDay(now time.Time) {
	if since := now.Sub(b.Day); since >= day || since < 0 {
		b.Sent, b.Day = 0, now
	}
}

// next is when the first of the messages is to be sent. The others wait for it, so that a person
// reads them in order.
func (b *box) next(now time.Time) time.Time {
	w := &b.Waiting[0]
	at := w.Due
	if !w.First.IsZero() {
		at = w.Next
	}
	if at.Sub(now) > farthest {
		return now
	}
	return at
}

// try notes that the first message is being tried.
func (b *box) try(now time.Time) {
	b.Waiting = slices.Clone(b.Waiting)
	w := &b.Waiting[0]
	if w.First.IsZero() || w.First.After(now) { // by a clock that was ahead
		w.First = now
	}
	w.Tries++
	w.Next = now.Add(again.Pause(w.Tries))
}

// done takes the first message out.
func (b *box) done(sent bool, now time.Time) {
	b.Waiting = slices.Clone(b.Waiting[1:])
	b.turnDay(now)
	if sent {
		b.Sent++
	}
}

// readBox decodes what is stored at a key.
func readBox(key string, value []byte) (box, error) {
	var b box
	if err := json.Unmarshal(value, &b); err != nil {
		return b, fmt.Errorf("decode notices of a person: %w", err)
	}
	b.Owner = graph.Canonical(strings.TrimPrefix(key, Prefix))
	return b, nil
}
