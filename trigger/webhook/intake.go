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

// accepted is a verified notification and the event that it tells.
type accepted struct {
	event trigger.Event
	raw   json.RawMessage
}

// notifications stores what is good in a POST. 202 says that all of it is stored;
// what is not good would not get better by coming again, so it doesn't matter.
func (h *Handler) notifications(ctx context.Context, body []byte) int {
	items, status := h.split(body)
	if status != 0 {
		return status
	}
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	good, complete := sift(ctx, h, items, func(raw json.RawMessage) (accepted, error) {
		n, err := trigger.ParseNotification(raw)
		if err != nil {
			return accepted{}, err
		}
		ev, err := h.verifier.Verify(n)
		return accepted{ev, raw}, err
	})
	var failed atomic.Bool
	var g errgroup.Group
	g.SetLimit(maxStores)
	for _, a := range good {
		g.Go(func() error {
			if h.recoverStatus(func() int { return h.keep(ctx, a) }) != http.StatusAccepted {
				failed.Store(true)
			}
			return nil
		})
	}
	_ = g.Wait() // each told its own error
	if failed.Load() || !complete {
		return http.StatusServiceUnavailable
	}
	return http.StatusAccepted
}

// keep stores one notification.
func (h *Handler) keep(ctx context.Context, a accepted) int {
	dup, err := h.store.PublishTask(ctx, a.event.Definition, a.event.Task, a.raw)
	switch {
	case err != nil:
		h.results.WithLabelValues(trigger.Result(err)).Inc()
		h.log.Warn("notification not stored, graph will repeat it", zap.Error(err))
		return http.StatusServiceUnavailable
	case dup:
		h.results.WithLabelValues(resultDuplicate).Inc()
	default:
		h.results.WithLabelValues(resultStored).Inc()
	}
	return http.StatusAccepted
}

// lifecycles leaves lifecycle events to the replica that keeps the subscription.
func (h *Handler) lifecycles(ctx context.Context, body []byte) int {
	items, status := h.split(body)
	if status != 0 {
		return status
	}
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	good, complete := sift(ctx, h, items, func(raw json.RawMessage) (trigger.Lifecycle, error) {
		l, err := trigger.ParseLifecycle(raw)
		if err != nil {
			return l, err
		}
		return l, h.verifier.VerifyLifecycle(l)
	})
	done := map[trigger.Lifecycle]bool{}
	for _, l := range good {
		if !done[l] {
			if err := h.verifier.Lifecycle(ctx, l); err != nil {
				h.results.WithLabelValues(trigger.Result(err)).Inc()
				h.log.Warn("lifecycle event not stored, graph will repeat it", zap.Error(err))
				complete = false
				continue
			}
			done[l] = true
		}
		h.results.WithLabelValues(resultLifecycle).Inc()
	}
	if !complete {
		return http.StatusServiceUnavailable
	}
	return http.StatusAccepted
}

// sift looks at each item on its own and returns the good ones. What it refuses is
// looked at again after the Verifier has read the state anew, once a POST: a
// notification may be faster than the news of its subscription. It is complete
// unless that couldn't be done.
func sift[T any](
	ctx context.Context, h *Handler, items []json.RawMessage, check func(json.RawMessage) (T, error),
) (good []T, complete bool) {
	var doubtful []json.RawMessage
	for _, raw := range items {
		v, err := check(raw)
		switch {
		case err == nil:
			good = append(good, v)
		case errors.Is(err, trigger.ErrMalformed):
			h.refuse(err)
		default:
			doubtful = append(doubtful, raw)
		}
	}
	if len(doubtful) == 0 {
		return good, true
	}
	ctx, cancel := context.WithTimeout(ctx, refreshWithin)
	defer cancel()
	if err := h.verifier.Refresh(ctx); err != nil {
		h.results.WithLabelValues(trigger.Result(err)).Add(float64(len(doubtful)))
		h.log.Warn("notification not verified, graph will repeat it", zap.Error(err))
		return good, false
	}
	complete = true
	for _, raw := range doubtful {
		v, err := check(raw)
		switch {
		case err == nil:
			good = append(good, v)
		case errors.Is(err, trigger.ErrNotReady):
			complete = false
			h.refuse(err)
		default:
			h.refuse(err)
		}
	}
	return good, complete
}

// refuse counts an item that is not taken.
func (h *Handler) refuse(err error) {
	result := trigger.Result(err)
	h.results.WithLabelValues(result).Inc()
	h.log.Debug("refused notification", zap.String("result", result))
}

// split takes the items out of {"value":[…]}. The status is 0 when it can, 413
// when there are too many, and 400 when the body is nothing that Graph sends.
func (h *Handler) split(body []byte) (items []json.RawMessage, status int) {
	items, err := trigger.Items(body, maxItems)
	switch {
	case errors.Is(err, trigger.ErrTooMany):
		h.results.WithLabelValues(resultOversized).Inc()
		return nil, http.StatusRequestEntityTooLarge
	case err != nil:
		h.refuse(err)
		return nil, http.StatusBadRequest
	}
	return items, 0
}
