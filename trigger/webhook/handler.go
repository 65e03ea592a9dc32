// Package webhook receives what Graph posts: validation requests, change notifications and
// lifecycle notifications.
//
// Graph expects an answer within 3 seconds, and repeats a POST for up to 4 hours until it is
// accepted (https://learn.microsoft.com/graph/change-notifications-delivery-webhooks). So the
// answer is 202 only once every genuine notification of the POST is stored, and 503 when that
// takes too long.
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
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"pullprint/trigger"
	"pullprint/trigger/listen"
	"pullprint/trigger/series"
)

// Limits of one POST. Graph sends a few notifications of about 600 bytes at a time; maxBody
// is far more than 1,000 of them.
const (
	maxBody  = 1 << 20
	maxItems = 1000
	maxToken = 4 << 10 // of a validation request; Graph's has some hundred bytes
)

// Time limits of one POST. answerTimeout counts from the first byte of the request, and leaves
// Graph's 3 seconds some room for the network; the others are parts of it.
const (
	answerTimeout  = 2300 * time.Millisecond
	bodyTimeout    = 1500 * time.Millisecond
	storeTimeout   = 2 * time.Second
	refreshTimeout = 500 * time.Millisecond
)

// Limits of all POSTs together; beyond them the answer is 503.
const (
	maxRequests = 256
	minRead     = 4 << 10                  // bytes of the first read of a body: most have one notification
	maxBuffered = 64 * (maxBody + minRead) // bytes of bodies in memory: 64 of the largest
	maxStores   = 128                      // notifications of one POST that are stored at once
)

// Store stores an accepted notification for whoever reads the stream; *bus.Bus implements it.
// When PublishTask returns nil, the notification is durable. It must return when ctx ends.
type Store interface {
	PublishTask(ctx context.Context, definition, msgID string, body []byte) (duplicate bool, err error)
}

// Options configure a Handler. Store and Verifier are required.
type Options struct {
	// PublicURL is where Graph reaches the Handler; its path precedes the two of package trigger.
	PublicURL  string
	Store      Store
	Verifier   *trigger.Verifier
	Logger     *zap.Logger
	Registerer prometheus.Registerer
}

// Handler answers Graph's requests. It is safe for concurrent use.
type Handler struct {
	notify, lifecycle string
	store             Store
	verifier          *trigger.Verifier
	log               *zap.Logger
	results           *prometheus.CounterVec

	gate  gate                // refuses requests during shutdown
	slots chan struct{}       // holds a value for each POST that is worked on
	bytes *semaphore.Weighted // of bodies in memory
}

// Values of the label result, besides those of package trigger. oversized, overloaded and slow
// count a whole POST once: its notifications were not read.
const (
	resultStored     = "stored"
	resultDuplicate  = "duplicate"
	resultLifecycle  = "lifecycle"
	resultOversized  = "oversized"
	resultOverloaded = "overloaded"
	resultSlow       = "slow"
)

// New returns a Handler. If the public URL doesn't parse, it serves the paths at the root.
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
		slots: make(chan struct{}, maxRequests), bytes: semaphore.NewWeighted(maxBuffered),
		results: promauto.With(o.Registerer).NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_notifications_total",
			Help: "Notifications by what became of them; oversized, overloaded and slow count whole POSTs.",
		}, []string{"result"}),
	}
	series.Begin(h.results, resultStored, resultDuplicate, resultLifecycle, resultOversized, resultOverloaded, resultSlow)
	series.Begin(h.results, trigger.Results...)
	return h
}

// Refuse makes the Handler answer 503 from now on, so that Graph tries again later or reaches
// another replica. It returns a channel that is closed once all requests that were accepted
// before are answered and their stores have returned.
func (h *Handler) Refuse() <-chan struct{} { return h.gate.shut() }

// ServeHTTP answers one request within 2.5 seconds.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cache-Control", "no-store")
	var process processor
	switch r.URL.Path {
	case h.notify:
		process = h.notifications
	case h.lifecycle:
		process = h.lifecycles
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
		h.reject(w, resultOverloaded)
		return
	}
	defer h.gate.leave()
	if r.URL.RawQuery != "" && validate(w, r.URL.RawQuery) {
		return
	}
	h.post(w, r, process)
}

// validate answers the request by which Graph checks that the URL is ours
// (https://learn.microsoft.com/graph/change-notifications-delivery-webhooks#notificationurl-validation),
// and reports false if the query is none. It echoes what anybody sends, but as plain text only.
func validate(w http.ResponseWriter, query string) bool {
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
		_, _ = w.Write([]byte(tokens[0])) // the client may have disconnected
	}
	return true
}

// processor handles a body and returns the status of the answer. It returns when ctx ends.
type processor func(ctx context.Context, body []byte) int

// post reads a POST and processes it if the limits allow, and answers in time, whatever the
// Store does.
func (h *Handler) post(w http.ResponseWriter, r *http.Request, process processor) {
	if r.ContentLength > maxBody {
		h.reject(w, resultOversized)
		return
	}
	began := listen.Began(r)
	body, held, result := h.read(w, r, began.Add(bodyTimeout))
	if result != "" {
		h.reject(w, result)
		return
	}
	select {
	case h.slots <- struct{}{}:
	default:
		h.bytes.Release(held)
		h.reject(w, resultOverloaded)
		return
	}
	// The client may disconnect: what it has sent is stored all the same.
	ctx, cancel := context.WithDeadline(context.WithoutCancel(r.Context()), began.Add(answerTimeout))
	defer cancel()
	done := make(chan int, 1)
	h.gate.hold()
	go func() { // Refuse waits for it. It counts against the limits until it ends.
		defer h.gate.leave()
		defer func() { <-h.slots; h.bytes.Release(held) }()
		done <- h.recoverStatus(func() int { return process(ctx, body) })
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
// again, and other notifications are not affected.
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

// errPanic has the result "failed", as all errors that are not the notification's fault.
var errPanic = errors.New("panic")

// read reads the body until a deadline. It reserves memory as the bytes arrive, not for the
// length that was announced, so that a slow client reserves none. The result is empty when the
// body is complete; only then are held bytes reserved.
func (h *Handler) read(
	w http.ResponseWriter, r *http.Request, until time.Time,
) (body []byte, held int64, result string) {
	rc := http.NewResponseController(w)
	// The writers of tests have no deadlines. The server's own time-outs apply too.
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

// retryAfter is in seconds. Graph has a schedule of its own and may ignore it.
const retryAfter = "10"

// reject answers a POST whose notifications were not read.
func (h *Handler) reject(w http.ResponseWriter, result string) {
	h.count(result)
	w.Header().Set("Connection", "close") // the rest of its body may still arrive
	switch result {
	case resultOversized:
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case resultSlow:
		w.WriteHeader(http.StatusRequestTimeout)
	default:
		w.Header().Set("Retry-After", retryAfter)
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}
