package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector"
	"pullprint/connector/held"
)

// stream is an audit with records at given times.
type stream struct {
	Audit
	at   []time.Time
	body func(i int) []byte
}

func (s *stream) read(_ context.Context, since time.Time, _ bool, fn func(time.Time, []byte) error) error {
	for i, at := range s.at {
		if !at.Before(since) {
			if err := fn(at, s.body(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *stream) Decisions(ctx context.Context, since time.Time, follow bool, fn func(time.Time, []byte) error) error {
	return s.read(ctx, since, follow, fn)
}

func (s *stream) Dead(ctx context.Context, since time.Time, follow bool, fn func(time.Time, []byte) error) error {
	return s.read(ctx, since, follow, fn)
}

// A list goes on however many records were stored in one moment, and tells each once.
func TestListsOfOneMoment(t *testing.T) {
	began := time.Date(2026, 3, 10, 12, 0, 0, 7, time.UTC)
	s := &stream{}
	for i := range 2600 { // some, then three pages of one moment, then some
		at := began
		if i >= 600 {
			at = began.Add(time.Second)
		}
		if i >= 2300 {
			at = at.Add(time.Duration(i))
		}
		s.at = append(s.at, at)
	}
	a := NewAPI(Deps{Logger: zap.NewNop(), Tokens: newTokens(t), Audit: s})
	srv := httptest.NewServer(a)
	defer srv.Close()
	client := NewClient(srv.URL, testTokens["read"])

	s.body = func(i int) []byte {
		body, _ := json.Marshal(held.Decision{ID: fmt.Sprint(i)}) // it can be encoded
		return body
	}
	var got []string
	if err := client.Decisions(t.Context(), began, func(d *held.Decision) { got = append(got, d.ID) }); err != nil {
		t.Fatal(err)
	}
	s.body = func(i int) []byte {
		body, _ := json.Marshal(connector.DeadLetter{Task: fmt.Sprint(i)}) // it can be encoded
		return body
	}
	dead, err := client.Dead(t.Context(), began.Format(time.RFC3339Nano))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(s.at) || len(dead) != len(s.at) {
		t.Fatalf("%d decisions and %d dead letters of %d", len(got), len(dead), len(s.at))
	}
	for i := range s.at {
		if got[i] != fmt.Sprint(i) || dead[i].Task != fmt.Sprint(i) {
			t.Fatalf("the %dth is %s, and %s", i, got[i], dead[i].Task)
		}
	}
}
