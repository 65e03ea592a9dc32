package connector_test

import (
	"context"
	"errors"
	"testing"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/policy/quota"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// nameless is Graph that does not tell whose a job is.
type nameless struct{ connector.Graph }

func (g nameless) Job(ctx context.Context, ref graph.Ref) (graph.Job, error) {
	job, err := g.Graph.Job(ctx, ref)
	job.CreatedBy.ID = ""
	return job, err
}

// A job of which nobody knows whose it is is not taken for that of somebody in no
// group: neither is it free, nor does it pass rules about groups, unless the policy
// allows what can't be found out.
func TestOwnerUnknownIsInNoGroup(t *testing.T) {
	racetest.Skip(t, "one policy after the other")
	const rule = `rules: [{name: trainees, at: arrival, when: '"trainees" in user.groups', ` +
		`verdict: abort, reason: no.trainees, text: No., remedy: Ask.}]`
	const budget = `
unmatched: free
allowances: [{name: students, when: '"students" in user.groups', pages: 10, every: week}]`
	for name, c := range map[string]struct{ policy, verdict, reason string }{
		"a rule":              {rule, "abort", reasons.OwnerUnknown},
		"a rule, allowed":     {rule + "\nunknown: {directory: allow}", "complete", ""},
		"a rule, refused":     {rule + "\nunknown: {directory: abort}", "abort", reasons.DirectoryUnavailable},
		"an allowance":        {budget, "abort", reasons.OwnerUnknown},
		"an allowance of all": {`allowances: [{name: all, when: 'true', pages: 10, every: week}]`, "abort", reasons.OwnerUnknown},
		"a shared account":    {`allowances: [{name: lab, when: 'true', account: center/lab, pages: 10, every: week}]`, "complete", ""},
		"nothing about people": {
			`rules: [{name: a, at: arrival, when: 'job.copies > 99', verdict: abort, reason: a.b, text: No., remedy: Ask.}]`, "complete", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, bustest.Open(t), graphtest.Calm())
			l := w.live("", withPolicy(t, c.policy), func(d *connector.Deps) { d.Graph = nameless{d.Graph} })
			id, d := w.print(graphtest.JobSpec{Printer: directID})
			l.worker.Handle(l.ctx, d)
			list := w.audit(t)
			if len(list) != 1 || list[0].Job != id.Job || list[0].Verdict != c.verdict || list[0].Reason != c.reason {
				t.Errorf("%+v, want %s %q", list, c.verdict, c.reason)
			}
		})
	}
}

// groupless is Graph that can't tell the groups of anybody.
type groupless struct{ connector.Graph }

func (groupless) Groups(context.Context, string) ([]graph.Group, error) {
	return nil, errors.New("not now")
}

// That the groups of a person can't be read is not that no allowance is for them.
func TestStandingWithoutDirectory(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	l := w.live("", withPolicy(t, `unmatched: free
allowances: [{name: students, when: '"students" in user.groups', pages: 10, every: week}]`),
		func(d *connector.Deps) { d.Graph = groupless{d.Graph} })
	s, err := l.evaluator.AccountStatus(t.Context(), quota.Account{Kind: quota.User, Name: studentID})
	if err == nil {
		t.Errorf("%+v", s)
	}
}
