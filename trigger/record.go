package trigger

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// clientStateLen is the length of a clientState: base64url of 32 random bytes.
// Graph allows 128 characters.
const clientStateLen = 43

// How long the clientState of an ended subscription is still accepted (Graph
// retries a notification for up to 4 hours, and it may wait in the stream), and
// how many of them are kept.
const (
	keepPast = 24 * time.Hour
	maxPast  = 32
)

func newClientState() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// subscription is one Graph subscription as State remembers it.
type subscription struct {
	// ID is empty until Graph's answer to the creation is known.
	ID          string `json:"id,omitempty"`
	ClientState string `json:"client_state"`
	Resource    string `json:"resource"`
	URL         string `json:"url"`
	// ToldResource and ToldURL are how Graph wrote the two when it made it.
	ToldResource string `json:"told_resource,omitempty"`
	ToldURL      string `json:"told_url,omitempty"`
	// Renewed is when it was created or last renewed, Expires when Graph drops
	// it if it isn't renewed again.
	Renewed time.Time `json:"renewed"`
	Expires time.Time `json:"expires"`
	// Until is when a past one is forgotten.
	Until time.Time `json:"until,omitzero"`
}

// renewAt is half of its life.
func (s *subscription) renewAt() time.Time { return s.Renewed.Add(s.Expires.Sub(s.Renewed) / 2) }

// has compares in constant time. Only the length, which is no secret, is
// compared first; so an empty clientState is never accepted.
func (s *subscription) has(clientState string) bool {
	return len(clientState) == clientStateLen &&
		subtle.ConstantTimeCompare([]byte(s.ClientState), []byte(clientState)) == 1
}

// subscriptions is the value of keySubscription.
type subscriptions struct {
	// Current is the one that lives, as far as we know.
	Current *subscription `json:"current,omitempty"`
	// Pending was stored before Graph was asked to create it: Graph may notify
	// before its answer arrives, and the answer may never arrive.
	Pending *subscription `json:"pending,omitempty"`
	// Past are those that ended and those whose creation was never answered,
	// the youngest first.
	Past []subscription `json:"past,omitempty"`
	// Served is the lifecycle event that was last acted on.
	Served time.Time `json:"served,omitzero"`
}

// is reports whether Graph shows a subscription on resource that posts to url as
// this one, or as it was asked for.
func (s *subscription) is(resource, url string) bool {
	resource = strings.Trim(resource, "/")
	return (strings.EqualFold(resource, s.Resource) || strings.EqualFold(resource, strings.Trim(s.ToldResource, "/"))) &&
		(url == s.URL || url == s.ToldURL)
}

// retire moves an entry to the past, and forgets those that are too old or too many.
func (s *subscriptions) retire(e *subscription, now time.Time) {
	if e == nil {
		return
	}
	past := *e
	past.Until = now.Add(keepPast)
	if past.ID == "" && past.Expires.Add(keepPast).After(past.Until) {
		// Graph may have made it: it notifies until it expires or we find it.
		past.Until = past.Expires.Add(keepPast)
	}
	kept := []subscription{past}
	for _, p := range s.Past {
		if len(kept) < maxPast && now.Before(p.Until) {
			kept = append(kept, p)
		}
	}
	s.Past = kept
}

// retireCurrent and retirePending end what the document holds there.
func (s *subscriptions) retireCurrent(now time.Time) {
	s.retire(s.Current, now)
	s.Current = nil
}

func (s *subscriptions) retirePending(now time.Time) {
	s.retire(s.Pending, now)
	s.Pending = nil
}

// ours reports whether id was one of our subscriptions and is no more.
func (s *subscriptions) ours(id string) bool {
	for i := range s.Past {
		if strings.EqualFold(s.Past[i].ID, id) {
			return true
		}
	}
	return false
}

// match finds the entry of a subscription id and clientState. An entry without
// an id accepts any. It looks at all entries whatever it finds. An id may be stored as
// an earlier version got it, in any case.
func (s *subscriptions) match(id, clientState string, now time.Time) error {
	known, ok := false, false
	look := func(e *subscription, until time.Time) {
		if e == nil || (!until.IsZero() && !now.Before(until)) || (e.ID != "" && !strings.EqualFold(e.ID, id)) {
			return
		}
		known = known || e.ID != ""
		ok = e.has(clientState) || ok
	}
	look(s.Current, time.Time{})
	look(s.Pending, time.Time{})
	for i := range s.Past {
		look(&s.Past[i], s.Past[i].Until)
	}
	switch {
	case ok:
		return nil
	case known:
		return ErrForged
	}
	return ErrUnknownSubscription
}

// definition is the value of keyDefinition.
type definition struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	App  string `json:"app"`
}

// sweepEntry is the value of keySweep: with its clientState our own sweep signs
// what it puts into the stream.
type sweepEntry struct {
	ClientState string `json:"client_state"`
}

// lifecycle is the value of keyLifecycle: the last lifecycle event that any
// replica heard of, so that the one that keeps the subscription acts on it.
type lifecycle struct {
	Subscription string    `json:"subscription"`
	Event        string    `json:"event"`
	At           time.Time `json:"at"`
}

// load reads a key of State into v and returns its revision; an absent key leaves v as
// it is. So does one that can't be read: what it should hold is found in Graph again,
// and stored in its place.
func load(ctx context.Context, s State, key string, v any) (uint64, error) {
	raw, rev, err := s.Get(ctx, key)
	if err != nil {
		return 0, fmt.Errorf("read state %s: %w", key, err)
	}
	if raw == nil {
		return rev, nil
	}
	if CheckRecord(key, raw) == nil {
		err = json.Unmarshal(raw, v)
	}
	return rev, err
}

// CheckRecord reports with an error what is stored under a key of this package and can't
// be read. It quotes nothing of the value, which may be a secret.
func CheckRecord(key string, value []byte) error {
	var err error
	ok := true
	switch key {
	case keyDefinition:
		var d definition
		err = json.Unmarshal(value, &d)
		ok = d.ID != ""
	case keySubscription:
		var s subscriptions
		err = json.Unmarshal(value, &s)
	case keySweep:
		var s sweepEntry
		err = json.Unmarshal(value, &s)
		ok = len(s.ClientState) == clientStateLen
	case keyLifecycle:
		var l lifecycle
		err = json.Unmarshal(value, &l)
	}
	if err != nil || !ok || string(value) == "null" {
		return fmt.Errorf("state %s can't be read; it is made anew", key)
	}
	return nil
}
