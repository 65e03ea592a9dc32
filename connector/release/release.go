// Package release releases held jobs to the device where their owner stands, quotes what they
// would cost, and cancels them.
package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/connector/cache"
	"pullprint/connector/clock"
	"pullprint/connector/decision"
	"pullprint/connector/delegation"
	"pullprint/connector/effect"
	"pullprint/connector/evaluate"
	"pullprint/connector/job"
	"pullprint/connector/job/readback"
	"pullprint/connector/printer"
	"pullprint/connector/recovery"
	"pullprint/connector/store"
	"pullprint/policy"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
)

// The limits of an order, whose owner stands at the device.
const (
	// orderActs is how many jobs of one order are worked on at once: a quarter of the calls to
	// Graph that may run at once.
	orderActs = 16
	// OrderWithin bounds an order: people do not wait for longer at a device.
	OrderWithin = 20 * time.Second
	// readWithin bounds one read of a job or printer within it: more than half of the order is
	// left for the redirect.
	readWithin = 8 * time.Second
	// AwaitOther is how long an order waits for another goroutine or instance that acts on the
	// same job: a redirect usually takes less.
	AwaitOther = 3 * time.Second
	// awaitTick is how often the record is read meanwhile: a person does not notice the delay.
	awaitTick = 50 * time.Millisecond
)

// ErrNoDevice says that no device has that id.
var ErrNoDevice = errors.New("no such device")

// Releaser releases held jobs to the device where their owner is. It is safe for concurrent
// use and starts no goroutine that outlives a call.
type Releaser struct {
	printers    PrinterReader
	jobs        *job.Store
	queues      printer.Queues
	devices     map[string]printer.Device
	delegations *delegation.Store
	policy      func() *policy.Policy
	evaluator   *evaluate.Evaluator
	effects     *effect.Executor
	clock       clock.Clock
	log         *zap.Logger

	states *cache.TTL[deviceState] // by printer id
}

// PrinterReader reads the state of a printer; *graph.Client is one.
type PrinterReader interface {
	Printer(ctx context.Context, id string) (graph.Printer, error)
}

// Options are what a Releaser is made of. All are required except Registerer.
type Options struct {
	Graph       PrinterReader
	Jobs        *job.Store
	Policy      func() *policy.Policy
	Queues      []printer.Queue
	Devices     []printer.Device
	Delegations *delegation.Store
	Evaluator   *evaluate.Evaluator
	Effects     *effect.Executor
	Clock       clock.Clock
	Registerer  prometheus.Registerer
	Logger      *zap.Logger
}

// New returns a Releaser of held jobs.
func New(o Options) *Releaser {
	r := &Releaser{
		printers: o.Graph, jobs: o.Jobs, queues: printer.NewQueues(o.Queues), devices: map[string]printer.Device{}, policy: o.Policy,
		delegations: tellingDamaged(o.Delegations, store.DamagedRecords(o.Registerer), o.Logger),
		evaluator:   o.Evaluator, effects: o.Effects, clock: o.Clock, log: o.Logger, states: cache.NewTTL[deviceState](stateTTL, maxStates),
	}
	for _, dev := range o.Devices {
		r.devices[dev.ID] = dev
	}
	return r
}

// tellingDamaged is d where each record that can't be read is counted and logged.
func tellingDamaged(d *delegation.Store, damaged *prometheus.CounterVec, log *zap.Logger) *delegation.Store {
	return d.Telling(func(key string) {
		damaged.WithLabelValues(store.RecordDelegation).Inc()
		log.Error("delegation can't be read and does not hold", zap.String("key", key),
			zap.String("remedy", "remove it: pullprint jobs delegate --remove"))
	})
}

// Delegations are those that the releaser was made with, where each record that can't be
// read is counted and logged.
func (r *Releaser) Delegations() *delegation.Store { return r.delegations }

// Devices are the ids of the configured devices, in no order.
func (r *Releaser) Devices() []string { return slices.Collect(maps.Keys(r.devices)) }

// stored is a record as the store has it.
type stored struct {
	rec job.Record
	rev uint64
}

// Waiting lists the jobs that owner can release, oldest first: their own and those of people
// who have delegated to them. With a device, only the jobs that it may release. The cost
// depends on the number of these people's jobs, not of all.
func (r *Releaser) Waiting(ctx context.Context, owner, device string) ([]job.Record, error) {
	list, err := r.waitingRecords(ctx, owner, device)
	if err != nil {
		return nil, err
	}
	recs := make([]job.Record, len(list))
	for i := range list {
		recs[i] = list[i].rec
	}
	return recs, nil
}

func (r *Releaser) waitingRecords(ctx context.Context, owner, device string) ([]stored, error) {
	if _, ok := r.devices[device]; device != "" && !ok {
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
		err := r.jobs.Owned(ctx, o, func(rec job.Record, rev uint64) error {
			if r.waits(&rec, device) {
				list = append(list, stored{rec, rev})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b stored) int {
		return cmp.Or(a.rec.Created.Compare(b.rec.Created), cmp.Compare(len(a.rec.Job), len(b.rec.Job)),
			cmp.Compare(a.rec.Key(), b.rec.Key()))
	})
	return list, nil
}

// waits reports whether a job waits to be released, at a device if one is given.
func (r *Releaser) waits(rec *job.Record, device string) bool {
	q, known := r.queues.At(rec.Printer)
	return (rec.State == job.Held || rec.State == job.Releasing) && known && q.Mode == printer.ModePull &&
		(device == "" || slices.Contains(r.devices[device].Queues, q.Name))
}

// Release carries an order out. Each job is redirected once, however many orders for it run
// at once on whatever instances; a job that fails stays held. A caller whose client may hang
// up should detach ctx from the request, as a job may already be on its way to the printer.
// Crash safety of each job is that of effect.Executor.CarryOut.
func (r *Releaser) Release(ctx context.Context, o Order) (Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, OrderWithin)
	defer cancel()
	dev, ok := r.devices[o.Device]
	if !ok {
		return Outcome{}, fmt.Errorf("%w: %s", ErrNoDevice, o.Device)
	}
	if !o.Set.Variant(policy.Job{Copies: o.Set.Copies}) {
		return Outcome{}, fmt.Errorf("%w: these settings can't be chosen at release", job.ErrInvalid)
	}
	o.Owner = graph.Canonical(o.Owner)
	list, err := r.waitingRecords(ctx, o.Owner, o.Device)
	if err != nil {
		return Outcome{}, err
	}
	list = slices.DeleteFunc(list, func(s stored) bool { return !o.wants(&s.rec) })
	if len(list) == 0 {
		return Outcome{Released: []Released{}, Kept: []Refused{}, Aborted: []Refused{}}, nil
	}
	at := r.destination(ctx, dev)
	defer at.end()
	results := make([]job.Record, len(list))
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
	return outcome(o.Owner, results), nil
}

// one handles one job of an order and returns its record, whose decision has the reason if
// the job is still held.
func (r *Releaser) one(ctx context.Context, o Order, s stored, at *destination, t budgetTurn) job.Record {
	rec := s.rec
	err := recovery.Catch(func() (err error) {
		rec, err = r.untilDone(ctx, o, s, at, t)
		return err
	})
	if err != nil {
		r.log.Warn("job not released", zap.String("job", rec.Job), zap.String("task", rec.Task),
			zap.String("device", o.Device), zap.Error(err))
		code := reasons.GraphUnavailable
		if errors.Is(err, store.ErrUnavailable) {
			code = reasons.StoreUnavailable
		}
		if rec.State != job.Held || errors.Is(err, job.ErrBusy) {
			code = reasons.ReleasePending
		}
		rec = r.unsure(ctx, o, rec, code)
	}
	return rec
}

// unsure records in the audit that a job could not be released now, and returns its record
// with that decision.
func (r *Releaser) unsure(ctx context.Context, o Order, rec job.Record, code string) job.Record {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), AwaitOther) // the order's time may be over
	defer cancel()
	d := r.effects.Decision(&rec, decision.UnsureID(rec.Task), r.evaluator.Own(code, policy.Release, policy.Keep))
	d.Device, d.Actor, d.Asked = o.Device, o.Actor, o.origin()
	told, err := r.keep(ctx, o, rec, d)
	if err != nil {
		r.log.Warn("decision not published", zap.String("job", rec.Job), zap.Error(err))
	}
	return told
}

// untilDone releases a job. While another goroutine or instance acts on the job, it waits up
// to AwaitOther and reads the record again; it resumes the intent of a dead instance.
func (r *Releaser) untilDone(ctx context.Context, o Order, s stored, at *destination, t budgetTurn) (job.Record, error) {
	ended := time.NewTimer(AwaitOther)
	defer ended.Stop()
	tick := time.NewTicker(awaitTick)
	defer tick.Stop()
	for {
		rec, err, resumed := s.rec, job.ErrBusy, false
		switch {
		case s.rev == 0, rec.State.Final():
			return rec, nil
		case rec.State.Intent():
			err := r.effects.Resume(ctx, rec, s.rev, time.Time{})
			if resumed = err == nil; !resumed && !errors.Is(err, job.ErrBusy) {
				return rec, err
			}
		default:
			rec, err = r.act(ctx, o, s, at, t)
		}
		if !errors.Is(err, job.ErrBusy) {
			return rec, err
		}
		if !resumed { // what was resumed has its outcome, however long that took
			select {
			case <-ended.C:
				return rec, job.ErrBusy
			case <-tick.C:
			}
		}
		if s.rec, s.rev, err = r.jobs.Get(ctx, rec.Key()); err != nil {
			return rec, err
		}
	}
}

// act takes one held job from its record to the end of its order. It reads the
// job and asks the policy, stores the intent, and only then calls Graph.
func (r *Releaser) act(ctx context.Context, o Order, s stored, at *destination, t budgetTurn) (job.Record, error) {
	unclaim, ok := r.effects.Claim(s.rec.Key())
	if !ok {
		return s.rec, job.ErrBusy
	}
	defer unclaim()
	j, err := r.read(ctx, s.rec.Ref)
	if graph.IsNotFound(err) || err == nil && readback.AnotherJob(&s.rec, j) {
		return r.effects.MarkGone(ctx, s.rec, s.rev, "graph does not know the job")
	}
	if err != nil {
		return s.rec, fmt.Errorf("read job: %w", err)
	}
	if end := readback.Outcome(&s.rec, j); end != "" {
		return r.effects.FinishEnded(ctx, s.rec, s.rev, j)
	}
	if err := t.wait(ctx); err != nil {
		return s.rec, err
	}
	found, err := r.evaluate(ctx, o, &s.rec, j, at)
	if err != nil {
		return s.rec, err
	}
	v := found.decision
	d := r.evaluator.Decision(decision.ReleaseID(s.rec.Task, s.rev), v, found.shadow, &found.of)
	d.Device, d.Actor, d.Asked = o.Device, o.Actor, o.origin()
	if o.Owner != s.rec.Owner && d.Actor == "" {
		d.Actor = o.Owner
	}
	switch v.Verdict {
	case policy.Redirect:
		d.Set = evaluate.SettingsOf(v.Set.Over(found.of.Set))
		s.rec.Pages = found.of.Pages
		s.rec.Charge = job.Recharged(s.rec.Charge, evaluate.ChargeOf(v, d.ID))
		if len(v.Claims) == 0 {
			s.rec.Charge.TellIn(&d) // what was paid for at arrival stays paid
		}
		s.rec.Release = &job.Release{Device: o.Device, Printer: r.devices[o.Device].PrinterID, At: o.At}
		return r.effects.Redirect(ctx, s.rec, s.rev, d, effect.Cause{StartedAt: o.At, Settings: j.Settings, OnReserved: t.over})
	case policy.Abort:
		return r.effects.Abort(ctx, s.rec, s.rev, d)
	}
	return r.keep(ctx, o, s.rec, d)
}

func (r *Releaser) read(ctx context.Context, ref graph.Ref) (graph.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	return r.effects.ReadJob(ctx, ref)
}
