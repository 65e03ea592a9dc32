package connector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/connector/held"
	"pullprint/connector/recovery"
	"pullprint/connector/store"
	"pullprint/policy"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
)

// How many jobs of one order are worked on at once, how long an order and its reads of a job
// may take, and how long to wait for another instance that is releasing the same job. The
// owner is standing at the device.
const (
	orderActs   = 16
	orderWithin = 20 * time.Second
	readWithin  = 8 * time.Second
	awaitOther  = 3 * time.Second
	awaitTick   = 50 * time.Millisecond
)

// ErrNoDevice says that no device has that id.
var ErrNoDevice = errors.New("no such device")

// Releaser releases held jobs to the device where their owner is. It is safe for concurrent
// use and starts no goroutine that outlives a call.
type Releaser struct {
	printers    PrinterReader
	jobs        *held.Store
	queues      QueueSet
	devices     map[string]Device
	delegations *Delegations
	policy      func() *policy.Policy
	evaluator   *Evaluator
	effects     *Effects
	clock       Clock
	log         *zap.Logger

	states *ttlCache[bool] // by printer id: whether it takes jobs
}

// PrinterReader reads the state of a printer; *graph.Client is one.
type PrinterReader interface {
	Printer(ctx context.Context, id string) (graph.Printer, error)
}

// ReleaserOptions are what a Releaser is made of. All are required except Delegations and
// Registerer.
type ReleaserOptions struct {
	Graph       PrinterReader
	Jobs        *held.Store
	Policy      func() *policy.Policy
	Queues      []Queue
	Devices     []Device
	Delegations *Delegations
	Evaluator   *Evaluator
	Effects     *Effects
	Clock       Clock
	Registerer  prometheus.Registerer
	Logger      *zap.Logger
}

// NewReleaser returns a Releaser of held jobs.
func NewReleaser(o ReleaserOptions) *Releaser {
	r := &Releaser{
		printers: o.Graph, jobs: o.Jobs, queues: NewQueueSet(o.Queues), devices: map[string]Device{}, policy: o.Policy,
		delegations: tellingDamaged(o.Delegations, damagedRecords(o.Registerer), o.Logger),
		evaluator:   o.Evaluator, effects: o.Effects, clock: o.Clock, log: o.Logger, states: newTTLCache[bool](stateTTL, maxStates),
	}
	for _, dev := range o.Devices {
		r.devices[dev.ID] = dev
	}
	return r
}

// tellingDamaged is d, which may be nil, where each record that can't be read is counted
// and logged.
func tellingDamaged(d *Delegations, damaged *prometheus.CounterVec, log *zap.Logger) *Delegations {
	if d == nil {
		return nil
	}
	return d.Telling(func(key string) {
		damaged.WithLabelValues(recordDelegation).Inc()
		log.Error("delegation can't be read and does not hold", zap.String("key", key),
			zap.String("remedy", "remove it: pullprint jobs delegate --remove"))
	})
}

// Delegations are those that the releaser was made with, where each record that can't be
// read is counted and logged; nil when it has none.
func (r *Releaser) Delegations() *Delegations { return r.delegations }

// Devices are the ids of the configured devices, in no order.
func (r *Releaser) Devices() []string { return slices.Collect(maps.Keys(r.devices)) }

// stored is a record as the store has it.
type stored struct {
	rec held.Record
	rev uint64
}

// Waiting lists the jobs that owner can release, oldest first: their own and those of people
// who have delegated to them. With a device, only the jobs that it may release. The cost
// depends on the number of these people's jobs, not of all.
func (r *Releaser) Waiting(ctx context.Context, owner, device string) ([]held.Record, error) {
	list, err := r.waitingRecords(ctx, owner, device)
	if err != nil {
		return nil, err
	}
	recs := make([]held.Record, len(list))
	for i := range list {
		recs[i] = list[i].rec
	}
	return recs, nil
}

func (r *Releaser) waitingRecords(ctx context.Context, owner, device string) ([]stored, error) {
	dev, ok := r.devices[device]
	if device != "" && !ok {
		return nil, fmt.Errorf("%w: %s", ErrNoDevice, device)
	}
	owner = graph.Canonical(owner)
	owners, err := r.delegations.Of(ctx, owner, time.Now())
	if err != nil {
		return nil, err
	}
	var list []stored
	for _, o := range append(owners, owner) {
		if !graph.ValidID(o) {
			continue
		}
		err := r.jobs.Owned(ctx, o, func(rec held.Record, rev uint64) error {
			q, known := r.queues.at(rec.Printer)
			if (rec.State == held.Held || rec.State == held.Releasing) && known && q.Mode == ModePull &&
				(device == "" || slices.Contains(dev.Queues, q.Name)) {
				list = append(list, stored{rec, rev})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b stored) int {
		return cmp.Or(a.rec.Created.Compare(b.rec.Created), cmp.Compare(len(a.rec.Job), len(b.rec.Job)), cmp.Compare(a.rec.Key(), b.rec.Key()))
	})
	return list, nil
}

// Release carries an order out. Each job is redirected once, however many orders for it run
// at once on whatever instances; a job that fails stays held. A caller whose client may hang
// up should detach ctx from the request, as a job may already be on its way to the printer.
// The crash story of each job is that of carryOut.
func (r *Releaser) Release(ctx context.Context, o Order) (Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, orderWithin)
	defer cancel()
	dev, ok := r.devices[o.Device]
	if !ok {
		return Outcome{}, fmt.Errorf("%w: %s", ErrNoDevice, o.Device)
	}
	if !o.Set.Variant(policy.Job{Copies: o.Set.Copies}) {
		return Outcome{}, fmt.Errorf("%w: these settings can't be chosen at release", ErrInvalid)
	}
	o.Owner = graph.Canonical(o.Owner)
	list, err := r.waitingRecords(ctx, o.Owner, o.Device)
	if err != nil {
		return Outcome{}, err
	}
	if o.Jobs != nil {
		list = slices.DeleteFunc(list, func(s stored) bool { return !slices.Contains(o.Jobs, s.rec.Ref) })
	}
	if len(list) == 0 {
		return Outcome{Released: []Released{}, Kept: []Refused{}, Aborted: []Refused{}}, nil
	}
	at := r.destination(ctx, dev)
	defer at.end()
	results := make([]held.Record, len(list))
	var acts errgroup.Group
	acts.SetLimit(orderActs)
	turns := r.budgetTurns(len(list))
	for i := range list {
		acts.Go(func() error {
			defer turns[i].over()
			results[i] = r.one(ctx, o, list[i], at, turns[i])
			return nil
		})
	}
	if err := acts.Wait(); err != nil {
		return Outcome{}, err
	}
	return outcome(r.policy(), o.Owner, results), nil
}

// one handles one job of an order and returns its record, whose decision has the reason if
// the job is still held.
func (r *Releaser) one(ctx context.Context, o Order, s stored, at *destination, t budgetTurn) held.Record {
	rec := s.rec
	err := recovery.Catch(func() (err error) {
		rec, err = r.untilDone(ctx, o, s, at, t)
		return err
	})
	if err != nil {
		r.log.Warn("job not released", zap.String("job", rec.Job), zap.String("task", rec.Task), zap.String("device", o.Device), zap.Error(err))
		code := reasons.GraphUnavailable
		if errors.Is(err, store.ErrUnavailable) {
			code = reasons.StoreUnavailable
		}
		if rec.State != held.Held || errors.Is(err, errBusy) {
			code = reasons.ReleasePending
		}
		rec = r.unsure(ctx, o, rec, code)
	}
	return rec
}

// unsure records in the audit that a job could not be released now, and returns its record
// with that decision.
func (r *Releaser) unsure(ctx context.Context, o Order, rec held.Record, code string) held.Record {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), awaitOther) // the order's time may be over
	defer cancel()
	d := r.effects.decisionOn(&rec, "release:unsure", r.evaluator.ownDecision(code, policy.Release, policy.Keep))
	d.Device, d.Actor, d.Asked = o.Device, o.Actor, o.origin()
	told, err := r.keep(ctx, o, rec, d)
	if err != nil {
		r.log.Warn("decision not published", zap.String("job", rec.Job), zap.Error(err))
	}
	return told
}

// untilDone releases a job. While another goroutine or instance acts on the job, it waits up
// to awaitOther and reads the record again; it resumes the intent of a dead instance.
func (r *Releaser) untilDone(ctx context.Context, o Order, s stored, at *destination, t budgetTurn) (held.Record, error) {
	ended := time.NewTimer(awaitOther)
	defer ended.Stop()
	tick := time.NewTicker(awaitTick)
	defer tick.Stop()
	for {
		rec, err := s.rec, errBusy
		switch {
		case s.rev == 0 || rec.State.Final():
			return rec, nil
		case rec.State.Intent():
			if err := r.effects.resume(ctx, rec, s.rev, time.Time{}); err != nil && !errors.Is(err, errBusy) {
				return rec, err
			}
		default:
			rec, err = r.act(ctx, o, s, at, t)
		}
		if !errors.Is(err, errBusy) {
			return rec, err
		}
		select {
		case <-ended.C:
			return rec, errBusy
		case <-tick.C:
		}
		if s.rec, s.rev, err = r.jobs.Get(ctx, rec.Key()); err != nil {
			return rec, err
		}
	}
}

// act takes one held job from its record to the end of its order. It reads the
// job and asks the policy, stores the intent, and only then calls Graph.
func (r *Releaser) act(ctx context.Context, o Order, s stored, at *destination, t budgetTurn) (held.Record, error) {
	release, ok := r.effects.claim(s.rec.Key())
	if !ok {
		return s.rec, errBusy
	}
	defer release()
	job, err := r.read(ctx, s.rec.Ref)
	if graph.IsNotFound(err) || err == nil && anotherJob(&s.rec, job) {
		return r.effects.markGone(ctx, s.rec, s.rev, "graph does not know the job")
	}
	if err != nil {
		return s.rec, fmt.Errorf("read job: %w", err)
	}
	if end := observedOutcome(&s.rec, job); end != "" {
		return r.effects.finishEnded(ctx, s.rec, s.rev, job)
	}
	if err := t.wait(ctx); err != nil {
		return s.rec, err
	}
	found, err := r.evaluate(ctx, o, &s.rec, job, at)
	if err != nil {
		return s.rec, err
	}
	v := found.decision
	d := r.evaluator.decision(s.rec.Task+":release:"+strconv.FormatUint(s.rev, 10), v, found.shadow, &found.of)
	d.Device, d.Actor, d.Asked = o.Device, o.Actor, o.origin()
	if o.Owner != s.rec.Owner && d.Actor == "" {
		d.Actor = o.Owner
	}
	switch v.Verdict {
	case policy.Redirect:
		d.Set = settings(v.Set.Over(found.of.set))
		s.rec.Pages = found.of.pages
		s.rec.Charge = recharged(s.rec.Charge, chargeOf(v, d.ID))
		if len(v.Claims) == 0 {
			d.TellCharge(s.rec.Charge) // what was paid for at arrival stays paid
		}
		s.rec.Release = &held.Release{Device: o.Device, Printer: r.devices[o.Device].PrinterID, At: o.At}
		return r.effects.redirect(ctx, s.rec, s.rev, d, effectOptions{startedAt: o.At, settings: job.Settings, onReserved: t.over})
	case policy.Abort:
		return r.effects.abort(ctx, s.rec, s.rev, d)
	}
	return r.keep(ctx, o, s.rec, d)
}

func (r *Releaser) read(ctx context.Context, ref held.Ref) (graph.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	return r.effects.readJob(ctx, ref)
}

// chosen is the settings of a job before the rules at release: those that its owner has
// chosen, overridden by those of the rules at arrival.
func chosen(o Order, rec *held.Record) policy.Settings {
	if rec.Set == nil {
		return o.Set
	}
	return policy.Settings(*rec.Set).Over(o.Set)
}

// evaluated is what was decided about a job, and of what.
type evaluated struct {
	of       evaluation
	decision policy.Decision
	// shadow is what the policy that is tried out decides; nil when it was not asked.
	shadow *policy.Decision
}

// evaluate decides on a release. It checks in this order: the owner of the job, whether the
// device can print, the rules at arrival if they could not be evaluated then, and the rules
// at release.
func (r *Releaser) evaluate(
	ctx context.Context, o Order, rec *held.Record, job graph.Job, at *destination,
) (evaluated, error) {
	q, _ := r.queues.at(rec.Printer)
	eval := r.evaluator.newEvaluation(job, q, time.Now())
	eval.pages, eval.paid = rec.Pages, rec.Charge
	if eval.User.ID == "" || !strings.EqualFold(eval.User.ID, rec.Owner) {
		r.log.Error("owner of the job differs from its record, job stays held", zap.String("job", rec.Job), zap.String("task", rec.Task))
		own := r.evaluator.ownDecision(reasons.OwnerUnknown, policy.Release, policy.Keep)
		return evaluated{of: eval, decision: own}, nil
	}
	d, notes, err := r.usable(ctx, rec, at)
	if err != nil {
		return evaluated{}, err
	}
	if d != nil {
		return evaluated{of: eval, decision: *d}, nil
	}
	if reasons.Waits(rec.Decision.Reason) {
		first := eval
		d, _, err := r.evaluator.evaluate(ctx, &first)
		switch {
		case err != nil:
			return evaluated{}, err
		case d.Verdict == policy.Abort, reasons.Waits(d.Reason):
			d.Point = policy.Release
			if d.Verdict != policy.Abort {
				d.Verdict = policy.Keep
			}
			return evaluated{of: first, decision: d}, nil
		}
		rec.Set, eval.pages = settings(d.Set), first.pages
	}
	eval.Point, eval.Device = policy.Release, o.Device
	eval.printers = append(eval.printers, r.devices[o.Device].PrinterID)
	if o.Set.Copies > 0 {
		r.evaluator.readCopies(ctx, policy.Needs{}, &eval)
		if o.Set.Copies > eval.Job.Copies {
			o.Set.Copies = 0 // fewer than were sent is a variant, more is another job
		}
	}
	eval.set = chosen(o, rec)
	eval.set.Apply(&eval.Job)
	eval.unsaid = eval.unsaid && eval.set.Copies == 0
	v, shadow, err := r.evaluator.evaluate(ctx, &eval)
	v.Unknown = append(notes, v.Unknown...)
	return evaluated{eval, v, shadow}, err
}

// usable says why the device can't take the job; nil when it can.
func (r *Releaser) usable(ctx context.Context, rec *held.Record, at *destination) (*policy.Decision, []policy.Unknown, error) {
	ready, why, err := at.ready(ctx)
	switch {
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case err != nil:
		d, note := r.policy().Without(policy.Release, policy.Device)
		notes := []policy.Unknown{note}
		if d != nil {
			d.Unknown = notes
		}
		return d, notes, nil
	case ready:
		return nil, nil, nil
	}
	d := r.evaluator.ownDecision(reasons.DeviceUnavailable, policy.Release, policy.Keep)
	if why != "" {
		d.Text = strings.TrimSuffix(d.Text, ".") + ": " + why + "."
	}
	if others := at.others(ctx, r.queues.nameOf(rec)); others != "" {
		d.Remedy = "Go to " + others + ": your job is still waiting."
	}
	return &d, nil, nil
}

// keep leaves a job held; only the audit tells of it.
func (r *Releaser) keep(ctx context.Context, o Order, rec held.Record, d held.Decision) (held.Record, error) {
	d.ID += ":" + strconv.FormatInt(o.At.UnixMilli(), 36)
	rec.Decision = d
	if err := r.effects.publish(ctx, &rec); err != nil {
		return rec, err
	}
	r.effects.report(&rec, o.At)
	return rec, nil
}
