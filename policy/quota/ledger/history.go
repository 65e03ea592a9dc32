package ledger

import (
	"context"
	"encoding/json"
	"fmt"

	"pullprint/policy/quota"
)

// published is an entry of an account that the history has.
type published struct {
	life string
	seq  uint64
}

// msgID is that of an entry of an account.
func msgID(s *quota.State, key string, seq uint64) string {
	if s.Life == "" { // the account is older than lives are
		return fmt.Sprintf("%s:%d", key, seq)
	}
	return fmt.Sprintf("%s:%s:%d", key, s.Life, seq)
}

// flush publishes the entries of an account that are not surely published, and
// takes those that are out of the value in memory.
func (l *Ledger) flush(ctx context.Context, key string, s *quota.State) error {
	l.mu.Lock()
	done := l.published[key]
	l.mu.Unlock()
	if done.life != s.Life {
		done = published{life: s.Life}
	}
	for len(s.Outbox) > 0 {
		e := &s.Outbox[0]
		if e.Seq > done.seq {
			body, err := json.Marshal(e)
			if err == nil {
				err = l.history.PublishLedger(ctx, key, msgID(s, key, e.Seq), body)
			}
			if err != nil {
				return fmt.Errorf("publish ledger entry: %w", err)
			}
			done.seq = e.Seq
		}
		s.Outbox = s.Outbox[1:]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.published) > 100_000 {
		clear(l.published)
	}
	if was := l.published[key]; was.life != done.life || was.seq < done.seq {
		l.published[key] = done
	}
	return nil
}
