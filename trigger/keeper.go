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

// store writes what the keeper made of the subscriptions, unless another replica
// wrote in between.
func (k *keeper) store(ctx context.Context) error {
	value, err := json.Marshal(&k.subs)
	if err != nil {
		return err
	}
	rev, ok, err := k.o.State.CompareAndSet(ctx, keySubscription, value, k.rev, 0)
	switch {
	case err != nil:
		return fmt.Errorf("store subscription: %w", err)
	case !ok:
		return errLookAgain
	}
	k.rev = rev
	k.o.Verifier.apply(keySubscription, value, rev)
	return nil
}

// recoverPending finishes what an earlier run began: a subscription that Graph made
// and State doesn't have, and a pending entry of which nobody knows the outcome.
func (k *keeper) recoverPending(ctx context.Context) error {
	if err := k.deliver(ctx); err != nil {
		return err
	}
	if p := k.subs.Pending; p != nil && p.ClientState != k.unused {
		// Crash story: somebody died, or lost its answer, after POST. Graph may
		// have made it, so its clientState stays good; its id is not known, so a
		// new one is made and then this one is found among the orphans.
		k.subs.retirePending(time.Now())
		k.tidy = true
		return k.store(ctx)
	}
	return nil
}

// deliver stores the subscription that Graph made for us. If another replica took
// over meanwhile it is deleted instead: what nobody remembers must not live.
func (k *keeper) deliver(ctx context.Context) error {
	b, p := k.created, k.subs.Pending
	switch {
	case b == nil:
		return nil
	case k.subs.Current != nil && strings.EqualFold(k.subs.Current.ID, b.ID): // stored after all
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
	k.nextPoll = soon()
	k.log.Info("created subscription", zap.String("subscription", b.ID), zap.Time("expires", b.Expires))
	k.o.OnResubscribed()
	return nil
}

// answer acts on the last lifecycle event, whichever replica heard of it.
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
		case "missed": // not sent for print
			k.o.OnResubscribed()
		default: // subscriptionRemoved, not sent for print, or a new word: look
			k.nextPoll = time.Time{}
		}
	}
	k.subs.Served = ev.At
	return k.store(ctx)
}

// poll asks Graph whether the subscription lives and still is what we made.
func (k *keeper) poll(ctx context.Context) error {
	c := k.subs.Current
	switch {
	case c == nil:
		return nil
	case c.Resource != k.resource() || c.URL != k.notifyURL:
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
	k.nextPoll = soon()
	if expires := k.here(s.Expires); differ(expires, c.Expires) {
		c.Expires = expires
		if now := time.Now(); c.Renewed.After(now) {
			c.Renewed = now // the clock was set back
		}
		return k.store(ctx)
	}
	return nil
}

// differ ignores an expiry that Graph doesn't tell, and what clocks that differ make of
// it from one answer to the next.
func differ(told, known time.Time) bool {
	return !told.IsZero() && told.Sub(known).Abs() > 3*time.Second
}

// gone forgets the current subscription, so that create makes another.
func (k *keeper) gone(ctx context.Context) error {
	k.log.Warn("subscription is gone", zap.String("subscription", k.subs.Current.ID))
	k.subs.retireCurrent(time.Now())
	k.tidy = true
	return k.store(ctx)
}

// renew asks for a whole life again when half of it is over.
func (k *keeper) renew(ctx context.Context) error {
	c := k.subs.Current
	if c == nil || time.Now().Before(c.renewAt()) {
		return nil
	}
	now := time.Now()
	s, err := k.o.Graph.RenewSubscription(ctx, c.ID, k.graphTime().Add(life))
	if graph.IsNotFound(err) {
		return k.gone(ctx)
	}
	if err != nil {
		return fmt.Errorf("renew subscription: %w", err)
	}
	c.Renewed, c.Expires = now, now.Add(life)
	if !s.Expires.IsZero() {
		c.Expires = k.here(s.Expires)
	}
	k.log.Info("renewed subscription", zap.String("subscription", c.ID), zap.Time("expires", c.Expires))
	return k.store(ctx)
}

// create makes a subscription if there is none. Its clientState is in State
// before Graph is asked, and its id right after.
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
		ClientState: p.ClientState, Expires: k.graphTime().Add(life),
	}
	s, err := k.o.Graph.CreateSubscription(ctx, ask)
	if taken(err) {
		if way := k.makeWay(ctx); way != nil {
			k.unused = p.ClientState
			return way
		}
		s, err = k.o.Graph.CreateSubscription(ctx, ask)
	}
	if err != nil {
		return k.refused(p, err)
	}
	created := *p
	created.ID, created.ToldResource, created.ToldURL = s.ID, s.Resource, s.NotificationURL
	if !s.Expires.IsZero() {
		created.Expires = k.here(s.Expires)
	}
	k.created = &created
	// A stop now, or a lost lease, must not leave it to the next start.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deliverWithin)
	defer cancel()
	err = k.deliver(ctx)
	for errors.Is(err, errLookAgain) {
		if err = k.look(ctx); err == nil {
			err = k.deliver(ctx)
		}
	}
	return err
}

// taken reports whether Graph has a subscription to the same resource already: an app
// can have one, whatever its URL.
func taken(err error) bool {
	var ge *graph.Error
	return errors.As(err, &ge) && ge.Status == http.StatusConflict
}

// makeWay deletes what stands in the way of a new subscription: one of ours to the
// same tasks, of which nobody knows the clientState any more, or that posts to
// another URL. The sweep finds what comes meanwhile. State is read after the list,
// so that one that another replica just made is left alone.
func (k *keeper) makeWay(ctx context.Context) error {
	all, err := k.o.Graph.Subscriptions(ctx)
	if err != nil {
		return fmt.Errorf("list subscriptions: %w", err)
	}
	if err := k.look(ctx); err != nil {
		return err
	}
	if k.subs.Current != nil || k.subs.Pending == nil {
		return errLookAgain
	}
	for _, s := range all {
		if !strings.EqualFold(strings.Trim(s.Resource, "/"), k.resource()) {
			continue
		}
		if err := k.drop(ctx, s.ID); err != nil {
			return err
		}
		k.log.Warn("deleted a subscription that stood in the way of a new one", zap.String("subscription", s.ID))
	}
	return nil
}

// refused notes what a failed creation means for the pending entry.
func (k *keeper) refused(p *subscription, err error) error {
	k.checked = false // perhaps it is the definition that is gone
	var ge *graph.Error
	if !errors.As(err, &ge) || ge.Ambiguous() {
		k.tidy = true
		return fmt.Errorf("create subscription: %w", err)
	}
	k.unused = p.ClientState
	if ahead := k.ahead(); ge.Status == http.StatusBadRequest && ahead.Abs() > clockMargin {
		return fmt.Errorf("create subscription (this machine's clock is %s ahead of Graph's: have it set by NTP): %w",
			ahead.Round(time.Second), err)
	}
	if ge.Status == http.StatusBadRequest {
		return fmt.Errorf("create subscription (can Graph reach %s and %s within 10 s?): %w", k.notifyURL, k.lifecycleURL,
			err)
	}
	return fmt.Errorf("create subscription: %w", err)
}

// deleteOrphans deletes subscriptions that post to us or that we had, and that are not
// the current one. State is read after the list: one that another replica just
// made is remembered by now, or there is no current one and we don't judge.
func (k *keeper) deleteOrphans(ctx context.Context) error {
	if !k.tidy {
		return nil
	}
	all, err := k.o.Graph.Subscriptions(ctx)
	if err != nil {
		return fmt.Errorf("list subscriptions: %w", err)
	}
	if err := k.look(ctx); err != nil {
		return err
	}
	if k.subs.Current == nil {
		return errLookAgain
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
	k.tidy = false
	return nil
}

// drop deletes a subscription; one that is gone already is fine.
func (k *keeper) drop(ctx context.Context, id string) error {
	if err := k.o.Graph.DeleteSubscription(ctx, id); err != nil && !graph.IsNotFound(err) {
		return fmt.Errorf("delete subscription: %w", err)
	}
	return nil
}
