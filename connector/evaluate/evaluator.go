// Package evaluate gathers what a policy needs to know of a job (groups, pages, balances, a
// printer's defaults), has the policy decide, and makes the decision's record. It changes nothing at
// Graph or in the store.
package evaluate

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pullprint/connector/decision"
	"pullprint/connector/index"
	"pullprint/connector/inflight"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/policy/reasons"
	"pullprint/trigger"
	"pullprint/trigger/graph"
)

// Evaluator gathers the input of a policy and evaluates it. It changes nothing.
type Evaluator struct {
	policy    func() *policy.Policy
	shadow    func() *policy.Policy
	pages     func(ctx context.Context, job graph.Ref, d graph.Document) (int, error)
	ledger    BalanceReader
	groups    *groupCache
	defaults  *printerDefaults
	queues    printer.Queues
	selfTests SelfTests // may be nil
	inflight  *inflight.Notes
	counts    *prometheus.CounterVec // of page counts, by result
	log       *zap.Logger
	instance  string
}

// BalanceReader reads accounts; *ledger.Ledger is one.
type BalanceReader interface {
	Balances(ctx context.Context, claims []quota.Claim, now time.Time) ([]quota.Balance, error)
	View(ctx context.Context, a quota.Account) (ledger.View, error)
}

// Options are what an evaluator is made of. All are required except Shadow, Pages,
// SelfTests, GroupTTL and Registerer.
type Options struct {
	Graph  Graph
	Policy func() *policy.Policy
	// Shadow returns the policy that is tried out: what it would decide is recorded. It may
	// return nil.
	Shadow func() *policy.Policy
	// Pages counts the pages of a document; without it no pages are counted.
	Pages  func(ctx context.Context, job graph.Ref, d graph.Document) (int, error)
	Ledger BalanceReader
	Queues []printer.Queue
	// SelfTests knows the jobs of self-tests; nil when there are none.
	SelfTests SelfTests
	// GroupTTL is how long the groups of a person are cached; 0 is the default.
	GroupTTL   time.Duration
	Inflight   *inflight.Notes
	Instance   string
	Registerer prometheus.Registerer
	Logger     *zap.Logger
}

// Graph is what an evaluator needs of Microsoft Graph; *graph.Client is one.
type Graph interface {
	Attributes(ctx context.Context, printer string) (graph.Attributes, error)
	Groups(ctx context.Context, user string) ([]graph.Group, error)
	Language(ctx context.Context, user string) (string, error)
}

// SelfTests recognises the jobs of self-tests.
type SelfTests interface {
	Expects(ctx context.Context, job graph.Job) (bool, error)
}

// New returns an Evaluator whose caches are empty.
func New(o Options) *Evaluator {
	if o.Shadow == nil {
		o.Shadow = func() *policy.Policy { return nil }
	}
	return &Evaluator{
		policy: o.Policy, shadow: o.Shadow, pages: o.Pages, ledger: o.Ledger, groups: newGroupCache(o.Graph, o.GroupTTL),
		defaults: newPrinterDefaults(o.Graph), queues: printer.NewQueues(o.Queues), selfTests: o.SelfTests, inflight: o.Inflight,
		counts: newPageCounts(o.Registerer), log: o.Logger, instance: o.Instance,
	}
}

// Evaluation is the request to the policy about a job, with the results of reading what the
// policy needs.
type Evaluation struct {
	policy.Request
	job       graph.Job
	Pages     *decision.Pages
	groupsAge time.Duration
	// Set is what is laid over the job's settings before rules at release see it: they
	// decide on exactly what is sent to Graph.
	Set policy.Settings
	// Paid is what the job has reserved already, and for which try.
	Paid *job.Charge
	// Unsaid is true when the job has no number of copies: one of the printers decides.
	Unsaid   bool
	Printers []string
	// blocked is why the documents could not be opened although they were needed.
	blocked error
}

// NewRecord asks the policy and makes the record; nothing is stored yet.
func (e *Evaluator) NewRecord(ctx context.Context, ev trigger.Event, j graph.Job, q printer.Queue) (job.Record, error) {
	eval := e.Begin(j, q, time.Now())
	v, shadow, err := e.Evaluate(ctx, &eval)
	if err == nil {
		err = eval.blocked
	}
	if err != nil {
		return job.Record{}, err
	}
	if eval.User.ID == "" && v.Verdict == policy.Hold &&
		(q.Mode == printer.ModePull || v.Reason == reasons.DirectoryUnavailable) {
		// Such a job could never be released: the directory does not know its owner.
		v = e.Own(reasons.OwnerUnknown, policy.Arrival, policy.Abort)
	}
	if e.selfTests != nil {
		switch test, err := e.selfTests.Expects(ctx, j); {
		case err != nil:
			return job.Record{}, err
		case test:
			v, shadow = e.Own(reasons.SelfTest, policy.Arrival, policy.Abort), nil
		}
	}
	id := decision.ArrivalID(ev.Task)
	d := e.Decision(id, v, shadow, &eval)
	d.Asked = decision.AskedByArrival
	return job.Record{
		Ref: j.Ref, Task: ev.Task, Definition: ev.Definition, Owner: eval.User.ID, Queue: q.Name,
		State: job.Seen, Created: j.Created, Seen: eval.Now, Pages: eval.Pages,
		Decision: d, Charge: ChargeOf(v, id),
	}, nil
}

// Begin has what is known of a job without any call.
func (e *Evaluator) Begin(job graph.Job, q printer.Queue, now time.Time) Evaluation {
	in := Sent(job.Configuration)
	in.Created = job.Created
	for i, d := range job.Documents {
		in.Size += d.Size
		if i == 0 {
			in.ContentType = d.ContentType
		}
	}
	user := policy.User{UPN: job.CreatedBy.UserPrincipalName}
	if graph.ValidID(job.CreatedBy.ID) {
		user.ID = job.CreatedBy.ID
	}
	var missing []policy.Dependency
	if job.Configuration.PaperUnknown {
		missing = append(missing, policy.Document) // how much it prints is as unknown as with a document that can't be read
	}
	return Evaluation{job: job, Request: policy.Request{
		Point: policy.Arrival, Job: in, User: user, Queue: policy.Queue{Name: q.Name, Mode: q.Mode}, Now: now, Missing: missing,
	}, Unsaid: job.Configuration.Copies == 0, Printers: []string{job.Ref.Printer}}
}

// Evaluate has the policy decide, and the policy in shadow if there is one. It reads only
// what one of them needs; what can't be read is marked as missing in the request. The error
// is that of ctx, or says that the documents can't be opened now.
func (e *Evaluator) Evaluate(
	ctx context.Context, eval *Evaluation,
) (live policy.Decision, shadow *policy.Decision, err error) {
	p, next := e.policy(), e.shadow()
	needs := p.Needs(eval.Point, eval.Queue.Mode)
	if next != nil {
		needs = needs.And(next.Needs(eval.Point, eval.Queue.Mode))
	}
	e.readGroups(ctx, needs, eval)
	e.ReadCopies(ctx, needs, eval)
	e.readSides(ctx, needs, eval)
	e.readPages(ctx, p, needs, eval)
	if err := ctx.Err(); err != nil {
		return live, nil, err
	}
	if eval.blocked != nil && !errors.Is(eval.blocked, inflight.ErrCrashed) {
		return live, nil, eval.blocked
	}
	bare := *eval
	eval.Request = e.withBalances(ctx, p, bare)
	live = p.Decide(eval.Request)
	if next != nil {
		s := next.Decide(e.withBalances(ctx, next, bare))
		if s.Shadow != nil {
			s = *s.Shadow
		}
		shadow = &s
	}
	return live, shadow, ctx.Err()
}

// readGroups reads what the policy needs of the owner from the directory.
func (e *Evaluator) readGroups(ctx context.Context, needs policy.Needs, eval *Evaluation) {
	if eval.User.ID == "" {
		if needs.Groups { // whose job it is isn't known: that is not to be in no group
			eval.Missing = append(eval.Missing, policy.Directory)
		}
		return
	}
	if needs.Groups {
		m, err := e.groups.of(ctx, eval.User.ID)
		if err != nil {
			e.log.Warn("groups not read", zap.String("job", eval.job.Ref.Job), zap.Error(err))
			eval.Missing = append(eval.Missing, policy.Directory)
		}
		eval.User.Groups, eval.groupsAge = m.groups, m.age(eval.Now)
	}
	if needs.Language {
		eval.User.Language = e.groups.language(ctx, eval.User.ID)
	}
}

// readPages counts the pages of the documents if the policy needs the number now or at
// release. It is done now so that nobody waits for it at the device.
func (e *Evaluator) readPages(ctx context.Context, p *policy.Policy, needs policy.Needs, eval *Evaluation) {
	later := eval.Point == policy.Arrival && eval.Queue.Mode == printer.ModePull && p.Needs(policy.Release, printer.ModePull).Pages
	if !needs.Pages && !later {
		return
	}
	if eval.Pages == nil || (eval.Pages.Unknown != "" && eval.Point == policy.Release) {
		eval.Pages = e.countPages(ctx, p, eval)
	}
	eval.Job.Pages = eval.Pages.Count
	if eval.Pages.Unknown != "" && !eval.Pages.Estimated {
		eval.Missing = append(eval.Missing, policy.Document)
	}
}

// withBalances is the request with the accounts that pay and their balances.
func (e *Evaluator) withBalances(ctx context.Context, p *policy.Policy, eval Evaluation) policy.Request {
	req := eval.Request
	req.Budget = policy.Budget{}
	if !p.Needs(req.Point, req.Queue.Mode).Balances {
		return req
	}
	req.Budget = p.Budget(req)
	personal := slices.ContainsFunc(req.Budget.Claims, func(c quota.Claim) bool { return c.Account.Kind == quota.User })
	if len(req.Budget.Claims) == 0 || (req.User.ID == "" && personal) {
		return req
	}
	balances, err := e.balances(ctx, req.Budget.Claims, eval.job.Ref, eval.Paid != nil || p.ReservesAtArrival(),
		req.Now)
	if err != nil {
		e.log.Warn("balances not read", zap.String("job", eval.job.Ref.Job), zap.Error(err))
		req.Missing = append(slices.Clone(req.Missing), policy.Ledger)
		return req
	}
	req.Budget.Balances = balances
	return req
}

// balances are those of claims, without what the job itself has reserved.
func (e *Evaluator) balances(ctx context.Context, claims []quota.Claim, ref graph.Ref, mine bool, now time.Time) ([]quota.Balance, error) {
	list, err := e.ledger.Balances(ctx, claims, now)
	if err != nil || !mine {
		return list, err
	}
	for i := range list {
		view, err := e.ledger.View(ctx, list[i].Account)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(view.Reservations, func(r quota.Reservation) bool { return r.Job == ref.Name() })
		if at < 0 || !view.Reservations[at].Periods[claims[i].Period.String()].Equal(list[i].Start) {
			continue // what it set aside in an earlier period is not in this one's
		}
		own := view.Reservations[at].Amount
		list[i].Reserved -= own
		if left, err := list[i].Left.Add(own); err == nil { // else it is the most that can be counted
			list[i].Left = left
		}
	}
	return list, nil
}

// ChargeOf is what a decision to print costs; nil when nobody pays.
func ChargeOf(v policy.Decision, attempt string) *job.Charge {
	if len(v.Claims) == 0 || v.Verdict == policy.Keep || v.Verdict == policy.Abort {
		return nil
	}
	return &job.Charge{Amount: v.Cost, Claims: v.Claims, Attempt: attempt, AtArrival: v.Verdict == policy.Hold}
}

// NeedsDecision reports whether a held job has to be decided again: a job of a direct queue
// when the policy has changed, or when the queue was a pull queue before; any job that was
// held because something could not be reached.
func (e *Evaluator) NeedsDecision(entry index.Entry, q printer.Queue) bool {
	if entry.State != job.Held {
		return false
	}
	outdated := entry.Policy != e.policy().Hash() || entry.Mode == printer.ModePull
	return (q.Mode == printer.ModeDirect && outdated) || reasons.Waits(entry.Reason)
}

// Own is a decision that no policy makes.
func (e *Evaluator) Own(code string, at policy.Point, v policy.Verdict) policy.Decision {
	d := policy.Own(code)
	d.Point, d.Verdict, d.PolicyHash = at, v, e.policy().Hash()
	return d
}
