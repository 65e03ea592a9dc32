package at

import (
	"context"
	"maps"
	"slices"

	"go.uber.org/zap"

	"pullprint/connector/console/view"
	"pullprint/connector/display"
	"pullprint/connector/job"
	"pullprint/connector/job/paper"
	"pullprint/connector/recovery"
	"pullprint/connector/release"
	"pullprint/trigger/graph"
)

// told is what Graph says for a page beyond what is stored.
type told struct {
	printer release.Readiness
	titles  map[graph.Ref]string
	names   map[string]string
	states  map[graph.Ref]graph.JobState
	caller  string
}

// title is the title of a job, or else its queue.
func (t *told) title(rec *job.Record) string {
	if title := t.titles[rec.Ref]; title != "" {
		return title
	}
	return rec.Queue
}

// read asks Graph for what a page shows; what can't be read within view.Within is left out.
func (p *Pages) read(
	ctx context.Context, v visitor, quotes []release.Quote, recent []job.Record, out *release.Outcome,
) (t told) {
	ctx, cancel := context.WithTimeout(ctx, view.Within)
	defer cancel()
	var own, of []view.Owned
	t.names = map[string]string{}
	add := func(owner string, ref graph.Ref) {
		if owner == v.who.Person {
			own = append(own, view.Owned{Ref: ref, Owner: owner})
			return
		}
		of = append(of, view.Owned{Ref: ref, Owner: owner})
		t.names[owner] = owner
	}
	for i := range quotes {
		add(quotes[i].Owner, quotes[i].Ref)
	}
	for i := range recent {
		add(recent[i].Owner, recent[i].Ref)
	}
	for _, r := range slices.Concat(out.Aborted, out.Kept) {
		if is := func(o view.Owned) bool { return o.Ref == r.Ref }; !slices.ContainsFunc(own, is) && !slices.ContainsFunc(of, is) {
			of = append(of, view.Owned{Ref: r.Ref}) // it is not said whose it is; it was read just now
		}
	}
	var ownTitles, otherTitles map[graph.Ref]string
	reads := []func(){
		func() { t.printer = p.Releaser.Readiness(ctx, v.device.ID) },
		func() { ownTitles = p.Site.Titles(ctx, display.Full, own) },
		func() { otherTitles = p.Site.Titles(ctx, p.OthersTitles, of) },
		func() { t.states = p.states(ctx, recent) },
		func() { t.caller = p.Callers.PageFor(ctx, v.who, "").Caller },
		func() {
			for id := range t.names {
				if name := p.Site.Person(ctx, id).Display; name != "" {
					t.names[id] = name
				}
			}
		},
	}
	if err := recovery.Each(len(reads), len(reads), func(i int) { reads[i]() }); err != nil {
		p.log.Debug("page shown without what could not be read", zap.Error(err))
	}
	t.titles = map[graph.Ref]string{}
	maps.Copy(t.titles, ownTitles)
	maps.Copy(t.titles, otherTitles)
	return t
}

// states are how far jobs are that are followed to their end, as many as a page releases at once.
func (p *Pages) states(ctx context.Context, recent []job.Record) map[graph.Ref]graph.JobState {
	jobs := make([]graph.Ref, min(len(recent), view.ReadsAtOnce))
	for i := range jobs {
		if rec := &recent[i]; rec.Paper == nil || rec.Paper.State == paper.Pending {
			jobs[i] = graph.Ref{Printer: rec.Release.Printer, Job: rec.Release.Job}
		}
	}
	out := map[graph.Ref]graph.JobState{}
	for i, state := range p.Site.States(ctx, jobs) {
		out[recent[i].Ref] = state
	}
	return out
}
