package trigger

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// A LifecycleEvent is a lifecycle notification that VerifyLifecycle accepted.
type LifecycleEvent struct{ subscription, event string }

// VerifyLifecycle is Verify for a lifecycle notification.
func (v *Verifier) VerifyLifecycle(l Lifecycle) (LifecycleEvent, error) {
	if !v.isReady() {
		return LifecycleEvent{}, ErrNotReady
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	if err := v.subs.match(l.subscription, l.clientState, time.Now()); err != nil {
		return LifecycleEvent{}, err
	}
	if l.tenant != "" && !strings.EqualFold(l.tenant, v.tenant) {
		return LifecycleEvent{}, ErrForeign
	}
	return LifecycleEvent{l.subscription, l.event}, nil
}

// StoreLifecycle puts a lifecycle event into State, where the replica that keeps the
// subscription finds it. After an error it is not stored and should be sent again.
func (v *Verifier) StoreLifecycle(ctx context.Context, ev LifecycleEvent) error {
	value, err := json.Marshal(lifecycle{Subscription: ev.subscription, Event: ev.event, At: time.Now()})
	if err != nil {
		return err
	}
	for range maxConflicts {
		_, rev, err := v.state.Get(ctx, keyLifecycle)
		if err != nil {
			return fmt.Errorf("read state %s: %w", keyLifecycle, err)
		}
		rev, ok, err := v.state.CompareAndSet(ctx, keyLifecycle, value, rev, 0)
		if err != nil {
			return fmt.Errorf("store lifecycle event: %w", err)
		}
		if ok {
			v.apply(keyLifecycle, value, rev)
			return nil
		}
	}
	return fmt.Errorf("store lifecycle event: %w", errConflicts)
}

// lastLifecycle returns the newest event that this replica has read from State.
func (v *Verifier) lastLifecycle() lifecycle {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.lifecycle
}
