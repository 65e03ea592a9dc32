package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/access"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/printer"
	"pullprint/connector/store"
	"pullprint/connector/tap"
	"pullprint/policy/badge"
)

// stuckAPI is an API whose routes answer once release is closed.
func stuckAPI(t *testing.T) (a *API, release chan struct{}) {
	t.Helper()
	release = make(chan struct{})
	a = NewAPI(Deps{Logger: zap.NewNop(), Tokens: newTokens(t)})
	list := routes()
	for i := range list {
		list[i].do = func(*API, *request) (any, error) { <-release; return struct{}{}, nil }
	}
	a.mount(list)
	return a, release
}

// get asks a route with a token and returns its answer.
func get(a *API, path, who string) *httptest.ResponseRecorder {
	method := http.MethodGet
	if path == "/v1/taps" {
		method = http.MethodPost
	}
	req := httptest.NewRequest(method, path, strings.NewReader("{}"))
	req.Header.Set("Authorization", "Bearer "+testTokens[who])
	rec := httptest.NewRecorder()
	a.ServeHTTP(rec, req)
	return rec
}

// One token can't use up all slots, a reader's even less; all of them together can't take more
// than there are. Whoever is refused is told when to try again, and what ends makes room.
func TestRequestsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, release := stuckAPI(t)
		for range readerRequests {
			go get(a, "/v1/taps", "west")
		}
		for range tokenRequests {
			go get(a, "/v1/jobs", "read")
		}
		synctest.Wait()
		refused := func(path, who string, status int, kind string) {
			t.Helper()
			rec := get(a, path, who)
			var p apiclient.Problem
			if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil || rec.Code != status ||
				rec.Header().Get("Retry-After") != "1" || !strings.HasSuffix(p.Type, ":"+kind) {
				t.Errorf("%s by %s: %d %v %s", path, who, rec.Code, rec.Header(), rec.Body)
			}
		}
		refused("/v1/taps", "west", http.StatusTooManyRequests, "too-many-at-once")
		refused("/v1/jobs", "read", http.StatusTooManyRequests, "too-many-at-once")
		left := maxRequests - readerRequests - tokenRequests
		for range left {
			go get(a, "/v1/jobs", "admin")
		}
		synctest.Wait()
		refused("/v1/taps", "east", http.StatusServiceUnavailable, "busy")
		close(release)
		synctest.Wait()
		for _, who := range []string{"west", "read", "east"} {
			path := map[bool]string{true: "/v1/jobs", false: "/v1/taps"}[who == "read"]
			if rec := get(a, path, who); rec.Code != http.StatusOK {
				t.Errorf("%s after all have ended: %d", who, rec.Code)
			}
		}
	})
}

// Imports of more files than fit the memory are not read at once: whoever sends one more is told
// to wait, and others are answered meanwhile.
func TestImportsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAPI(Deps{Logger: zap.NewNop(), Tokens: newTokens(t), Badges: badge.NewRegistry(nil, badge.Keys{}, nil)})
		send := func(body io.Reader) *httptest.ResponseRecorder {
			req := httptest.NewRequest(http.MethodPost, "/v1/badges/import", body)
			req.Header.Set("Authorization", "Bearer "+testTokens["operate"])
			rec := httptest.NewRecorder()
			a.ServeHTTP(rec, req)
			return rec
		}
		var files []*io.PipeWriter
		for range maxImports {
			r, w := io.Pipe()
			files = append(files, w)
			go send(r)
		}
		synctest.Wait()
		rec := send(strings.NewReader("badge;owner\n"))
		if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") != "1" {
			t.Errorf("one more: %d %s", rec.Code, rec.Body)
		}
		if rec := get(a, "/v1/devices", "operate"); rec.Code != http.StatusOK {
			t.Errorf("another request: %d", rec.Code)
		}
		for _, w := range files {
			_ = w.CloseWithError(io.ErrUnexpectedEOF) // a pipe that can be closed
		}
		synctest.Wait()
		if rec := send(strings.NewReader("badge\n")); rec.Code != http.StatusUnprocessableEntity {
			t.Errorf("after the others: %d %s", rec.Code, rec.Body)
		}
	})
}

// No body is larger than its route takes; the largest is read.
func TestBodyLimits(t *testing.T) {
	for _, r := range routes() {
		if r.limit == 0 || r.limit > maxBody { // an import is read as it is carried out
			continue
		}
		for more, want := range map[int]int{0: http.StatusOK, 1: http.StatusRequestEntityTooLarge} {
			a := NewAPI(Deps{Logger: zap.NewNop(), Tokens: newTokens(t)})
			reached := false
			r.do = func(*API, *request) (any, error) { reached = true; return struct{}{}, nil }
			a.mount([]route{r})
			path := strings.NewReplacer("{printer}", "p", "{job}", "j", "{account}", "a", "{user}", "u").Replace(r.path)
			req := httptest.NewRequest(r.method, path, strings.NewReader(strings.Repeat(" ", int(r.limit)+more)))
			req.Header.Set("Authorization", "Bearer "+testTokens["admin"])
			rec := httptest.NewRecorder()
			a.ServeHTTP(rec, req)
			if rec.Code != want || reached != (want == http.StatusOK) {
				t.Errorf("%s %s with %d bytes more: %d, reached %t", r.method, r.path, more, rec.Code, reached)
			}
		}
	}
}

// Two headers Authorization are two callers: neither is believed.
func TestTwoAuthorizations(t *testing.T) {
	a := NewAPI(Deps{Logger: zap.NewNop(), Tokens: newTokens(t)})
	req := httptest.NewRequest(http.MethodGet, "/v1/devices", nil)
	req.Header["Authorization"] = []string{"Bearer " + testTokens["read"], "Bearer " + testTokens["admin"]}
	rec := httptest.NewRecorder()
	a.ServeHTTP(rec, req)
	if rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), "given twice") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// brokenVisits can't end a visit.
type brokenVisits struct{}

func (brokenVisits) End(context.Context, string) error { return errors.New("store visit: PLANTED") }

// The log says why a tap failed, by HTTP and by NATS, as the answer promises.
func TestFailedTapIsLogged(t *testing.T) {
	core, logs := observer.New(zapcore.WarnLevel)
	a := NewAPI(Deps{
		Logger: zap.New(core), Tokens: newTokens(t), Taps: &tap.Taps{}, Visits: brokenVisits{},
		Devices: []printer.Device{{ID: "west"}},
	})
	byNATS := a.AnswerTap(t.Context(), store.TapRequest{
		Device: "west", Authorization: "Bearer " + testTokens["west"], Body: []byte(`{"badge":"04A21BC399"}`),
	})
	req := httptest.NewRequest(http.MethodPost, "/v1/taps", strings.NewReader(`{"badge":"04A21BC399"}`))
	req.Header.Set("Authorization", "Bearer "+testTokens["west"])
	req.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	a.ServeHTTP(rec, req)
	for way, answer := range map[string]struct {
		status int
		body   string
	}{"tap over NATS failed": {byNATS.Status, string(byNATS.Body)}, "request failed": {rec.Code, rec.Body.String()}} {
		if answer.status != http.StatusServiceUnavailable || strings.Contains(answer.body, "PLANTED") {
			t.Errorf("%s: %d %s", way, answer.status, answer.body)
		}
		found := logs.FilterMessage(way).All()
		if len(found) != 1 || !strings.Contains(fmt.Sprint(found[0].ContextMap()["error"]), "PLANTED") {
			t.Errorf("%s: the log has %v", way, found)
		}
	}
	for _, l := range logs.All() {
		if strings.Contains(l.Message, "04A21BC399") {
			t.Error("the log has a card number")
		}
	}
}

// What a configuration names as tokens, and whom they let in.
func TestTokenSources(t *testing.T) {
	c := Config{TokenFile: "a", Tokens: []Token{{"helpdesk", access.RoleOperate, "b"}, {"none", access.RoleRead, ""}}}
	got := c.TokenSources([]printer.Device{{ID: "west", TokenFile: "c"}, {ID: "east"}})
	want := []access.Source{
		{File: "a", Caller: access.Caller{Name: "admin", Role: access.RoleAdmin}},
		{File: "b", Caller: access.Caller{Name: "helpdesk", Role: access.RoleOperate}},
		{File: "c", Caller: access.Caller{Name: "west", Device: "west"}},
	}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
}
