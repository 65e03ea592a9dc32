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

// The clientState of an ended subscription is accepted for keepPast more: Graph retries a
// notification for up to 4 hours, and then it may wait in the stream. At most maxPast ended
// subscriptions are stored; a day has fewer unless Graph loses one every hour.
const (
	keepPast = 24 * time.Hour
	maxPast  = 32
)

func newClientState() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// subscription is the record of one Graph subscription in State.
type subscription struct {
	// ID is empty until Graph has answered to the creation.
	ID          string `json:"id,omitempty"`
	ClientState string `json:"client_state"`
	Resource    string `json:"resource"`
	URL         string `json:"url"`
	// ToldResource and ToldURL are the two as Graph wrote them in its answer.
	ToldResource string `json:"told_resource,omitempty"`
	ToldURL      string `json:"told_url,omitempty"`
	// Renewed is when it was created or last renewed, Expires when Graph ends it unless it
	// is renewed again.
	Renewed time.Time `json:"renewed"`
	Expires time.Time `json:"expires"`
	// Until is when the record of an ended one is removed.
	Until time.Time `json:"until,omitzero"`
}

// renewAt is when half of its life has passed.
func (s *subscription) renewAt() time.Time { return s.Renewed.Add(s.Expires.Sub(s.Renewed) / 2) }

// sameClientState compares in constant time. Only the length, which is no secret, is
// compared first; so an empty clientState is never accepted.
func sameClientState(ours, received string) bool {
	return len(received) == clientStateLen && subtle.ConstantTimeCompare([]byte(ours), []byte(received)) == 1
}

// subscriptions is the value of keySubscription.
type subscriptions struct {
	// Current is the one that we believe to be alive.
	Current *subscription `json:"current,omitempty"`
	// Pending was stored before Graph was asked to create it: Graph may notify
	// before its answer arrives, and the answer may never arrive.
	Pending *subscription `json:"pending,omitempty"`
	// Past are those that ended and those whose creation was never answered, the newest
	// first.
	Past []subscription `json:"past,omitempty"`
	// Served is the time of the lifecycle event that was last acted on.
	Served time.Time `json:"served,omitzero"`
}

// is reports whether resource and url, as Graph lists them, are those of this subscription:
// as they were asked for, or as Graph wrote them when it created it.
func (s *subscription) is(resource, url string) bool {
	resource = strings.Trim(resource, "/")
	return (strings.EqualFold(resource, s.Resource) || strings.EqualFold(resource, strings.Trim(s.ToldResource, "/"))) &&
		(url == s.URL || url == s.ToldURL)
}

// retire moves an entry to Past, and removes from there what is too old or too many.
func (s *subscriptions) retire(e *subscription, now time.Time) {
	if e == nil {
		return
	}
	past := *e
	past.Until = now.Add(keepPast)
	if past.ID == "" && past.Expires.Add(keepPast).After(past.Until) {
		// Graph may have created it: it then notifies until it expires or we delete it.
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

func (s *subscriptions) retireCurrent(now time.Time) {
	s.retire(s.Current, now)
	s.Current = nil
}

func (s *subscriptions) retirePending(now time.Time) {
	s.retire(s.Pending, now)
	s.Pending = nil
}

// ours reports whether id is that of an ended subscription of ours.
func (s *subscriptions) ours(id string) bool {
	for i := range s.Past {
		if strings.EqualFold(s.Past[i].ID, id) {
			return true
		}
	}
	return false
}

// match returns nil if the clientState belongs to the subscription with this id, or to one
// whose id is not known yet. It compares with every entry, whatever it finds, so that the time
// tells nothing. Ids are compared in any case: earlier versions stored them as Graph wrote
// them.
func (s *subscriptions) match(id, clientState string, now time.Time) error {
	known, ok := false, false
	look := func(e *subscription, until time.Time) {
		if e == nil || (!until.IsZero() && !now.Before(until)) || (e.ID != "" && !strings.EqualFold(e.ID, id)) {
			return
		}
		known = known || e.ID != ""
		ok = sameClientState(e.ClientState, clientState) || ok
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

// sweepEntry is the value of keySweep: the clientState of the notifications that our own
// sweep puts into the stream.
type sweepEntry struct {
	ClientState string `json:"client_state"`
}

// lifecycle is the value of keyLifecycle: the last lifecycle event that any replica received.
// The replica that keeps the subscription acts on it.
type lifecycle struct {
	Subscription string    `json:"subscription"`
	Event        string    `json:"event"`
	At           time.Time `json:"at"`
}

// load reads a key of State into v and returns its revision. An absent key leaves v as it is,
// and so does a damaged value: what it should hold is found in Graph again and replaces it.
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

// CheckRecord returns an error if the value of a key of this package can't be used. It quotes
// nothing of the value, which may be a secret.
func CheckRecord(key string, value []byte) error {
	var (
		d   definition
		s   sweepEntry
		err error
	)
	ok := true
	switch key {
	case keyDefinition:
		err = json.Unmarshal(value, &d)
		ok = d.ID != ""
	case keySubscription:
		err = json.Unmarshal(value, new(subscriptions))
	case keySweep:
		err = json.Unmarshal(value, &s)
		ok = len(s.ClientState) == clientStateLen
	case keyLifecycle:
		err = json.Unmarshal(value, new(lifecycle))
	}
	if err != nil || !ok || string(value) == "null" {
		return fmt.Errorf("state %s can't be read; it is made anew", key)
	}
	return nil
}
