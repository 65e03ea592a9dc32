package admin

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/trigger/graph"
)

// storedRecord is a record of the audit with when it was stored.
type storedRecord struct {
	at time.Time
	v  any
}

// recordedAudit has decisions and actions; err ends reading decisions.
type recordedAudit struct {
	Audit
	decisions, actions []storedRecord
	err                error
}

func each(list []storedRecord, since time.Time, fn func(time.Time, []byte) error) error {
	for _, r := range list {
		body, err := json.Marshal(r.v)
		if err == nil && !r.at.Before(since) {
			err = fn(r.at, body)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *recordedAudit) Decisions(_ context.Context, since time.Time, _ bool, fn func(time.Time, []byte) error) error {
	if err := each(r.decisions, since, fn); err != nil {
		return err
	}
	return r.err
}

func (r *recordedAudit) Actions(_ context.Context, since time.Time, _ bool, fn func(time.Time, []byte) error) error {
	return each(r.actions, since, fn)
}

// A trace has what happened to one job, in order: what was asked for before what was decided,
// and that before what was done, in one moment; of the audit only what was stored around the
// job's life.
func TestTrace(t *testing.T) {
	began := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return began.Add(d) }
	ours, other := graph.Ref{Printer: "p", Job: "1"}, graph.Ref{Printer: "p", Job: "2"}
	tapped, long := at(time.Minute), TraceMargin+time.Minute
	rec := job.Record{
		Ref: ours, Queue: "Follow-Me", State: job.Released, Created: at(-time.Second), Seen: began,
		Trail: []job.Step{{State: job.Held, At: at(time.Second)}, {State: job.Released, At: tapped}},
	}
	audit := &recordedAudit{
		decisions: []storedRecord{
			{at(-long), decision.Decision{Ref: ours, At: at(-long), Verdict: "of an earlier job of this number"}},
			{began, "no decision"},
			{began, decision.Decision{Ref: other, At: began, Verdict: "hold"}},
			{at(time.Second), decision.Decision{Ref: ours, At: at(time.Second), Verdict: "hold"}},
			{tapped, decision.Decision{Ref: ours, At: tapped, Verdict: "redirect", Asked: decision.AskedByToken, Actor: "helpdesk"}},
			{tapped.Add(long), decision.Decision{Ref: ours, At: tapped, Verdict: "of a later job of this number"}},
			{tapped.Add(long), decision.Decision{Ref: ours, At: tapped, Verdict: "never read"}},
		},
		actions: []storedRecord{
			{tapped, apiclient.Action{Ref: ours, At: tapped, Action: "release", Actor: "helpdesk"}}, {tapped, apiclient.Action{Ref: other}},
		},
	}
	a := &API{Deps: Deps{Audit: audit}}
	events, complete, err := a.trace(t.Context(), &rec)
	if err != nil || !complete {
		t.Fatal(complete, err)
	}
	var got []string
	for _, e := range events {
		got = append(got, e.Kind+" "+string(e.State)+e.Verdict+e.Note)
	}
	want := []string{
		"created sent to Follow-Me", "decision hold", "state held", "action release", "decision redirect", "state released",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if why := events[4].Why(); why != "asked with the API token helpdesk" {
		t.Errorf("%q", why)
	}
	rec.State = job.Held // one that has ended needs no more of the audit
	audit.err = errors.New("the store does not answer")
	if _, _, err := a.trace(t.Context(), &rec); !errors.Is(err, audit.err) {
		t.Errorf("the store does not answer: %v", err)
	}
}

// A number that a printer gives once more, within the margin of the clocks, shows nothing of the other person's job.
func TestTraceOfReusedNumber(t *testing.T) {
	const owner, other = "11111111-2222-4333-8444-55555555555a", "66666666-7777-4888-8999-aaaaaaaaaaaa"
	now, ref := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC), graph.Ref{Printer: "p", Job: "1"}
	rec := job.Record{Ref: ref, Owner: owner, State: job.Held, Seen: now}
	decided := func(owner, verdict string) storedRecord {
		return storedRecord{now, decision.Decision{Ref: ref, Owner: owner, At: now, Verdict: verdict}}
	}
	acted := func(owner, action string) storedRecord {
		return storedRecord{now, apiclient.Action{Ref: ref, Owner: owner, At: now, Action: action}}
	}
	a := &API{Deps: Deps{Audit: &recordedAudit{
		decisions: []storedRecord{decided(other, "abort"), decided(strings.ToUpper(owner), "hold"), decided("", "keep")},
		actions:   []storedRecord{acted(other, "cancel"), acted(owner, "release")},
	}}}
	events, _, err := a.trace(t.Context(), &rec)
	var got []string
	for _, e := range events {
		got = append(got, e.Verdict+e.Note)
	}
	if want := []string{"release", "hold", "keep"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, want %q, %v", got, want, err)
	}
}

// hangingAudit answers when its time is over.
type hangingAudit struct{ Audit }

func (hangingAudit) Decisions(ctx context.Context, _ time.Time, _ bool, _ func(time.Time, []byte) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// A trace that takes too long to read has what the record says, and says that it is not all.
func TestTraceThatTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := job.Record{Seen: time.Now(), Trail: []job.Step{{State: job.Held, At: time.Now()}}}
		events, complete, err := (&API{Deps: Deps{Audit: hangingAudit{}}}).trace(t.Context(), &rec)
		if err != nil || complete || len(events) != 1 {
			t.Errorf("%v, complete %t, %v", events, complete, err)
		}
	})
}
