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
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/trigger/graph"
)

// VerifierOptions configure a Verifier. TenantID and State are required.
type VerifierOptions struct {
	TenantID   string
	State      State
	Logger     *zap.Logger
	Registerer prometheus.Registerer
}

// Verifier tells genuine notifications from forged ones: it knows our tenant, our definition,
// and our subscriptions with their clientStates. Each replica has one, which follows State.
// It is safe for concurrent use.
type Verifier struct {
	tenant string
	state  State
	log    *zap.Logger
	ready  chan struct{}
	wake   chan struct{} // signals the Registrar that a lifecycle event has come
	reads  *refresher

	// mu guards what State says, and the revision at which it said so.
	mu         sync.RWMutex
	revisions  map[string]uint64
	definition definition
	subs       subscriptions
	sweep      sweepEntry
	lifecycle  lifecycle
}

// NewVerifier returns a Verifier that knows nothing until Run has read State.
func NewVerifier(o VerifierOptions) *Verifier {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	v := &Verifier{
		tenant: o.TenantID, state: o.State, log: o.Logger.Named("verifier"),
		ready: make(chan struct{}), wake: make(chan struct{}, 1), revisions: map[string]uint64{},
	}
	v.reads = newRefresher(v.readAll)
	promauto.With(o.Registerer).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pullprint_subscription_expiry_timestamp_seconds",
		Help: "When Graph drops our subscription if it isn't renewed; 0 when there is none.",
	}, v.expiry)
	return v
}

// Run follows State until ctx ends. It restarts a watch that is lost.
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

// Ready is closed once State has been read and Verify works.
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

// apply takes over a value of State, unless a newer one is known. A value that can't be read
// leaves the one before in use, until the key is written again.
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
		v.log.Error("trigger state not understood", zap.String("key", key))
		return
	}
	v.revisions[key] = revision
}

func (v *Verifier) set(key string, value []byte) error {
	if value == nil {
		value = []byte("{}")
	}
	switch key {
	case keyDefinition:
		return replace(&v.definition, value)
	case keySubscription:
		return replace(&v.subs, value)
	case keySweep:
		return replace(&v.sweep, value)
	case keyLifecycle:
		if err := replace(&v.lifecycle, value); err != nil {
			return err
		}
		v.wakeRegistrar()
	}
	return nil
}

// replace decodes a value of State in the place of the one before, which stays after an error.
func replace[T any](into *T, value []byte) error {
	var v T
	if err := json.Unmarshal(value, &v); err != nil {
		return err
	}
	*into = v
	return nil
}

// wakeRegistrar signals the Registrar, if one runs in this process.
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

// Verify makes an Event of a notification whose clientState is that of the subscription
// (compared in constant time), and whose tenant and definition are ours. It does no I/O. The
// error is one of this package's.
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
	if !sameClientState(v.sweep.ClientState, clientState) {
		return ErrForged
	}
	return nil
}

// VerifyLatest is Verify, but reads State once more before it refuses: a notification may
// arrive before the watch has delivered its subscription.
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

// Refresh reads State now. Callers that arrive during a read share the next one, so a flood
// of refused notifications costs one read at a time.
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

// Definition returns the id of our task definition; empty until it is known.
func (v *Verifier) Definition() string {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.definition.ID
}

// SubscriptionLive returns nil while, according to State, Graph has a subscription of ours that
// has not expired; else an error that says what is missing.
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

// Expires returns when Graph ends our subscription unless it is renewed; zero if there is
// none.
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

// maxConflicts is how often a write is repeated after another replica's came first. Each
// conflict is another replica's success, and nobody runs more than eight.
const maxConflicts = 8

var errConflicts = errors.New("too many concurrent updates")

// sweepID stands in the place of a subscription id in the notifications of our own sweep.
const sweepID = "pullprint-sweep"

// ensureSweep reads the clientState of our own sweep from State, or stores a new one.
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

// SweepNotification returns the notification that Graph would have sent for a task of our
// definition, for our own sweep to put into the stream. Printer and job may be empty together.
// The error is ErrNotReady until the Verifier is ready and the definition is known.
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
		Resource: graph.TasksResource(v.definition.ID) + "/" + task, Tenant: v.tenant, Data: d,
	})
}
