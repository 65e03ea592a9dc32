package daemon_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/connector/job/paper"
	"pullprint/connector/privacy"
	"pullprint/policy"
	"pullprint/policy/policyfile"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
)

type submitted struct {
	graphtest.JobSpec
	at time.Time
}

type skew struct {
	from  time.Time
	ahead time.Duration
}

func (n *nemesis) skewed(from, to time.Time) bool {
	for i, s := range n.skews {
		until := to
		if i+1 < len(n.skews) {
			until = n.skews[i+1].from
		}
		if s.ahead != 0 && !s.from.After(to) && !until.Before(from) {
			return true
		}
	}
	return false
}

type tapped struct {
	user, device string
	from, to     time.Time
}

func (n *nemesis) settle() {
	for began := time.Now(); time.Since(began) < settleWithin; {
		pass(time.Minute)
		n.supervise()
		if len(n.open()) == 0 {
			pass(3 * time.Minute) // what the sweep looks at once more
			if len(n.open()) == 0 {
				return
			}
		}
	}
	n.ends = append(n.ends, n.open()...)
}

func (n *nemesis) records() map[graph.Ref]job.Record {
	all := map[graph.Ref]job.Record{}
	if err := n.lives[0].bus.Jobs().Each(n.ctx(), ">", func(_ string, value []byte, _ uint64) error {
		var rec job.Record
		err := json.Unmarshal(value, &rec)
		all[rec.Ref] = rec
		return err
	}); err != nil {
		n.t.Fatal(err)
	}
	return all
}

func (n *nemesis) ctx() context.Context { return n.t.Context() }

func (n *nemesis) open() (open []string) {
	recs := n.records()
	for _, id := range slices.Concat(n.ids, n.guests) {
		rec := recs[graph.Ref(id)]
		j, there := n.sim.Job(id)
		ended := !there || j.State == "completed" || j.State == "aborted" || j.State == "canceled"
		if rest := rec.State == job.Held && !ended || rec.State.Final() && ended || rec.State == "" && ended; !rest || rec.Followed() {
			open = append(open, fmt.Sprintf("job %s is %q here and %s at Graph: %+v", id, rec.State, j.State, rec.Trail))
		}
	}
	return open
}

func (n *nemesis) judge() (wrong []string) {
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	wrong = append(wrong, n.ends...)
	wrong = append(wrong, n.sim.Audit()...)
	told := map[graph.Ref][]decision.Decision{}
	if err := n.lives[0].bus.Decisions(n.ctx(), time.Time{}, false, func(_ time.Time, body []byte) error {
		var d decision.Decision
		err := json.Unmarshal(body, &d)
		told[d.Ref] = append(told[d.Ref], d)
		return err
	}); err != nil {
		n.t.Fatal(err)
	}
	recs := n.records()
	printed := map[string]quota.Amount{}
	for _, s := range n.sim.Paper() {
		printed[s.User] += quota.Amount(s.Pages*s.Copies) * quota.Unit
		if spec := n.jobs[s.Lineage]; spec.Printer == pullID && !n.stood(s) && !(n.direct && s.Job.Printer == pullID) {
			bad("job %s of %s came out at %s at %s, where nobody stood: %+v", s.Lineage, s.User, s.Job.Printer, s.At, n.taps)
		}
	}
	for _, id := range n.ids {
		j, _ := n.sim.Job(id)
		verdicts := []string{"abort"}
		if j.Effects.AbortApplied == 0 {
			// That it may go on is told, not always where: Graph may refuse a redirect that it made,
			// and agree to a job's completion afterwards, when its queue is direct by then.
			verdicts = []string{"redirect", "complete"}
		}
		told := told[graph.Ref(id)]
		if (j.Effects.AbortApplied > 0 || finished(j) || j.Effects.RedirectApplied > 0) &&
			!slices.ContainsFunc(told, func(d decision.Decision) bool { return slices.Contains(verdicts, d.Verdict) }) {
			bad("job %s: none of %q is in the audit: %+v; record %+v; at Graph %+v", id, verdicts, told, recs[graph.Ref(id)], j)
		}
	}
	for ref, rec := range recs {
		if result := n.onPaper(graphtest.JobID(ref), rec); result != "" {
			bad("job %s: %s: %+v, %+v", ref, result, rec.Paper, rec.Trail)
		}
	}
	for id, j := range n.jobs {
		trail := recs[graph.Ref(id)].Trail
		at := slices.IndexFunc(trail, func(s job.Step) bool { return s.Note == "hold.expired" })
		if at < 0 {
			continue
		}
		since := trail[0].At // for the last time: a job that came back is held anew
		for _, s := range trail[:at] {
			if s.State == job.Held {
				since = s.At
			}
		}
		if n.skewed(j.at, since) {
			continue
		}
		if after := trail[at].At.Sub(j.at); after < nemesisHold {
			bad("job %s expired %s after it came", id, after)
		}
	}
	for user, limit := range map[string]int64{studentID: 100_000, teacherID: 30} {
		b := n.balance(user)
		if b.Spent+b.Reserved != printed[user] {
			bad("%s printed %s pages and has spent %s, reserved %s", user, printed[user], b.Spent, b.Reserved)
		}
		if printed[user] > quota.Amount(limit)*quota.Unit {
			bad("%s printed %s pages of %d", user, printed[user], limit)
		}
	}
	return wrong
}

// onPaper says what is wrong with what a record says of the paper: a job that was let go on has one
// result, and printed if that says so; no other has any.
func (n *nemesis) onPaper(id graphtest.JobID, rec job.Record) string {
	results := 0
	for _, s := range rec.Trail {
		switch {
		case strings.HasPrefix(s.Note, "paper: "):
			results++
		case !s.State.Final():
			results = 0 // it came back
		}
	}
	prints := n.sim.Prints(id)
	switch {
	case !rec.LetGo():
		if rec.Paper != nil || results > 0 {
			return "it was not let go on, and has a result"
		}
	case rec.Paper == nil || rec.Paper.State == paper.Pending || results != 1:
		return fmt.Sprintf("%d results", results)
	case rec.Paper.State != paper.Unknown && (rec.Paper.State == paper.Printed) != (prints == 1):
		return fmt.Sprintf("it printed %d times", prints)
	}
	return ""
}

func (n *nemesis) forgotten() (wrong []string) {
	if !n.erased {
		return nil
	}
	for _, id := range n.guests {
		_ = n.sim.CancelJob(id) // if it waits
	}
	pass(5 * time.Minute)
	if code := n.erase(); code != http.StatusOK {
		return []string{fmt.Sprintf("the guest can't be erased: %d", code)}
	}
	pass(time.Minute)
	var left privacy.Person
	if code := n.lives[0].ask(adminToken, http.MethodPost, "/v1/people/"+guestID+"/export", "", &left); code != http.StatusOK {
		return []string{fmt.Sprintf("what is known of the guest: %d", code)}
	}
	left.Audit = nil // that they were erased
	if !left.None() {
		wrong = append(wrong, fmt.Sprintf("what is left of the guest: %+v", left))
	}
	return wrong
}

func finished(job graphtest.JobSnapshot) bool {
	return job.State == "completed" && job.RedirectedTo == (graphtest.JobID{}) && job.Effects.FinishApplied > 0
}

func (n *nemesis) stood(s graphtest.Sheet) bool {
	return slices.ContainsFunc(n.taps, func(t tapped) bool {
		who := t.user == s.User || n.lent && s.User == studentID && t.user == teacherID
		return who && t.device == s.Job.Printer && !s.At.Before(t.from) && s.At.Before(t.to.Add(45*time.Second))
	})
}

func (n *nemesis) balance(user string) quota.Balance {
	p, err := policyfile.Load("policy.yaml", []byte(nemesisPolicy))
	if err != nil {
		n.t.Fatal(err)
	}
	who := policy.User{ID: user}
	if user == studentID {
		who.Groups = []string{"students"}
	}
	b := n.lives[0].bus
	list, err := ledger.New(b.Quota(), b, rand.Text).Balances(n.ctx(), p.Budget(policy.Request{User: who}).Claims, time.Now())
	if err != nil || len(list) != 1 {
		n.t.Fatal(list, err)
	}
	return list[0]
}
