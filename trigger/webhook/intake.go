package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/trigger"
)

// posted is a notification as it was posted, and read.
type posted struct {
	trigger.Notification
	raw json.RawMessage
}

// accepted is a notification that was verified.
type accepted struct {
	event trigger.Event
	raw   json.RawMessage
}

// notifications stores the genuine notifications of a POST. 202 means that all of them are
// stored. The others don't change the answer: they would be refused again.
func (h *Handler) notifications(ctx context.Context, body []byte) int {
	items, status := h.split(body)
	if status != 0 {
		return status
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	good, complete := verified(ctx, h, parsed(h, items, func(raw []byte) (posted, error) {
		n, err := trigger.ParseNotification(raw)
		return posted{n, raw}, err
	}), func(p posted) (accepted, error) {
		ev, err := h.verifier.Verify(p.Notification)
		return accepted{ev, p.raw}, err
	})
	var failed atomic.Bool
	var g errgroup.Group
	g.SetLimit(maxStores)
	for _, a := range good {
		g.Go(func() error {
			if h.recoverStatus(func() int { return h.storeOne(ctx, a) }) != http.StatusAccepted {
				failed.Store(true)
			}
			return nil
		})
	}
	_ = g.Wait() // storeOne has logged each error
	if failed.Load() || !complete {
		return http.StatusServiceUnavailable
	}
	return http.StatusAccepted
}

func (h *Handler) storeOne(ctx context.Context, a accepted) int {
	dup, err := h.store.PublishTask(ctx, a.event.Definition, a.event.Task, a.raw)
	switch {
	case err != nil:
		h.count(trigger.Result(err))
		h.log.Warn("notification not stored, graph will repeat it", zap.Error(err))
		return http.StatusServiceUnavailable
	case dup:
		h.count(resultDuplicate)
	default:
		h.count(resultStored)
	}
	return http.StatusAccepted
}

// lifecycles stores lifecycle events for the replica that keeps the subscription.
func (h *Handler) lifecycles(ctx context.Context, body []byte) int {
	items, status := h.split(body)
	if status != 0 {
		return status
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	good, complete := verified(ctx, h, parsed(h, items, trigger.ParseLifecycle), h.verifier.VerifyLifecycle)
	stored := map[trigger.LifecycleEvent]bool{}
	for _, ev := range good {
		if !stored[ev] {
			if err := h.verifier.StoreLifecycle(ctx, ev); err != nil {
				h.count(trigger.Result(err))
				h.log.Warn("lifecycle event not stored, graph will repeat it", zap.Error(err))
				complete = false
				continue
			}
			stored[ev] = true
		}
		h.count(resultLifecycle)
	}
	if !complete {
		return http.StatusServiceUnavailable
	}
	return http.StatusAccepted
}

// parsed returns the well-formed items, and counts the others.
func parsed[N any](h *Handler, items []json.RawMessage, parse func([]byte) (N, error)) (good []N) {
	for _, raw := range items {
		n, err := parse(raw)
		if err != nil {
			h.refuse(err)
			continue
		}
		good = append(good, n)
	}
	return good
}

// verified returns what verify makes of the genuine items, and counts the others. Those that
// it refuses are verified again after the Verifier has read State anew, once a POST: a
// notification may arrive before the news of its subscription. complete is false if State
// can't be read.
func verified[N, V any](
	ctx context.Context, h *Handler, items []N, verify func(N) (V, error),
) (good []V, complete bool) {
	var doubtful []N
	for _, n := range items {
		if v, err := verify(n); err == nil {
			good = append(good, v)
		} else {
			doubtful = append(doubtful, n)
		}
	}
	if len(doubtful) == 0 {
		return good, true
	}
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	if err := h.verifier.Refresh(ctx); err != nil {
		h.results.WithLabelValues(trigger.Result(err)).Add(float64(len(doubtful)))
		h.log.Warn("notification not verified, graph will repeat it", zap.Error(err))
		return good, false
	}
	complete = true
	for _, n := range doubtful {
		v, err := verify(n)
		if err == nil {
			good = append(good, v)
			continue
		}
		complete = complete && !errors.Is(err, trigger.ErrNotReady)
		h.refuse(err)
	}
	return good, complete
}

// refuse counts an item that is not accepted.
func (h *Handler) refuse(err error) {
	result := trigger.Result(err)
	h.count(result)
	h.log.Debug("refused notification", zap.String("result", result))
}

// split returns the items of {"value":[…]}. The status is 0, or 413 when there are too many,
// or 400 when the body is nothing that Graph sends.
func (h *Handler) split(body []byte) (items []json.RawMessage, status int) {
	items, err := trigger.Items(body, maxItems)
	switch {
	case errors.Is(err, trigger.ErrTooMany):
		h.count(resultOversized)
		return nil, http.StatusRequestEntityTooLarge
	case err != nil:
		h.refuse(err)
		return nil, http.StatusBadRequest
	}
	return items, 0
}

func (h *Handler) count(result string) { h.results.WithLabelValues(result).Inc() }
