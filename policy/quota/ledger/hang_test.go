package ledger_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/policy/quota/quotatest"
)

// hanging is a store that does not answer until it is let, whatever the context says.
type hanging struct {
	ledger.KV
	let chan struct{}
}

func (h hanging) CompareAndSet(
	ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration,
) (uint64, bool, error) {
	<-h.let
	return h.KV.CompareAndSet(ctx, key, value, revision, ttl)
}

// While the store hangs, one who waits for another's change of the same account waits as long
// as their own context lasts.
func TestWaitingForAnAccountEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &quotatest.Memory{}
		h := hanging{m, make(chan struct{})}
		l := ledger.New(h, &quotatest.History{}, rand.Text)
		a := quota.Account{Kind: quota.User, Name: "11111111-2222-4333-8444-555555555555"}
		first := make(chan error, 1)
		go func() {
			first <- l.Adjust(context.Background(), a, quota.Unit, quota.Note{By: "admin", At: time.Now()})
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		second := make(chan error, 1)
		go func() { second <- l.Adjust(ctx, a, quota.Unit, quota.Note{By: "admin", At: time.Now()}) }()
		time.Sleep(2 * time.Second) // virtual
		select {
		case err := <-second:
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ledger.ErrBusy) {
				t.Error(err)
			}
		default:
			t.Error("waits beyond its context")
		}
		close(h.let)
		if err := <-first; err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}
