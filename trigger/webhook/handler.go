// Package webhook takes in what Graph posts: the validation handshake, change
// notifications and lifecycle notifications.
//
// Graph wants an answer within 3 seconds and repeats for up to 4 hours what it
// got none for (https://learn.microsoft.com/graph/change-notifications-delivery-webhooks).
// So 202 means that everything good in the POST is stored, and when that can't be
// had quickly the answer is 503.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"pullprint/trigger"
	"pullprint/trigger/listen"
)

// What one POST may bring, and how long each part of it may take. From the first
// byte of a request to its answer there are at most answerWithin.
const (
	maxBody       = 1 << 20
	maxItems      = 1000
	maxToken      = 4 << 10
	answerWithin  = 2300 * time.Millisecond
	storeWithin   = 2 * time.Second
	bodyWithin    = 1500 * time.Millisecond
	refreshWithin = 500 * time.Millisecond
)

// What may be in hand at once; beyond it the answer is 503.
const (
	maxRequests = 256
	minRead     = 4 << 10                  // bytes of a body to begin with: most have one notification
	maxHeld     = 64 * (maxBody + minRead) // bytes of bodies: 64 of the largest
	maxStores   = 128                      // of one POST
)

// Store keeps an accepted notification for the worker; *bus.Bus is one. When it
// returns nil the notification is durable. It must end when ctx does.
type Store interface {
	PublishTask(ctx context.Context, definition, msgID string, body []byte) (duplicate bool, err error)
}

// Options are what a Handler is made of. Store and Verifier are needed.
type Options struct {
	// PublicURL is where Graph posts to; its path comes before the two of package trigger.
	PublicURL  string
	Store      Store
	Verifier   *trigger.Verifier
	Logger     *zap.Logger
	Registerer prometheus.Registerer
}

// Handler answers Graph. It is safe for concurrent use.
type Handler struct {
	notify, lifecycle string
	store             Store
	verifier          *trigger.Verifier
	log               *zap.Logger
	results           *prometheus.CounterVec

	gate  gate
	slots chan struct{}
	bytes *semaphore.Weighted
}

// Results of one notification, beside those of package trigger, and of POSTs that
// were answered without looking at their notifications (counted once each).
const (
	resultStored     = "stored"
	resultDuplicate  = "duplicate"
	resultLifecycle  = "lifecycle"
	resultOversized  = "oversized"
	resultOverloaded = "overloaded"
	resultSlow       = "slow"
)

// New makes a Handler. A public URL that doesn't parse serves the paths at the root.
func New(o Options) *Handler {
	prefix := ""
	if u, err := url.Parse(o.PublicURL); err == nil {
		prefix = strings.TrimRight(u.Path, "/")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	h := &Handler{
		notify: prefix + trigger.NotificationPath, lifecycle: prefix + trigger.LifecyclePath,
		store: o.Store, verifier: o.Verifier, log: o.Logger.Named("webhook"),
		slots: make(chan struct{}, maxRequests), bytes: semaphore.NewWeighted(maxHeld),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_notifications_total",
			Help: "Notifications by what became of them; oversized, overloaded and slow count whole POSTs.",
		}, []string{"result"}),
	}
	for _, r := range append([]string{
		resultStored, resultDuplicate, resultLifecycle, resultOversized, resultOverloaded, resultSlow,
	}, trigger.Results...) {
		h.results.WithLabelValues(r)
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(h.results)
	}
	return h
}

// Refuse makes the Handler answer 503 from now on, so that Graph comes again later
// or to another replica, and returns a channel that is closed when everything
// that was in hand is answered and stored or given up.
func (h *Handler) Refuse() <-chan struct{} { return h.gate.shut() }

// ServeHTTP answers one POST within 2.5 seconds.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cache-Control", "no-store")
	var do take
	switch r.URL.Path {
	case h.notify:
		do = h.notifications
	case h.lifecycle:
		do = h.lifecycles
	default:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if r.Method != http.MethodPost {
		head.Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if !h.gate.enter() {
		h.unavailable(w, resultOverloaded)
		return
	}
	defer h.gate.leave()
	if r.URL.RawQuery != "" && handshake(w, r.URL.RawQuery) {
		return
	}
	h.admit(w, r, do)
}

// handshake answers Graph's question whether the URL is ours, and reports false
// when it is none. It echoes what anybody sends, but only as plain text.
func handshake(w http.ResponseWriter, query string) bool {
	values, err := url.ParseQuery(query)
	tokens, asked := values["validationToken"]
	switch {
	case err == nil && !asked:
		return false
	case err != nil, len(tokens) != 1, tokens[0] == "", len(tokens[0]) > maxToken:
		w.WriteHeader(http.StatusBadRequest)
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte(tokens[0])) // who asked may be gone
	}
	return true
}

// take does what a body asks for and returns the status of the answer. It ends
// when ctx does.
type take func(ctx context.Context, body []byte) int

// admit reads a POST and does what it asks for, if there is room for it, and
// answers in time, whatever the Store does.
func (h *Handler) admit(w http.ResponseWriter, r *http.Request, do take) {
	if r.ContentLength > maxBody {
		h.answer(w, http.StatusRequestEntityTooLarge, resultOversized)
		return
	}
	began := listen.Began(r)
	body, held, result := h.read(w, r, began.Add(bodyWithin))
	switch result {
	case resultOverloaded:
		h.unavailable(w, result)
		return
	case resultOversized:
		h.answer(w, http.StatusRequestEntityTooLarge, result)
		return
	case resultSlow:
		h.answer(w, http.StatusRequestTimeout, result)
		return
	}
	select {
	case h.slots <- struct{}{}:
	default:
		h.bytes.Release(held)
		h.unavailable(w, resultOverloaded)
		return
	}
	free := func() { <-h.slots; h.bytes.Release(held) }
	// Who posted may hang up: what is accepted is stored all the same.
	ctx, cancel := context.WithDeadline(context.WithoutCancel(r.Context()), began.Add(answerWithin))
	defer cancel()
	done := make(chan int, 1)
	h.gate.hold()
	go func() { // waited for by whoever waits on Refuse; keeps its room till it ends
		defer h.gate.leave()
		defer free()
		done <- h.recoverStatus(func() int { return do(ctx, body) })
	}()
	var status int
	select {
	case status = <-done:
	case <-ctx.Done():
		status = http.StatusServiceUnavailable
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.WriteHeader(status)
}

// recoverStatus calls fn and turns a panic into status 503: Graph sends the notification
// again, and others are not affected.
func (h *Handler) recoverStatus(fn func() int) (status int) {
	defer func() {
		if p := recover(); p != nil {
			h.results.WithLabelValues(trigger.Result(errPanic)).Inc()
			h.log.Error("notification not handled", zap.String("panic", fmt.Sprintf("%T", p)), zap.Stack("stack"))
			status = http.StatusServiceUnavailable
		}
	}()
	return fn()
}

// errPanic is counted as what fails for no reason of the notification's own.
var errPanic = errors.New("panic")

// read takes in the body until a deadline. It holds as many bytes of the room for
// bodies as have come, not as many as were promised, so that a client that is slow
// takes no room from others. The result is empty when the body is whole; only then is
// room held.
func (h *Handler) read(
	w http.ResponseWriter, r *http.Request, until time.Time,
) (body []byte, held int64, result string) {
	rc := http.NewResponseController(w)
	// A writer that has no deadlines is a test's; the server has time-outs too.
	_ = rc.SetReadDeadline(until)
	in := http.MaxBytesReader(w, r.Body, maxBody)
	for {
		if len(body) == cap(body) {
			more := min(max(held, minRead), maxBody+minRead-held)
			if !h.bytes.TryAcquire(more) {
				h.bytes.Release(held)
				return nil, 0, resultOverloaded
			}
			held += more
			body = append(make([]byte, 0, held), body...)
		}
		n, err := in.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		var large *http.MaxBytesError
		switch {
		case err == nil:
			continue
		case errors.Is(err, io.EOF):
			_ = rc.SetReadDeadline(time.Time{})
			return body, held, ""
		case errors.As(err, &large):
			result = resultOversized
		default:
			result = resultSlow
		}
		h.bytes.Release(held)
		return nil, 0, result
	}
}

// retryAfter is in seconds; Graph has its own back-off and may not look at it.
const retryAfter = "10"

// unavailable asks Graph to come again.
func (h *Handler) unavailable(w http.ResponseWriter, result string) {
	w.Header().Set("Retry-After", retryAfter)
	h.answer(w, http.StatusServiceUnavailable, result)
}

// answer is for a POST whose notifications were not looked at.
func (h *Handler) answer(w http.ResponseWriter, status int, result string) {
	h.results.WithLabelValues(result).Inc()
	w.Header().Set("Connection", "close") // its body may not have been read
	w.WriteHeader(status)
}
