package trigger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"pullprint/trigger/graph"
)

// store writes subs to State, as put does.
func (k *keeper) store(ctx context.Context) error {
	return k.put(ctx, keySubscription, "subscription", &k.subs, &k.rev)
}

// put writes a value of State. The error is errStale if another replica has written since it was
// read at a revision.
func (k *keeper) put(ctx context.Context, key, what string, v any, rev *uint64) error {
	value, err := json.Marshal(v)
	if err != nil {
		return err
	}
	now, ok, err := k.o.State.CompareAndSet(ctx, key, value, *rev, 0)
	switch {
	case err != nil:
		return fmt.Errorf("store %s: %w", what, err)
	case !ok:
		return errStale
	}
	*rev = now
	k.o.Verifier.apply(key, value, now)
	return nil
}

// recoverPending finishes what an earlier run began: a subscription that Graph created and
// State doesn't have, and a pending entry whose outcome is unknown.
func (k *keeper) recoverPending(ctx context.Context) error {
	if err := k.storeCreated(ctx); err != nil {
		return err
	}
	if p := k.subs.Pending; p != nil && p.ClientState != k.unused {
		// A process died, or lost the answer, after it asked Graph to create this one. It may
		// exist, so its clientState stays valid. Its id is not known, so another one is created,
		// and this one is found among the orphans.
		k.subs.retirePending(time.Now())
		k.orphans = true
		return k.store(ctx)
	}
	return nil
}

// storeCreated stores the subscription that Graph created for us. If another replica has taken
// over in the meantime, it is deleted instead: one that is not in State must not live on.
func (k *keeper) storeCreated(ctx context.Context) error {
	b, p := k.created, k.subs.Pending
	switch {
	case b == nil:
		return nil
	case k.subs.Current != nil && strings.EqualFold(k.subs.Current.ID, b.ID): // it was stored, only the answer was lost
	case p != nil && p.ClientState == b.ClientState:
		k.subs.retireCurrent(time.Now())
		k.subs.Current, k.subs.Pending = b, nil
		if err := k.store(ctx); err != nil {
			return err
		}
	default:
		if err := k.drop(ctx, b.ID); err != nil {
			return err
		}
		k.created = nil
		return nil
	}
	k.created = nil
	k.nextPoll = afterPoll()
	k.log.Info("created subscription", zap.String("subscription", b.ID), zap.Time("expires", b.Expires))
	k.o.OnResubscribed()
	return nil
}

// answer acts on the last lifecycle event, whichever replica received it.
func (k *keeper) answer(ctx context.Context) error {
	ev := k.o.Verifier.lastLifecycle()
	if ev.At.IsZero() || ev.At.Equal(k.subs.Served) {
		return nil
	}
	if c := k.subs.Current; c != nil && strings.EqualFold(c.ID, ev.Subscription) {
		switch strings.ToLower(ev.Event) {
		case "reauthorizationrequired":
			err := k.o.Graph.ReauthorizeSubscription(ctx, c.ID)
			if graph.IsNotFound(err) {
				return k.gone(ctx)
			}
			if err != nil {
				return fmt.Errorf("reauthorize subscription: %w", err)
			}
			k.log.Info("reauthorized subscription", zap.String("subscription", c.ID))
		case "missed": // documented, but not for print
			k.o.OnResubscribed()
		default: // subscriptionRemoved, documented but not for print, or a new event
			k.nextPoll = time.Time{}
		}
	}
	k.subs.Served = ev.At
	return k.store(ctx)
}

// poll asks Graph whether the subscription exists and still is as we created it.
func (k *keeper) poll(ctx context.Context) error {
	c := k.subs.Current
	switch {
	case c == nil:
		return nil
	case c.Resource != k.resource(), c.URL != k.notifyURL:
		k.log.Info("subscription is for another definition or public url", zap.String("subscription", c.ID))
		return k.gone(ctx)
	case time.Now().Before(k.nextPoll):
		return nil
	}
	s, err := k.o.Graph.Subscription(ctx, c.ID)
	switch {
	case graph.IsNotFound(err):
		return k.gone(ctx)
	case err != nil:
		return fmt.Errorf("read subscription: %w", err)
	case !c.is(s.Resource, s.NotificationURL):
		k.log.Warn("subscription was changed by somebody", zap.String("subscription", c.ID))
		return k.gone(ctx)
	}
	k.nextPoll = afterPoll()
	if expires := k.local(s.Expires); differ(expires, c.Expires) {
		c.Expires = expires
		if now := time.Now(); c.Renewed.After(now) {
			c.Renewed = now // the clock was set back
		}
		return k.store(ctx)
	}
	return nil
}

// maxClockNoise is how much the same expiry may vary from one answer to the next when it is
// converted between clocks: Graph tells its time in whole seconds.
const maxClockNoise = 3 * time.Second

// differ reports whether Graph told another expiry than we know.
func differ(told, known time.Time) bool {
	return !told.IsZero() && told.Sub(known).Abs() > maxClockNoise
}

// gone ends the record of the current subscription, so that create creates another.
func (k *keeper) gone(ctx context.Context) error {
	k.log.Warn("subscription is gone", zap.String("subscription", k.subs.Current.ID))
	k.subs.retireCurrent(time.Now())
	k.orphans = true
	return k.store(ctx)
}

// renew asks for a whole life again when half of it has passed.
func (k *keeper) renew(ctx context.Context) error {
	c := k.subs.Current
	if c == nil || time.Now().Before(c.renewAt()) {
		return nil
	}
	now := time.Now()
	s, err := k.o.Graph.RenewSubscription(ctx, c.ID, k.o.Graph.Now().Add(life))
	if graph.IsNotFound(err) {
		return k.gone(ctx)
	}
	if err != nil {
		return fmt.Errorf("renew subscription: %w", err)
	}
	c.Renewed, c.Expires = now, now.Add(life)
	if !s.Expires.IsZero() {
		c.Expires = k.local(s.Expires)
	}
	k.log.Info("renewed subscription", zap.String("subscription", c.ID), zap.Time("expires", c.Expires))
	return k.store(ctx)
}

// create creates a subscription if there is none. Its clientState is stored before Graph is
// asked, since Graph may notify before it answers, and its id right after the answer.
func (k *keeper) create(ctx context.Context) error {
	if k.subs.Current != nil {
		return nil
	}
	now := time.Now()
	p := k.subs.Pending
	if p == nil || p.Resource != k.resource() || p.URL != k.notifyURL {
		k.subs.retirePending(now)
		p = &subscription{ClientState: newClientState(), Resource: k.resource(), URL: k.notifyURL}
	}
	p.Renewed, p.Expires = now, now.Add(life)
	k.subs.Pending, k.unused = p, ""
	if err := k.store(ctx); err != nil {
		return err
	}
	ask := graph.NewSubscription{
		Resource: p.Resource, NotificationURL: k.notifyURL, LifecycleNotificationURL: k.lifecycleURL,
		ClientState: p.ClientState, Expires: k.o.Graph.Now().Add(life),
	}
	s, err := k.o.Graph.CreateSubscription(ctx, ask)
	if taken(err) {
		if err := k.deleteConflicting(ctx); err != nil {
			k.unused = p.ClientState
			return err
		}
		s, err = k.o.Graph.CreateSubscription(ctx, ask)
	}
	if err != nil {
		return k.refused(p, err)
	}
	created := *p
	created.ID, created.ToldResource, created.ToldURL = s.ID, s.Resource, s.NotificationURL
	if !s.Expires.IsZero() {
		created.Expires = k.local(s.Expires)
	}
	k.created = &created
	// A stop or a lost lease must not interrupt this: the next start would have to find it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	err = k.storeCreated(ctx)
	for errors.Is(err, errStale) {
		if err = k.readState(ctx); err == nil {
			err = k.storeCreated(ctx)
		}
	}
	return err
}

// taken reports whether Graph refused because our app has a subscription to the same resource:
// it allows one, whatever its URL.
func taken(err error) bool {
	var ge *graph.Error
	return errors.As(err, &ge) && ge.Status == http.StatusConflict
}

// deleteConflicting deletes the subscription to the same tasks because of which Graph refuses a
// new one: its clientState is not known any more, or it posts to another URL. The sweep finds
// the tasks that start in the meantime. State is read after the list, so that one that another
// replica has just created is not deleted.
func (k *keeper) deleteConflicting(ctx context.Context) error {
	all, err := k.listSubscriptions(ctx)
	if err != nil {
		return err
	}
	if k.subs.Current != nil || k.subs.Pending == nil {
		return errStale
	}
	for _, s := range all {
		if !strings.EqualFold(strings.Trim(s.Resource, "/"), k.resource()) {
			continue
		}
		if err := k.drop(ctx, s.ID); err != nil {
			return err
		}
		k.log.Warn("deleted conflicting subscription", zap.String("subscription", s.ID))
	}
	return nil
}

// listSubscriptions lists those of our app, and then reads State.
func (k *keeper) listSubscriptions(ctx context.Context) ([]graph.Subscription, error) {
	all, err := k.o.Graph.Subscriptions(ctx)
	if err != nil {
		return nil, fmt.Errorf("list subscriptions: %w", err)
	}
	return all, k.readState(ctx)
}

// refused records what a failed creation means for the pending entry.
func (k *keeper) refused(p *subscription, err error) error {
	k.checked = false // the definition may be gone
	var ge *graph.Error
	if !errors.As(err, &ge) || ge.Ambiguous() {
		k.orphans = true
		return fmt.Errorf("create subscription: %w", err)
	}
	k.unused = p.ClientState
	if ahead := k.ahead(); ge.Status == http.StatusBadRequest && ahead.Abs() > clockMargin {
		return fmt.Errorf("create subscription (this machine's clock is %s ahead of Graph's: synchronize it with NTP): %w",
			ahead.Round(time.Second), err)
	}
	if ge.Status == http.StatusBadRequest {
		return fmt.Errorf("create subscription (can Graph reach %s and %s within 10 s?): %w", k.notifyURL, k.lifecycleURL,
			err)
	}
	return fmt.Errorf("create subscription: %w", err)
}

// deleteOrphans deletes subscriptions that post to us or that we had, other than the current
// one. State is read after the list: one that another replica has just created is in State by
// then, or there is no current one and nothing is deleted.
func (k *keeper) deleteOrphans(ctx context.Context) error {
	if !k.orphans {
		return nil
	}
	all, err := k.listSubscriptions(ctx)
	if err != nil {
		return err
	}
	if k.subs.Current == nil {
		return errStale
	}
	for _, s := range all {
		if strings.EqualFold(s.ID, k.subs.Current.ID) || !(k.subs.Current.is(s.Resource, s.NotificationURL) ||
			k.subs.ours(s.ID)) {
			continue
		}
		if err := k.drop(ctx, s.ID); err != nil {
			return err
		}
		k.log.Info("deleted orphaned subscription", zap.String("subscription", s.ID))
	}
	k.orphans = false
	return nil
}

// drop deletes a subscription; it is no error if it is gone already.
func (k *keeper) drop(ctx context.Context, id string) error {
	if err := k.o.Graph.DeleteSubscription(ctx, id); err != nil && !graph.IsNotFound(err) {
		return fmt.Errorf("delete subscription: %w", err)
	}
	return nil
}
