package connector

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/held"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/trigger"
	"pullprint/trigger/graph"
)

// question is what the policy is asked about a job, with what came of finding
// out what it needs.
type question struct {
	policy.Request
	job       graph.Job
	pages     *held.Pages
	groupsAge time.Duration
	// paid is what the job has reserved already, and for which try.
	paid *held.Charge
	// left is why the documents must not be opened, if that was to be done.
	left error
}

// decide asks the policy and makes the record; nothing is stored yet.
func (w *Worker) decide(ctx context.Context, ev trigger.Event, job graph.Job, q Queue) (held.Record, error) {
	ask := w.question(job, q, time.Now())
	v, shadow, err := w.ask(ctx, &ask)
	if err == nil {
		err = ask.left
	}
	if err != nil {
		return held.Record{}, err
	}
	if ask.User.ID == "" && v.Verdict == policy.Hold && (q.Mode == ModePull || v.Reason == policy.ReasonDirectoryUnavailable) {
		// Nobody could ever release it, and the directory will never know who it is.
		v = w.own(policy.ReasonOwnerUnknown, policy.Arrival, policy.Abort)
	}
	switch test, err := w.SelfTest.expects(ctx, job); {
	case err != nil:
		return held.Record{}, err
	case test:
		v, shadow = w.own(policy.ReasonSelfTest, policy.Arrival, policy.Abort), nil
	}
	id := ev.Task + ":arrival"
	return held.Record{
		Ref: held.Ref(job.Ref), Task: ev.Task, Definition: ev.Definition, Owner: ask.User.ID, Queue: q.Name,
		State: held.Seen, Created: job.Created, Seen: ask.Now, Pages: ask.pages,
		Decision: w.decision(id, v, shadow, &ask), Charge: chargeOf(v, id),
	}, nil
}

// question is what can be told of a job without asking anybody.
func (w *Worker) question(job graph.Job, q Queue, now time.Time) question {
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
	return question{job: job, Request: policy.Request{
		Point: policy.Arrival, Job: in, User: user, Queue: policy.Queue{Name: q.Name, Mode: q.Mode}, Now: now,
	}}
}

// ask has the policy decide, and the one that is tried out beside it, if there
// is one. What neither looks at isn't asked for; what can't be found out is
// missing, and they know what to do then. The error is that of a context that
// ended, or says that the documents can't be opened right now.
func (w *Worker) ask(ctx context.Context, ask *question) (live policy.Decision, shadow *policy.Decision, err error) {
	p, next := w.Policy(), w.next()
	needs := p.Needs(ask.Point, ask.Queue.Mode)
	if next != nil {
		needs = needs.And(next.Needs(ask.Point, ask.Queue.Mode))
	}
	w.groupsOf(ctx, needs, ask)
	w.pagesOf(ctx, p, needs, ask)
	if err := ctx.Err(); err != nil {
		return live, nil, err
	}
	if ask.left != nil && !errors.Is(ask.left, errCrashed) {
		return live, nil, ask.left
	}
	bare := *ask
	ask.Request = w.budget(ctx, p, bare)
	live = p.Decide(ask.Request)
	if next != nil {
		s := next.Decide(w.budget(ctx, next, bare))
		if s.Shadow != nil {
			s = *s.Shadow
		}
		shadow = &s
	}
	return live, shadow, ctx.Err()
}

// next is the policy that is tried out beside the one in force; nil when there
// is none.
func (w *Worker) next() *policy.Policy {
	if w.Next == nil {
		return nil
	}
	return w.Next()
}

// groupsOf asks the directory for what is needed of the owner.
func (w *Worker) groupsOf(ctx context.Context, needs policy.Needs, ask *question) {
	if ask.User.ID == "" {
		if needs.Groups { // whose job it is isn't known: that is not to be in no group
			ask.Missing = append(ask.Missing, policy.Directory)
		}
		return
	}
	if needs.Groups {
		m, err := w.groups.of(ctx, ask.User.ID)
		if err != nil {
			w.log.Warn("groups not read", zap.String("job", ask.job.Ref.Job), zap.Error(err))
			ask.Missing = append(ask.Missing, policy.Directory)
		}
		ask.User.Groups, ask.groupsAge = m.groups, m.age(ask.Now)
	}
	if needs.Language {
		ask.User.Language = w.groups.language(ctx, ask.User.ID)
	}
}

// pagesOf finds out how long the documents are, if that is needed now, or will
// be when the job is released: nobody shall wait for it at the device.
func (w *Worker) pagesOf(ctx context.Context, p *policy.Policy, needs policy.Needs, ask *question) {
	later := ask.Point == policy.Arrival && ask.Queue.Mode == ModePull && p.Needs(policy.Release, ModePull).Pages
	if !needs.Pages && !later {
		return
	}
	if ask.pages == nil || (ask.pages.Unknown != "" && ask.Point == policy.Release) {
		ask.pages = w.count(ctx, p, ask)
	}
	ask.Job.Pages = ask.pages.Count
	if ask.pages.Unknown != "" && !ask.pages.Estimated {
		ask.Missing = append(ask.Missing, policy.Document)
	}
}

// count looks into the documents; what can't be counted is estimated, if the
// policy says how.
func (w *Worker) count(ctx context.Context, p *policy.Policy, ask *question) *held.Pages {
	out := &held.Pages{}
	if w.Pages == nil || !p.Counts() {
		out.Unknown = "pages are not counted"
	} else {
		if err := w.open(ctx, ask, out); err != nil {
			out.Count, out.Unknown = 0, err.Error()
		}
	}
	result := "counted"
	if out.Unknown != "" {
		result = "unknown"
		if n, ok := p.Estimate(ask.Job.Size); ok {
			out.Count, out.Estimated, result = n, true, "estimated"
		}
	}
	w.Metrics.pages.WithLabelValues(result).Inc()
	return out
}

// open counts the pages of the documents. That is what a process is most likely to
// die at: it is noted before.
func (w *Worker) open(ctx context.Context, ask *question, out *held.Pages) (err error) {
	if len(ask.job.Documents) == 0 {
		return errors.New("the job has no document")
	}
	ctx, end, err := w.noted.begin(ctx, held.Ref(ask.job.Ref))
	if err != nil {
		ask.left = err
		return err
	}
	defer func() { end(err == nil) }()
	for _, d := range ask.job.Documents {
		n, err := w.Pages(ctx, ask.job.Ref, d)
		if err != nil {
			w.log.Info("pages not counted", zap.String("job", ask.job.Ref.Job), zap.String("type", d.ContentType), zap.Error(err))
			return err
		}
		out.Count += n
	}
	return nil
}

// budget is the request with those who pay, and what they have.
func (w *Worker) budget(ctx context.Context, p *policy.Policy, ask question) policy.Request {
	req := ask.Request
	req.Budget = policy.Budget{}
	if !p.Needs(req.Point, req.Queue.Mode).Balances {
		return req
	}
	req.Budget = p.Budget(req)
	personal := slices.ContainsFunc(req.Budget.Claims, func(c quota.Claim) bool { return c.Account.Kind == quota.User })
	if len(req.Budget.Claims) == 0 || (req.User.ID == "" && personal) {
		return req
	}
	balances, err := w.balances(ctx, req.Budget.Claims, held.Ref(ask.job.Ref), ask.paid != nil || p.ReservesAtArrival(), req.Now)
	if err != nil {
		w.log.Warn("balances not read", zap.String("job", ask.job.Ref.Job), zap.Error(err))
		req.Missing = append(slices.Clone(req.Missing), policy.Ledger)
		return req
	}
	req.Budget.Balances = balances
	return req
}

// own is a decision of the program itself.
func (w *Worker) own(code string, at policy.Point, v policy.Verdict) policy.Decision {
	d := policy.Own(code)
	d.Point, d.Verdict, d.PolicyHash = at, v, w.Policy().Hash()
	return d
}

// decision is the audit record of what was decided on a question.
func (w *Worker) decision(id string, v policy.Decision, shadow *policy.Decision, ask *question) held.Decision {
	d := held.Decision{
		ID: id, At: ask.Now, Point: string(v.Point), Verdict: string(v.Verdict), Reason: v.Reason, Rule: v.Rule,
		Text: v.Text, Remedy: v.Remedy, IPP: v.IPP, Policy: v.PolicyHash, Error: v.Err, By: w.Instance,
		Set: settings(v.Set), SetBy: v.SetBy, Variant: settings(v.Variant), Cost: v.Cost, Input: input(ask),
	}
	if shadow == nil {
		shadow = v.Shadow
	}
	if s := shadow; s != nil && (v.Shadow != nil || s.Verdict != v.Verdict || s.Reason != v.Reason || s.Set != v.Set) {
		d.Shadow = &held.Shadow{
			Verdict: string(s.Verdict), Reason: s.Reason, Rule: s.Rule, Text: s.Text, Remedy: s.Remedy, Error: s.Err,
			Policy: s.PolicyHash, Cost: s.Cost,
		}
	}
	for _, u := range v.Unknown {
		d.Unknown = append(d.Unknown, held.Unknown{Dependency: string(u.Dependency), Mode: string(u.Mode)})
	}
	for i := range v.Claims {
		d.Accounts = append(d.Accounts, v.Claims[i].Account.Key())
	}
	return d
}

func settings(s policy.Settings) *held.Settings {
	if s == (policy.Settings{}) {
		return nil
	}
	h := held.Settings(s)
	return &h
}

// input is what the policy saw, so that it can be asked again.
func input(ask *question) held.Input {
	j := &ask.Job
	in := held.Input{
		Mode: ask.Queue.Mode, Copies: j.Copies, Color: j.Color, Duplex: j.Duplex, MediaSize: j.MediaSize,
		ContentType: j.ContentType, Size: j.Size, Created: j.Created, Groups: ask.User.Groups, GroupsAge: int64(ask.groupsAge / time.Second),
		Language: ask.User.Language, Pages: ask.pages, PagesPerSheet: j.PagesPerSheet,
	}
	for _, r := range j.Ranges {
		in.Ranges = append(in.Ranges, held.Range(r))
	}
	for _, m := range ask.Missing {
		in.Missing = append(in.Missing, string(m))
	}
	for _, b := range ask.Budget.Balances {
		in.Balances = append(in.Balances, account(b))
	}
	return in
}

func account(b quota.Balance) held.Account {
	return held.Account{Key: b.Account.Key(), Limit: b.Limit + b.Carried + b.Adjusted, Spent: b.Spent, Reserved: b.Reserved, Left: b.Left}
}
