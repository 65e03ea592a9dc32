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

// VerifierOptions are what a Verifier is made of. TenantID and State are needed.
type VerifierOptions struct {
	TenantID   string
	State      State
	Logger     *zap.Logger
	Registerer prometheus.Registerer
}

// Verifier is what we accept: our tenant, our definition, and our subscriptions with
// their clientStates. Every replica has one and follows State with it. It is safe
// for concurrent use.
type Verifier struct {
	tenant string
	state  State
	log    *zap.Logger
	ready  chan struct{}
	wake   chan struct{} // a lifecycle event has come; for the Registrar
	reads  *refresher

	mu         sync.RWMutex
	revisions  map[string]uint64
	definition definition
	subs       subscriptions
	sweep      subscription
	lifecycle  lifecycle
}

// NewVerifier makes an empty Verifier; Run fills it.
func NewVerifier(o VerifierOptions) *Verifier {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	v := &Verifier{
		tenant: o.TenantID, state: o.State, log: o.Logger.Named("verifier"),
		ready: make(chan struct{}), wake: make(chan struct{}, 1), revisions: map[string]uint64{},
	}
	v.reads = newRefresher(v.readAll)
	if o.Registerer != nil {
		o.Registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "pullprint_subscription_expiry_timestamp_seconds",
			Help: "When Graph drops our subscription if it isn't renewed; 0 when there is none.",
		}, v.expiry))
	}
	return v
}

// Run follows State until ctx ends. A lost watch is taken up again.
func (v *Verifier) Run(ctx context.Context) error {
	caught := make(chan struct{})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return v.follow(ctx, sync.OnceFunc(func() { close(caught) })) })
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-caught:
		}
		if err := retry(ctx, v.log, "store sweep entry", v.ensureSweep); err != nil {
			return err
		}
		close(v.ready)
		return nil
	})
	return g.Wait()
}

// Ready is closed once the Verifier has read the state and can verify.
func (v *Verifier) Ready() <-chan struct{} { return v.ready }

func (v *Verifier) follow(ctx context.Context, caughtUp func()) error {
	return retry(ctx, v.log, "watch trigger state", func(ctx context.Context) error {
		err := v.state.Watch(ctx, keyFilter, v.apply, caughtUp)
		if err == nil {
			err = errors.New("the watch ended")
		}
		return err
	})
}

// apply takes a value of State, unless a newer one is known already.
func (v *Verifier) apply(key string, value []byte, revision uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if revision <= v.revisions[key] {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			v.log.Error("trigger state not understood", zap.String("key", key), zap.String("panic", fmt.Sprintf("%T", p)),
				zap.Stack("stack"))
		}
	}()
	if err := v.set(key, value); err != nil {
		// Keep what we have: the next write of the key mends it.
		v.log.Error("trigger state not understood", zap.String("key", key))
		return
	}
	v.revisions[key] = revision
}

func (v *Verifier) set(key string, value []byte) error {
	if value == nil {
		value = []byte("{}")
	}
	var err error
	switch key {
	case keyDefinition:
		var d definition
		if err = json.Unmarshal(value, &d); err == nil {
			v.definition = d
		}
	case keySubscription:
		var s subscriptions
		if err = json.Unmarshal(value, &s); err == nil {
			v.subs = s
		}
	case keySweep:
		var s sweepEntry
		if err = json.Unmarshal(value, &s); err == nil {
			v.sweep = subscription{ID: sweepID, ClientState: s.ClientState}
		}
	case keyLifecycle:
		var l lifecycle
		if err = json.Unmarshal(value, &l); err == nil {
			v.lifecycle = l
			v.wakeRegistrar()
		}
	}
	return err
}

// wakeRegistrar wakes the Registrar, if one runs here.
func (v *Verifier) wakeRegistrar() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

func (v *Verifier) isReady() bool {
	select {
	case <-v.ready:
		return true
	default:
		return false
	}
}

// Verify tells an Event from what anybody may have sent: the clientState is that
// of the subscription (compared in constant time), the tenant is ours and so is
// the definition. It calls nobody. The error is one of this package's.
func (v *Verifier) Verify(n Notification) (Event, error) {
	if !v.isReady() {
		return Event{}, ErrNotReady
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	if err := v.verifySender(n.subscription, n.clientState); err != nil {
		return Event{}, err
	}
	if !strings.EqualFold(n.tenant, v.tenant) || v.definition.ID == "" ||
		!strings.EqualFold(n.definition, v.definition.ID) {
		return Event{}, ErrForeign
	}
	return Event{
		Subscription: n.subscription, Definition: v.definition.ID, Task: n.task,
		Printer: n.job.Printer, Job: n.job.Job,
	}, nil
}

func (v *Verifier) verifySender(id, clientState string) error {
	if id != sweepID {
		return v.subs.match(id, clientState, time.Now())
	}
	if !v.sweep.has(clientState) {
		return ErrForged
	}
	return nil
}

// VerifyLatest is Verify, but before it refuses it reads State once more: a
// notification may be faster than the watch that tells of its subscription.
func (v *Verifier) VerifyLatest(ctx context.Context, n Notification) (Event, error) {
	ev, err := v.Verify(n)
	if err == nil || errors.Is(err, ErrNotReady) {
		return ev, err
	}
	if err := v.Refresh(ctx); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrNotReady, err)
	}
	return v.Verify(n)
}

// Refresh reads State now. Callers that come while a read is under way share
// the next one, so a flood of refused notifications costs one read at a time.
func (v *Verifier) Refresh(ctx context.Context) error { return v.reads.do(ctx) }

func (v *Verifier) readAll(ctx context.Context) error {
	for _, key := range []string{keyDefinition, keySubscription, keySweep} {
		raw, rev, err := v.state.Get(ctx, key)
		if err != nil {
			return fmt.Errorf("read state %s: %w", key, err)
		}
		if raw != nil {
			v.apply(key, raw, rev)
		}
	}
	return nil
}

// Definition is the id of our task definition, or empty before it is known.
func (v *Verifier) Definition() string {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.definition.ID
}

// SubscriptionLive is nil while Graph has a subscription of ours that has not
// expired, as far as State tells; else it says what is missing.
func (v *Verifier) SubscriptionLive() error {
	v.mu.RLock()
	defer v.mu.RUnlock()
	switch s := v.subs.Current; {
	case v.definition.ID == "":
		return errors.New("no task definition yet; it is looked for in Graph")
	case s == nil:
		return errors.New("no subscription yet; it is created as soon as Graph answers and reaches the public URL")
	case !time.Now().Before(s.Expires):
		return fmt.Errorf("the subscription expired at %s; renewing it is tried again and again",
			s.Expires.UTC().Format(time.RFC3339))
	}
	return nil
}

// Expires is when Graph drops our subscription if it isn't renewed; zero when there
// is none.
func (v *Verifier) Expires() time.Time {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.subs.Current == nil {
		return time.Time{}
	}
	return v.subs.Current.Expires
}

func (v *Verifier) expiry() float64 {
	if at := v.Expires(); !at.IsZero() {
		return float64(at.Unix())
	}
	return 0
}

// maxConflicts is how often a change is tried anew when another was faster: more replicas
// than anybody runs.
const maxConflicts = 8

var errConflicts = errors.New("too many concurrent updates")

// Lifecycle leaves a verified lifecycle notification in State, where the replica
// that keeps the subscription finds it. A refusal is what VerifyLifecycle says;
// any other error means that it is not stored and should come again.
func (v *Verifier) Lifecycle(ctx context.Context, l Lifecycle) error {
	if err := v.VerifyLifecycle(l); err != nil {
		return err
	}
	value, err := json.Marshal(lifecycle{Subscription: l.subscription, Event: l.event, At: time.Now()})
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

// VerifyLifecycle is Verify for a lifecycle notification.
func (v *Verifier) VerifyLifecycle(l Lifecycle) error {
	if !v.isReady() {
		return ErrNotReady
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	if err := v.subs.match(l.subscription, l.clientState, time.Now()); err != nil {
		return err
	}
	if l.tenant != "" && !strings.EqualFold(l.tenant, v.tenant) {
		return ErrForeign
	}
	return nil
}

// lastLifecycle is the last event that is known here.
func (v *Verifier) lastLifecycle() lifecycle {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.lifecycle
}

// sweepID stands for the subscription in what our own sweep puts into the stream.
const sweepID = "pullprint-sweep"

// ensureSweep finds or makes the clientState of our own sweep.
func (v *Verifier) ensureSweep(ctx context.Context) error {
	for range maxConflicts {
		raw, rev, err := v.state.Get(ctx, keySweep)
		if err != nil {
			return err
		}
		if raw != nil && CheckRecord(keySweep, raw) == nil {
			v.apply(keySweep, raw, rev)
			return nil
		}
		value, err := json.Marshal(sweepEntry{ClientState: newClientState()})
		if err != nil {
			return err
		}
		if _, _, err := v.state.CompareAndSet(ctx, keySweep, value, rev, 0); err != nil {
			return err
		}
	}
	return errConflicts
}

// SweepNotification writes the notification that Graph would have sent for a
// task of our definition, for our own sweep to put into the stream. Printer and
// job may be empty together. It fails until the Verifier is ready and the definition
// is known.
func (v *Verifier) SweepNotification(task, printer, job string) ([]byte, error) {
	named := printer != "" || job != ""
	if !graph.ValidID(task) || (named && !(graph.ValidID(printer) && graph.ValidID(job))) {
		return nil, ErrMalformed
	}
	if !v.isReady() {
		return nil, ErrNotReady
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.definition.ID == "" {
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
		Subscription: sweepID, ClientState: v.sweep.ClientState, ChangeType: "created",
		Resource: "print/taskDefinitions/" + v.definition.ID + "/tasks/" + task, Tenant: v.tenant, Data: d,
	})
}
