package tap

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
)

// A station whose page is not loaded any more is silent, also after a restart, until its page comes back or
// a reader without a page takes its place. From the silence of a reader without a station nothing follows.
func TestSilentStation(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		kv := bustest.Open(t).State()
		r := NewReaders(kv, []string{"west", "east"}, zap.NewNop())
		want := func(when, silent string) {
			t.Helper()
			switch err := r.Check(t.Context()); {
			case silent == "" && err != nil, silent != "" && (err == nil || !strings.Contains(err.Error(), silent)):
				t.Errorf("%s: %v, want %q", when, err, silent)
			}
		}
		r.Asked(t.Context(), "west")
		r.PageLoaded(t.Context(), "of-nobody")
		time.Sleep(time.Hour)
		want("a reader that shows badges", "")
		for range 30 {
			r.PageLoaded(t.Context(), "west")
			r.Asked(t.Context(), "east")
			time.Sleep(2 * time.Minute)
		}
		want("while it loads its page", "")
		all, err := r.All(t.Context())
		if err != nil || len(all) != 2 || time.Since(all["west"].At) > notedEvery+2*time.Minute {
			t.Errorf("%v, %v", all, err)
		}
		time.Sleep(20 * time.Minute)
		want("a screen that is off", "1 station: west since 20")
		r = NewReaders(kv, []string{"west", "east"}, zap.NewNop())
		want("right after a start", "")
		time.Sleep(20 * time.Minute)
		want("some time after a start", "1 station: west since 20")
		r.PageLoaded(t.Context(), "west")
		want("a screen that is on again", "")
		time.Sleep(20 * time.Minute)
		r.Asked(t.Context(), "west")
		want("a reader without a page in its place", "")
		time.Sleep(time.Hour)
		want("that reader while nobody prints", "")
	})
}

// A page is loaded two hundred times an hour at the most; it is stored twelve times.
func TestHeardIsStoredSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := &failingKV{}
		r := NewReaders(kv, []string{"west"}, zap.NewNop())
		for range 200 {
			r.PageLoaded(t.Context(), "west")
			time.Sleep(time.Hour / 200)
		}
		if kv.asked < 11 || kv.asked > 12 {
			t.Errorf("the store was asked %d times", kv.asked)
		}
		if err := r.Check(t.Context()); err == nil {
			t.Error("nothing is wrong although the store tells nothing")
		}
	})
}

// failingKV fails, and counts how often it was asked.
type failingKV struct {
	heardKV
	asked int
}

var errNoStore = errors.New("the store is away")

func (k *failingKV) Get(context.Context, string) ([]byte, uint64, error) {
	k.asked++
	return nil, 0, errNoStore
}

func (k *failingKV) Each(context.Context, string, func(string, []byte, uint64) error) error {
	return errNoStore
}
