package trigger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/trigger/graph"
)

// BookOptions are what a Book is made of. TenantID and State are needed.
type BookOptions struct {
	TenantID   string
	State      State
	Logger     *zap.Logger
	Registerer prometheus.Registerer
}

// Book is what we accept: our tenant, our definition, and our subscriptions with
// their clientStates. Every replica has one and follows State with it. It is safe
// for concurrent use.
type Book struct {
	tenant string
	state  State
	log    *zap.Logger
	ready  chan struct{}
	rush   chan struct{} // a lifecycle event has come; for the Registrar
	reads  *refresher

	mu         sync.RWMutex
	revisions  map[string]uint64
	definition definition
	subs       subscriptions
	sweep      subscription
	lifecycle  lifecycle
}

// NewBook makes an empty Book; Run fills it.
func NewBook(o BookOptions) *Book {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	b := &Book{
		tenant: o.TenantID, state: o.State, log: o.Logger.Named("book"),
		ready: make(chan struct{}), rush: make(chan struct{}, 1), revisions: map[string]uint64{},
	}
	b.reads = newRefresher(b.readAll)
	if o.Registerer != nil {
		o.Registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "pullprint_subscription_expiry_timestamp_seconds",
			Help: "When Graph drops our subscription if it isn't renewed; 0 when there is none.",
		}, b.expiry))
	}
	return b
}

// Run follows State until ctx ends. A lost watch is taken up again.
func (b *Book) Run(ctx context.Context) error {
	caught := make(chan struct{})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return b.follow(ctx, sync.OnceFunc(func() { close(caught) })) })
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-caught:
		}
		if err := retry(ctx, b.log, "store sweep entry", b.ensureSweep); err != nil {
			return err
		}
		close(b.ready)
		return nil
	})
	return g.Wait()
}

// Ready is closed once the Book has read the state and can verify.
func (b *Book) Ready() <-chan struct{} { return b.ready }

func (b *Book) follow(ctx context.Context, caughtUp func()) error {
	return retry(ctx, b.log, "watch trigger state", func(ctx context.Context) error {
		err := b.state.Watch(ctx, keyFilter, b.apply, caughtUp)
		if err == nil {
			err = errors.New("the watch ended")
		}
		return err
	})
}

// apply takes a value of State, unless a newer one is known already.
func (b *Book) apply(key string, value []byte, revision uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if revision <= b.revisions[key] {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			b.log.Error("trigger state not understood", zap.String("key", key), zap.String("panic", fmt.Sprintf("%T", p)), zap.Stack("stack"))
		}
	}()
	if err := b.set(key, value); err != nil {
		// Keep what we have: the next write of the key mends it.
		b.log.Error("trigger state not understood", zap.String("key", key))
		return
	}
	b.revisions[key] = revision
}

func (b *Book) set(key string, value []byte) error {
	if value == nil {
		value = []byte("{}")
	}
	var err error
	switch key {
	case keyDefinition:
		var d definition
		if err = json.Unmarshal(value, &d); err == nil {
			b.definition = d
		}
	case keySubscription:
		var s subscriptions
		if err = json.Unmarshal(value, &s); err == nil {
			b.subs = s
		}
	case keySweep:
		var s sweepEntry
		if err = json.Unmarshal(value, &s); err == nil {
			b.sweep = subscription{ID: sweepID, ClientState: s.ClientState}
		}
	case keyLifecycle:
		var l lifecycle
		if err = json.Unmarshal(value, &l); err == nil {
			b.lifecycle = l
			b.hurry()
		}
	}
	return err
}

// hurry wakes the Registrar, if one runs here.
func (b *Book) hurry() {
	select {
	case b.rush <- struct{}{}:
	default:
	}
}

func (b *Book) isReady() bool {
	select {
	case <-b.ready:
		return true
	default:
		return false
	}
}

// Verify tells an Event from what anybody may have sent: the clientState is that
// of the subscription (compared in constant time), the tenant is ours and so is
// the definition. It calls nobody. The error is one of this package's.
func (b *Book) Verify(n Notification) (Event, error) {
	if !b.isReady() {
		return Event{}, ErrNotReady
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if err := b.verifySender(n.subscription, n.clientState); err != nil {
		return Event{}, err
	}
	if !strings.EqualFold(n.tenant, b.tenant) || b.definition.ID == "" || !strings.EqualFold(n.definition, b.definition.ID) {
		return Event{}, ErrForeign
	}
	return Event{
		Subscription: n.subscription, Definition: b.definition.ID, Task: n.task,
		Printer: n.job.Printer, Job: n.job.Job,
	}, nil
}

func (b *Book) verifySender(id, clientState string) error {
	if id != sweepID {
		return b.subs.match(id, clientState, time.Now())
	}
	if !b.sweep.has(clientState) {
		return ErrForged
	}
	return nil
}

// VerifyLatest is Verify, but before it refuses it reads State once more: a
// notification may be faster than the watch that tells of its subscription.
func (b *Book) VerifyLatest(ctx context.Context, n Notification) (Event, error) {
	ev, err := b.Verify(n)
	if err == nil || errors.Is(err, ErrNotReady) {
		return ev, err
	}
	if err := b.Refresh(ctx); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrNotReady, err)
	}
	return b.Verify(n)
}

// Refresh reads State now. Callers that come while a read is under way share
// the next one, so a flood of refused notifications costs one read at a time.
func (b *Book) Refresh(ctx context.Context) error { return b.reads.do(ctx) }

func (b *Book) readAll(ctx context.Context) error {
	for _, key := range []string{keyDefinition, keySubscription, keySweep} {
		raw, rev, err := b.state.Get(ctx, key)
		if err != nil {
			return fmt.Errorf("read state %s: %w", key, err)
		}
		if raw != nil {
			b.apply(key, raw, rev)
		}
	}
	return nil
}

// Definition is the id of our task definition, or empty before it is known.
func (b *Book) Definition() string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.definition.ID
}

// SubscriptionLive is nil while Graph has a subscription of ours that has not
// expired, as far as State tells; else it says what is missing.
func (b *Book) SubscriptionLive() error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	switch s := b.subs.Current; {
	case b.definition.ID == "":
		return errors.New("no task definition yet; it is looked for in Graph")
	case s == nil:
		return errors.New("no subscription yet; it is created as soon as Graph answers and reaches the public URL")
	case !time.Now().Before(s.Expires):
		return fmt.Errorf("the subscription expired at %s; renewing it is tried again and again", s.Expires.UTC().Format(time.RFC3339))
	}
	return nil
}

// Expires is when Graph drops our subscription if it isn't renewed; zero when there
// is none.
func (b *Book) Expires() time.Time {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.subs.Current == nil {
		return time.Time{}
	}
	return b.subs.Current.Expires
}

func (b *Book) expiry() float64 {
	if at := b.Expires(); !at.IsZero() {
		return float64(at.Unix())
	}
	return 0
}

// Lifecycle leaves a verified lifecycle notification in State, where the replica
// that keeps the subscription finds it. A refusal is what VerifyLifecycle says;
// any other error means that it is not stored and should come again.
func (b *Book) Lifecycle(ctx context.Context, l Lifecycle) error {
	if err := b.VerifyLifecycle(l); err != nil {
		return err
	}
	value, err := json.Marshal(lifecycle{Subscription: l.subscription, Event: l.event, At: time.Now()})
	if err != nil {
		return err
	}
	for {
		_, rev, err := b.state.Get(ctx, keyLifecycle)
		if err != nil {
			return fmt.Errorf("read state %s: %w", keyLifecycle, err)
		}
		rev, ok, err := b.state.CompareAndSet(ctx, keyLifecycle, value, rev, 0)
		if err != nil {
			return fmt.Errorf("store lifecycle event: %w", err)
		}
		if ok {
			b.apply(keyLifecycle, value, rev)
			return nil
		}
	}
}

// VerifyLifecycle is Verify for a lifecycle notification.
func (b *Book) VerifyLifecycle(l Lifecycle) error {
	if !b.isReady() {
		return ErrNotReady
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if err := b.subs.match(l.subscription, l.clientState, time.Now()); err != nil {
		return err
	}
	if l.tenant != "" && !strings.EqualFold(l.tenant, b.tenant) {
		return ErrForeign
	}
	return nil
}

// lastLifecycle is the last event that is known here.
func (b *Book) lastLifecycle() lifecycle {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.lifecycle
}

// sweepID stands for the subscription in what our own sweep puts into the stream.
const sweepID = "pullprint-sweep"

// ensureSweep finds or makes the clientState of our own sweep.
func (b *Book) ensureSweep(ctx context.Context) error {
	for {
		raw, rev, err := b.state.Get(ctx, keySweep)
		if err != nil {
			return err
		}
		if raw != nil && CheckRecord(keySweep, raw) == nil {
			b.apply(keySweep, raw, rev)
			return nil
		}
		value, err := json.Marshal(sweepEntry{ClientState: newClientState()})
		if err != nil {
			return err
		}
		if _, _, err := b.state.CompareAndSet(ctx, keySweep, value, rev, 0); err != nil {
			return err
		}
	}
}

// SweepNotification writes the notification that Graph would have sent for a
// task of our definition, for our own sweep to put into the stream. Printer and
// job may be empty together. It fails until the Book is ready and the definition
// is known.
func (b *Book) SweepNotification(task, printer, job string) ([]byte, error) {
	named := printer != "" || job != ""
	if !graph.ValidID(task) || (named && !(graph.ValidID(printer) && graph.ValidID(job))) {
		return nil, ErrMalformed
	}
	if !b.isReady() {
		return nil, ErrNotReady
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.definition.ID == "" {
		return nil, ErrNotReady
	}
	type data struct {
		Type   string `json:"@odata.type"`
		ID     string `json:"id"`
		Parent string `json:"parentUrl,omitempty"`
	}
	d := data{Type: "#Microsoft.Graph.printTask", ID: task}
	if named {
		d.Parent = "https://graph.microsoft.com/v1.0/print/printers/" + printer + "/jobs/" + job
	}
	return json.Marshal(struct {
		Subscription string `json:"subscriptionId"`
		ClientState  string `json:"clientState"`
		ChangeType   string `json:"changeType"`
		Resource     string `json:"resource"`
		Tenant       string `json:"tenantId"`
		Data         data   `json:"resourceData"`
	}{
		Subscription: sweepID, ClientState: b.sweep.ClientState, ChangeType: "created",
		Resource: "print/taskDefinitions/" + b.definition.ID + "/tasks/" + task, Tenant: b.tenant, Data: d,
	})
}
