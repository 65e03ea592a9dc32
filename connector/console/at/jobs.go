package at

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"pullprint/connector/console/view"
	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/connector/job/paper"
	"pullprint/connector/release"
	"pullprint/connector/tap"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
)

// sentFor is how long a page tells of jobs that were sent to the printer: long ones take minutes.
const sentFor = 15 * time.Minute

// A page with a job on its way loads itself again every againAfter seconds, for followFor after the release:
// whoever stands there looks at the paper then.
const (
	againAfter = 5
	followFor  = 2 * time.Minute
)

// jobsPage is what the page of a device shows.
type jobsPage struct {
	// Form is where the forms are sent, Again the page itself.
	Place, Form, Again, Help string
	// Who is the user name of the person.
	Who     string
	Printer release.Readiness
	// Jobs are the person's own, Others those of people who let them.
	Jobs     []line
	Others   []others
	Balances []release.BalanceText
	// Prints is how many of Jobs are let go on when all are asked for, and Cost what these cost.
	Prints int
	Cost   quota.Amount
	// Sent are jobs on their way, or at their end, at this printer.
	Sent []sent
	// Done is set after a form by which nothing was sent; Printing is how many of its jobs are on their way.
	Done     bool
	Printing int
	// Canceled is the job that was just ended.
	Canceled *release.Refused
	// Refused are the jobs that were asked for, do not print, and are not among those that wait.
	Refused []refused
}

// lines are jobs of a page.
type lines struct {
	Lines []line
	Page  view.Page
}

func part(list []line, of view.Page) lines { return lines{list, of} }

// line is a job that waits.
type line struct {
	release.Quote
	Title string
	// Reason is why it was refused, or would be; its text is empty when it would not be.
	Reason release.Reason
	// Leaving is true of a job that is being sent; Printable when a press may print it as it is.
	Leaving, Printable bool
	// Options is the address of the ways to print it.
	Options string
}

// Value names the job in a form.
func (l line) Value() string { return value(l.Ref) }

// others are the jobs of an owner who lets the person release them.
type others struct {
	Name string
	Jobs []line
}

// refused is a job that was asked for and does not print.
type refused struct {
	Title  string
	Reason release.Reason
}

// sent is a job that was sent to the printer.
type sent struct {
	Title string
	// Text is a key of the catalog, Look the state in whose colour it is shown.
	Text string
	Look job.State
	ends bool
}

// value is how a form names a job; both ids have no space.
func value(ref graph.Ref) string { return ref.Printer + " " + ref.Job }

func refOf(value string) (graph.Ref, bool) {
	printer, id, ok := strings.Cut(value, " ")
	return graph.Ref{Printer: printer, Job: id}, ok && printer != "" && id != ""
}

// jobs shows what waits for the visitor.
func (p *Pages) jobs(rw http.ResponseWriter, req *http.Request) {
	v, ok := p.enter(rw, req)
	if !ok || !p.present(rw, req, v) {
		return
	}
	p.list(rw, req, v, did{})
}

// print releases the jobs that a form names. It goes on when the browser is gone: they may be on their way to
// the printer.
func (p *Pages) print(rw http.ResponseWriter, req *http.Request) {
	v, ok := p.enter(rw, req)
	if !ok || !p.readable(rw, req, v) || !p.present(rw, req, v) {
		return
	}
	var asked []graph.Ref
	for _, value := range req.PostForm["job"] {
		if ref, ok := refOf(value); ok {
			asked = append(asked, ref)
		}
	}
	if len(asked) == 0 {
		http.Redirect(rw, req, v.link, http.StatusSeeOther)
		return
	}
	out, err := p.SignedIn.Release(context.WithoutCancel(req.Context()), tap.Asked{
		Device: v.device.ID, Person: v.who.Person, How: decision.AskedByPhone, Jobs: asked, Set: view.Variant(req),
	})
	if err != nil {
		p.fail(rw, v, err)
		return
	}
	p.list(rw, req, v, did{asked: asked, out: out})
}

// did is what a form did, or why it did nothing.
type did struct {
	// asked are the jobs that it asked for, out what became of them.
	asked []graph.Ref
	out   release.Outcome
	// canceled is a job that it ended, wrong a key of the catalog.
	canceled *release.Refused
	wrong    string
}

// list shows the page of a device: after a form with what it did.
func (p *Pages) list(rw http.ResponseWriter, req *http.Request, v visitor, d did) {
	ctx := req.Context()
	data := jobsPage{
		Place: v.device.Place(), Form: v.form("print"), Again: v.link, Help: p.Help,
		Done: d.asked != nil, Canceled: d.canceled,
	}
	quotes, balances, err := p.Releaser.Quotes(ctx, v.who.Person, v.device.ID)
	if err != nil {
		p.fail(rw, v, err)
		return
	}
	recent, err := p.Releaser.Sent(ctx, v.who.Person, v.device.ID, time.Now().Add(-sentFor))
	if err != nil {
		p.fail(rw, v, err)
		return
	}
	t := p.read(ctx, v, quotes, recent, &d.out)
	data.Printer, data.Who = t.printer, t.caller
	for _, b := range balances {
		if b.Owner == v.who.Person {
			data.Balances = append(data.Balances, b)
		}
	}
	p.waiting(&data, v, quotes, t, &d.out)
	for _, l := range data.Jobs {
		if l.Leaving && slices.Contains(d.asked, l.Ref) {
			data.Printing++
		}
	}
	again := false
	for i := range recent {
		now, asked := t.states[recent[i].Ref], slices.Contains(d.asked, recent[i].Ref)
		if asked && now == graph.JobCompleted {
			now = graph.JobProcessing // the page says that it is printing, and looks again in a moment
		}
		s := sentOf(&recent[i], now)
		s.Title = t.title(&recent[i])
		data.Sent = append(data.Sent, s)
		again = again || !s.ends && time.Since(recent[i].Release.At) < followFor
		if asked && !s.ends {
			data.Printing++
		}
		data.Done = data.Done && !asked
	}
	shown := view.Page{Title: v.device.Place(), In: v.in, Data: data}
	if d.wrong != "" {
		shown.Wrong = v.in.Text(d.wrong)
	}
	if again && len(data.Refused) == 0 {
		shown.Refresh, shown.Then = againAfter, v.link
	}
	p.Site.Show(rw, http.StatusOK, "at", shown)
}

// waiting sorts the quotes into the person's own and those of others, and adds what an order refused.
func (p *Pages) waiting(data *jobsPage, v visitor, quotes []release.Quote, t told, out *release.Outcome) {
	waits := map[graph.Ref]bool{}
	for i := range quotes {
		q := quotes[i]
		own := q.Owner == v.who.Person
		l := line{Quote: q, Title: t.title(&q.Record), Leaving: q.State == job.Releasing, Options: v.options(q.Ref)}
		waits[q.Ref] = true
		if i := slices.IndexFunc(out.Kept, func(r release.Refused) bool { return r.Ref == q.Ref }); i >= 0 {
			l.Reason = v.in.Reason(out.Kept[i].Reason)
		} else if q.Verdict != string(policy.Redirect) && q.Reason.Code != "" {
			l.Reason = v.in.Refused(q, !own)
		}
		l.Printable = !l.Leaving && !data.Printer.Unavailable &&
			(q.Verdict == string(policy.Redirect) || q.Reason.Code == "" || reasons.Waits(q.Reason.Code))
		if own {
			data.Jobs = append(data.Jobs, l)
			if l.Printable && !q.Stays {
				data.Prints++
				data.Cost += q.Cost
			}
			continue
		}
		name := t.names[q.Owner]
		if n := len(data.Others); n == 0 || data.Others[n-1].Name != name {
			data.Others = append(data.Others, others{Name: name})
		}
		data.Others[len(data.Others)-1].Jobs = append(data.Others[len(data.Others)-1].Jobs, l)
	}
	for _, r := range slices.Concat(out.Aborted, out.Kept) {
		if !waits[r.Ref] {
			title := t.titles[r.Ref]
			if title == "" {
				title = r.Queue
			}
			data.Refused = append(data.Refused, refused{title, v.in.Reason(r.Reason)})
		}
	}
}

// sentOf is how far a job is that was sent to a printer, by its record or else by what Graph says now.
func sentOf(rec *job.Record, now graph.JobState) sent {
	var state paper.State
	if rec.Paper != nil {
		state = rec.Paper.State
	}
	switch {
	case state == paper.Printed, now == graph.JobCompleted:
		return sent{Text: "Printed.", Look: job.Completed, ends: true}
	case state == paper.Failed, now == graph.JobAborted:
		return sent{Text: "Not printed: the printer could not finish the job. Send the document once more.", Look: job.Aborted, ends: true}
	case state == paper.Canceled, now == graph.JobCanceled:
		return sent{Text: "Not printed: it was canceled at the printer.", Look: job.Aborted, ends: true}
	case state == paper.Unknown:
		return sent{Text: "Sent to the printer.", Look: job.Released, ends: true}
	case now == graph.JobStopped:
		return sent{Text: "The printer has stopped. Look at what it shows.", Look: job.Aborted}
	case now == graph.JobProcessing:
		return sent{Text: "The printer has it.", Look: job.Released}
	}
	return sent{Text: "Sent to the printer.", Look: job.Released}
}
