package access

import (
	"context"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// keeper is a store that removes nothing when its time is over.
type keeper struct {
	values map[string][]byte
	taken  bool // every key is another's
}

func (k *keeper) Get(_ context.Context, key string) ([]byte, uint64, error) {
	value, ok := k.values[key]
	if !ok {
		return nil, 0, nil
	}
	return value, 1, nil
}

func (k *keeper) CompareAndSet(_ context.Context, key string, value []byte, _ uint64, _ time.Duration) (uint64, bool, error) {
	if k.taken {
		return 0, false, nil
	}
	k.values[key] = value
	return 1, true, nil
}

func (k *keeper) Delete(_ context.Context, key string, _ uint64) (bool, error) {
	delete(k.values, key)
	return true, nil
}

// A session ends with its life, also where the store still has it: a server whose clock is late.
func TestSessionEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSessions(&keeper{values: map[string][]byte{}}, newTokens(t))
		c := signIn(t, s, AdminName, "/", time.Hour)
		time.Sleep(time.Hour - time.Second)
		if !knows(t, s, c) {
			t.Error("it ends before its time")
		}
		time.Sleep(time.Second)
		if knows(t, s, c) {
			t.Error("it goes on after its end")
		}
	})
}

// No cookie is given for a session that was not stored.
func TestSessionKeyTaken(t *testing.T) {
	s := NewSessions(&keeper{taken: true}, newTokens(t))
	rec := httptest.NewRecorder()
	if err := s.SignIn(rec, with(), Caller{Name: AdminName, Role: RoleAdmin}, "/", time.Hour); err == nil ||
		len(rec.Result().Cookies()) > 0 {
		t.Errorf("%v, %v", err, rec.Result().Cookies())
	}
}
