package integrity

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/store"
)

const ada = "11111111-2222-4333-8444-555555555555"

// shelf is a bucket in memory that can fail.
type shelf struct {
	mu     sync.Mutex
	values map[string]string
	fails  error
	reads  int
}

func (s *shelf) Each(_ context.Context, _ string, fn func(key string, value []byte, revision uint64) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.fails != nil {
		return s.fails
	}
	for _, key := range slices.Sorted(maps.Keys(s.values)) {
		if err := fn(key, []byte(s.values[key]), 1); err != nil {
			return err
		}
	}
	return nil
}

func (s *shelf) put(key, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[key] = value
}

// checking is a Checker that runs, over accounts and two empty buckets.
func checking(t *testing.T, accounts *shelf) (c *Checker, reg *prometheus.Registry, logs *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	reg = prometheus.NewRegistry()
	c = New(accounts, &shelf{}, &shelf{}, reg, zap.New(core))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	if err := c.Ready(); err == nil {
		t.Error("ready before anything was read")
	}
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	synctest.Wait()
	return c, reg, logs
}

// What can't be read is named, logged and counted until it is repaired; a check every five minutes is
// one a minute meanwhile.
func TestDamageIsNamedUntilRepaired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accounts := &shelf{values: map[string]string{ada: `{"seq":1}`}}
		c, reg, logs := checking(t, accounts)
		if err := c.Ready(); err != nil || accounts.reads != 1 {
			t.Fatalf("%v after %d reads", err, accounts.reads)
		}
		accounts.put("group.staff", `["secret"`)
		time.Sleep(integrityEvery - 1)
		synctest.Wait()
		if err := c.Ready(); err != nil {
			t.Errorf("before the next check: %v", err)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		err := c.Ready()
		if err == nil || !strings.Contains(err.Error(), "group.staff") || !strings.Contains(err.Error(), "accept-loss") ||
			strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), ada) {
			t.Errorf("%v", err)
		}
		time.Sleep(3 * integrityAgain)
		synctest.Wait()
		if n := logs.FilterMessage("stored records can't be read").Len(); n != 1 || accounts.reads != 5 {
			t.Errorf("%d reads, told %d times", accounts.reads, n)
		}
		if n := testutil.ToFloat64(store.DamagedRecords(reg).WithLabelValues(store.RecordAccount)); n != 4 {
			t.Errorf("counted %v", n)
		}
		accounts.put("group.staff", `{"seq":1}`)
		time.Sleep(integrityAgain)
		synctest.Wait()
		if err := c.Ready(); err != nil || logs.FilterMessage("accounts, badges and state can all be read again").Len() != 1 {
			t.Errorf("after the repair: %v", err)
		}
	})
}

// A bucket that can't be asked tells nothing: what was found before stays, and it is asked again soon.
func TestBucketOutOfReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accounts := &shelf{fails: errors.New("no quorum")}
		c, _, _ := checking(t, accounts)
		if c.Ready() == nil {
			t.Error("ready without having read anything")
		}
		accounts.mu.Lock()
		accounts.fails, accounts.values = nil, map[string]string{ada: `{`}
		accounts.mu.Unlock()
		time.Sleep(integrityAgain)
		synctest.Wait()
		found := c.Ready()
		accounts.mu.Lock()
		accounts.fails = errors.New("no quorum")
		accounts.mu.Unlock()
		time.Sleep(integrityAgain)
		synctest.Wait()
		if again := c.Ready(); found == nil || !errors.Is(again, found) {
			t.Errorf("%v, and then %v", found, again)
		}
	})
}

// However many are damaged, the message names a few of them.
func TestDamageIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accounts := &shelf{values: map[string]string{}}
		for i := range 10_000 {
			accounts.values[fmt.Sprintf("group.g%d", i)] = "x"
		}
		c, _, _ := checking(t, accounts)
		err := c.Ready()
		if err == nil || !strings.Contains(err.Error(), "10000 records") || strings.Count(err.Error(), "group.") > store.MaxNamed {
			t.Errorf("%.200v", err)
		}
	})
}

// Records of words, which are nobody's, are counted by kind, and the words not told.
func TestOwnersThatAreNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accounts := &shelf{values: map[string]string{"anna": `{"seq":1}`, ada: `{"seq":1}`, "group.staff": `{"seq":1}`}}
		c, _, logs := checking(t, accounts)
		err := c.Owners()
		if err == nil || !strings.Contains(err.Error(), "accounts: 1,") || strings.Contains(err.Error(), "anna") {
			t.Errorf("%v", err)
		}
		time.Sleep(3 * integrityEvery)
		if n := logs.FilterMessage("records are of no person").Len(); n != 1 {
			t.Errorf("told %d times", n)
		}
		if c.Ready() != nil {
			t.Error("not ready for it")
		}
	})
}
