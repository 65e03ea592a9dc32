package webhook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"pullprint/trigger"
)

// mapState is State in a map.
type mapState struct {
	mu     sync.Mutex
	rev    uint64
	values map[string][]byte
	revs   map[string]uint64
	news   []chan struct{}
	broken bool
	gets   int
}

func newMapState() *mapState {
	return &mapState{values: map[string][]byte{}, revs: map[string]uint64{}}
}

func (s *mapState) Get(_ context.Context, key string) ([]byte, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gets++
	if s.broken {
		return nil, 0, errors.New("state is broken")
	}
	return s.values[key], s.revs[key], nil
}

func (s *mapState) CompareAndSet(_ context.Context, key string, value []byte, rev uint64, _ time.Duration) (uint64, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return 0, false, errors.New("state is broken")
	}
	if s.revs[key] != rev {
		return 0, false, nil
	}
	s.rev++
	s.values[key], s.revs[key] = slices.Clone(value), s.rev
	for _, n := range s.news {
		select {
		case n <- struct{}{}:
		default:
		}
	}
	return s.rev, true, nil
}

func (s *mapState) Watch(ctx context.Context, filter string, fn func(string, []byte, uint64), caughtUp func()) error {
	news := make(chan struct{}, 1)
	s.mu.Lock()
	s.news = append(s.news, news)
	s.mu.Unlock()
	for first := true; ; first = false {
		s.mu.Lock()
		values, revs := maps.Clone(s.values), maps.Clone(s.revs)
		s.mu.Unlock()
		for key, value := range values {
			if ok, _ := path.Match(filter, key); ok {
				fn(key, value, revs[key])
			}
		}
		if first {
			caughtUp()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-news:
		}
	}
}

func (s *mapState) put(t testing.TB, key, value string) {
	t.Helper()
	_, rev, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.CompareAndSet(t.Context(), key, []byte(value), rev, 0); err != nil || !ok {
		t.Fatal("state not written", err)
	}
}

const (
	tenant     = "84bd8158-6d4d-4958-8b9f-9d6445542f95"
	definition = "3203656e-6069-4e10-8147-d25290b00a3c"
	secret     = "0123456789012345678901234567890123456789-_a"
	subID      = "7f105c7d-2dc5-4530-97cd-4e7ae6534c07"
)

func subscribed(id, clientState string) string {
	return fmt.Sprintf(`{"current":{"id":%q,"client_state":%q,"expires":"2100-01-01T00:00:00Z"}}`, id, clientState)
}

// memoryStore remembers what is published; with slow it is as slow as that says,
// and with stuck it doesn't heed its context.
type memoryStore struct {
	mu      sync.Mutex
	bodies  map[string]string
	fail    func(task string) error
	slow    func(ctx context.Context, task string) error
	calls   int
	at, max int
}

func (m *memoryStore) PublishTask(ctx context.Context, def, msgID string, body []byte) (bool, error) {
	m.mu.Lock()
	m.calls++
	m.at++
	m.max = max(m.max, m.at)
	slow, fail := m.slow, m.fail
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.at--
	}()
	if slow != nil {
		if err := slow(ctx, msgID); err != nil {
			return false, err
		}
	}
	if fail != nil {
		if err := fail(msgID); err != nil {
			return false, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key := def + " " + msgID
	_, dup := m.bodies[key]
	if !dup {
		m.bodies[key] = string(body)
	}
	return dup, nil
}

// world is a Handler with what it works with.
type world struct {
	*Handler
	state    *mapState
	verifier *trigger.Verifier
	store    *memoryStore
	reg      *prometheus.Registry
}

func newWorld(t testing.TB, publicURL string) *world {
	w := &world{state: newMapState(), store: &memoryStore{bodies: map[string]string{}}, reg: prometheus.NewRegistry()}
	w.state.put(t, "trigger.definition", `{"id":"`+definition+`"}`)
	w.state.put(t, "trigger.subscription", subscribed(subID, secret))
	w.verifier = trigger.NewVerifier(trigger.VerifierOptions{TenantID: tenant, State: w.state})
	w.Handler = New(Options{PublicURL: publicURL, Store: w.store, Verifier: w.verifier, Registerer: w.reg})
	return w
}

// follow runs the Verifier until stop.
func (w *world) follow(t testing.TB) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.verifier.Run(ctx) }()
	<-w.verifier.Ready()
	return func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

func item(task string, pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(`{"subscriptionId":"` + subID + `","clientState":"` + secret + `","tenantId":"` + tenant +
		`","changeType":"created",` +
		`"resource":"print/taskDefinitions/` + definition + `/tasks/` + task + `","resourceData":{"id":"` + task + `"}}`)
}

func post(items ...string) string { return `{"value":[` + strings.Join(items, ",") + `]}` }

func (w *world) do(method, target, body string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, httptest.NewRequest(method, target, strings.NewReader(body)))
	return rec
}

func (w *world) notify(items ...string) int {
	return w.do(http.MethodPost, "/graph/notifications", post(items...)).Code
}

func (w *world) result(name string) int {
	return int(testutil.ToFloat64(w.results.WithLabelValues(name)))
}
