package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/arrival"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/decision"
	"pullprint/policy/badge"
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
	client := apiclient.New(srv.URL, testTokens["read"])

	s.body = func(i int) []byte {
		body, _ := json.Marshal(decision.Decision{ID: fmt.Sprint(i)}) // it can be encoded
		return body
	}
	var got []string
	if err := client.Decisions(t.Context(), began, func(d *decision.Decision) { got = append(got, d.ID) }); err != nil {
		t.Fatal(err)
	}
	s.body = func(i int) []byte {
		body, _ := json.Marshal(arrival.DeadLetter{Task: fmt.Sprint(i)}) // it can be encoded
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

// A list of badges comes in pages that begin where the one before ended, and tells each
// badge, also one that is changed meanwhile.
func TestBadgesInPages(t *testing.T) {
	ctx := t.Context()
	keys, err := badge.ParseKeys([]byte(strings.Repeat("a1", 32)))
	if err != nil {
		t.Fatal(err)
	}
	registry := badge.NewRegistry(bustest.Open(t).Badges(), keys, nil)
	const n = 1100 // more than the store answers at once, and than two pages
	owner := func(i int) string { return fmt.Sprintf("%08d-2222-4333-8444-555555555555", i%2) }
	file := "badge;owner\n"
	for i := range n {
		file += fmt.Sprintf("%d;%s\n", 4000+i, owner(i))
	}
	if _, err := registry.Import(ctx, strings.NewReader(file), badge.Enrolment{By: "test", Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	a := NewAPI(Deps{Logger: zap.NewNop(), Tokens: newTokens(t), Badges: registry})
	var asked []string
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		if asked = append(asked, req.URL.RawQuery); len(asked) == 2 {
			e := badge.Enrolment{Owner: owner(0), By: "test", Now: time.Now(), Expires: time.Now().Add(time.Hour)}
			if _, err := registry.Enrol(ctx, "4000", e); err != nil {
				t.Error(err)
			}
		}
		a.ServeHTTP(rw, req)
	}))
	defer srv.Close()
	client := apiclient.New(srv.URL, testTokens["read"])
	for who, want := range map[string]int{"": n, owner(1): n / 2} {
		asked = nil
		list, err := client.Badges(ctx, who)
		if err != nil || len(list) != want {
			t.Fatalf("%d badges of %d, %v", len(list), want, err)
		}
		if !slices.IsSortedFunc(list, func(x, y badge.Badge) int { return y.Enrolled.Compare(x.Enrolled) }) {
			t.Error("not the newest first")
		}
		if pages := (want + apiclient.MaxPage - 1) / apiclient.MaxPage; len(asked) != pages {
			t.Errorf("%d requests for %d pages: %q", len(asked), pages, asked)
		}
	}
	get := func(path string) (status int, list apiclient.BadgeList) {
		req := httptest.NewRequest(http.MethodGet, path, nil)
		req.Header.Set("Authorization", "Bearer "+testTokens["read"])
		rec := httptest.NewRecorder()
		a.ServeHTTP(rec, req)
		if err := json.Unmarshal(rec.Body.Bytes(), &list); err != nil {
			t.Error(err)
		}
		return rec.Code, list
	}
	// As clients of an earlier version ask.
	if status, all := get("/v1/badges"); status != http.StatusOK || len(all.Badges) != n || all.Next != "" {
		t.Errorf("%d: %d badges, next %q", status, len(all.Badges), all.Next)
	}
	if status, _ := get("/v1/badges?cursor=first"); status != http.StatusBadRequest {
		t.Errorf("a cursor of no page: %d", status)
	}
}

// repeatingStore is a store that has each badge n times.
type repeatingStore struct {
	badge.KV
	n int
}

func (c repeatingStore) Each(ctx context.Context, filter string, fn func(string, []byte, uint64) error) error {
	return c.KV.Each(ctx, filter, func(key string, value []byte, revision uint64) error {
		for range c.n {
			if err := fn(key, value, revision); err != nil {
				return err
			}
		}
		return nil
	})
}

// Whoever asks for no page of more badges than are held in memory is told to.
func TestBadgesWithoutPage(t *testing.T) {
	ctx := t.Context()
	keys, err := badge.ParseKeys([]byte(strings.Repeat("a1", 32)))
	if err != nil {
		t.Fatal(err)
	}
	kv := bustest.Open(t).Badges()
	file := "badge;owner\n4000;00000001-2222-4333-8444-555555555555\n"
	if _, err := badge.NewRegistry(kv, keys, nil).Import(ctx, strings.NewReader(file),
		badge.Enrolment{By: "test", Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]int{maxWholeList: http.StatusOK, maxWholeList + 1: http.StatusBadRequest} {
		a := NewAPI(Deps{Logger: zap.NewNop(), Tokens: newTokens(t), Badges: badge.NewRegistry(repeatingStore{kv, n}, keys, nil)})
		req := httptest.NewRequest(http.MethodGet, "/v1/badges", nil)
		req.Header.Set("Authorization", "Bearer "+testTokens["read"])
		rec := httptest.NewRecorder()
		a.ServeHTTP(rec, req)
		if rec.Code != want || want != http.StatusOK && !strings.Contains(rec.Body.String(), "with limit and cursor") {
			t.Errorf("%d badges: %d %.300s", n, rec.Code, rec.Body)
		}
	}
}
