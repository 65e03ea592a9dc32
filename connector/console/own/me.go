package own

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/console/signin"
	"pullprint/connector/console/view"
	"pullprint/connector/decision"
	"pullprint/connector/display"
	"pullprint/connector/evaluate"
	"pullprint/connector/job"
	"pullprint/connector/job/paper"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/connector/tap"
	"pullprint/policy/pin"
	"pullprint/policy/quota"
	"pullprint/policy/reasons"
)

// The lists of a person's own page: more jobs than fit some screens of a phone, and a day's worth of
// those that came to their end. Each job that has ended costs a read.
const (
	maxOwn  = view.MaxTitles
	maxPast = 10
)

// myPage is what a person's own page shows. Titles are read from Graph when it is shown.
type myPage struct {
	Jobs []myJob
	// More is how many jobs wait that are not listed.
	More int
	// Balances are what is left on the person's own account, Shared on others that pay.
	Balances []evaluate.Balance
	Shared   []release.BalanceText
	Past     []myJob
	// Lent are who may print for the person, Lends for whom the person may print.
	Lent, Lends []lent
	// Notices is set when a person can choose which notices they get.
	Notices bool
	// Canceled is set when a job was just deleted, NowLent and Ended when jobs were lent or are no longer.
	Canceled, NowLent, Ended bool
	// Enrol is set where people enrol their own badges.
	Enrol bool
	// PIN is what is told of the person's; nil where no device asks for one.
	PIN *pin.State
	// Remote is set when jobs can be printed from here, Phone when they can be by phone at a device.
	Remote, Phone bool
}

// myJob is a job of the person; the Quote is set while it waits.
type myJob struct {
	release.Quote
	Title string
	// Place is what people call the device at which it was released; empty when that is configured no more.
	Place string
}

// Path is the page that asks before the job is deleted.
func (j myJob) Path() string {
	return "/me/jobs/" + url.PathEscape(j.Printer) + "/" + url.PathEscape(j.Job) + "/cancel"
}

// Outcome is what became of the job, in words.
func (j myJob) Outcome(in view.Words) string {
	switch {
	case j.LetGo():
		return j.paper(in)
	case j.deleted():
		return in.Text("deleted by you")
	case j.State == job.Aborted:
		return in.Text("not printed")
	case j.State == job.Gone:
		return in.Text("no longer known")
	}
	return in.Text("on its way")
}

// outcomes are what became of a job at a device, and at the printer that it was sent to.
var outcomes = map[paper.State][2]string{
	paper.Pending:  {"sent to %s", "sent to the printer"},
	paper.Printed:  {"printed at %s", "printed"},
	paper.Failed:   {"not printed: it failed at %s", "not printed: it failed at the printer"},
	paper.Canceled: {"not printed: it was canceled at %s", "not printed: it was canceled at the printer"},
}

// paper is what became at its printer of a job that was let go on, as far as that is known.
func (j myJob) paper(in view.Words) string {
	texts := outcomes[paper.Pending]
	if j.Paper != nil { // there is none where an earlier version let it go on
		if known, ok := outcomes[j.Paper.State]; ok {
			texts = known
		}
	}
	if j.Release == nil || j.Release.Device == "" { // it printed where it was sent
		return in.Text(texts[1])
	}
	return in.Text(texts[0], cmp.Or(j.Place, j.Release.Device))
}

// deleted reports whether the person ended the job themselves: it is told without a reason, and not as a fault.
func (j myJob) deleted() bool {
	return j.State == job.Aborted && j.Decision.Reason == reasons.CanceledByOwner
}

// Why is the newest decision about the job in words, if it says more than the outcome.
func (j myJob) Why(in view.Words) release.Reason {
	if j.deleted() {
		return release.Reason{}
	}
	return in.Reason(release.Reason{Code: j.Decision.Reason, Text: j.Decision.Text, Remedy: j.Decision.Remedy})
}

// Look is the state in whose colour the outcome is shown.
func (j myJob) Look() job.State {
	if j.deleted() {
		return job.Gone
	}
	if j.Paper != nil && (j.Paper.State == paper.Failed || j.Paper.State == paper.Canceled) {
		return job.Aborted
	}
	return j.State
}

func (p *Pages) me(rw http.ResponseWriter, req *http.Request) {
	who, ok := p.enter(rw, req)
	if !ok {
		return
	}
	q := req.URL.Query()
	data := myPage{
		Canceled: q.Has("canceled"), NowLent: q.Has("lent"), Ended: q.Has("ended"), Remote: p.SignedIn.Remote(),
		Notices: p.Notices != nil,
		Enrol:   p.Badges != nil,
		Phone:   slices.ContainsFunc(p.Devices, func(d printer.Device) bool { return d.Phone != printer.PhoneOff }),
	}
	if err := p.listOwn(req.Context(), &data, who.Person); err != nil {
		p.failMe(rw, who, err)
		return
	}
	shown := p.page(req.Context(), who, who.in.Text("Your print jobs"), data)
	p.Site.Show(rw, http.StatusOK, "me", shown)
}

// listOwn finds what a person's own page shows. What is left on the account is missing when the
// directory does not tell the person's groups.
func (p *Pages) listOwn(ctx context.Context, data *myPage, person string) error {
	quotes, balances, err := p.Releaser.Quotes(ctx, person, "")
	if err != nil {
		return err
	}
	for i := range quotes {
		switch {
		case quotes[i].Owner != person: // of those who let the person release theirs: only at a device
		case len(data.Jobs) == maxOwn:
			data.More++
		default:
			data.Jobs = append(data.Jobs, myJob{Quote: quotes[i]})
		}
	}
	for _, b := range balances {
		if b.Owner == person && b.Account != "" {
			data.Shared = append(data.Shared, b)
		}
	}
	account, err := p.Account(ctx, quota.Account{Kind: quota.User, Name: person})
	if err != nil {
		p.log.Debug("balance not read for a person's page", zap.Error(err))
	}
	data.Balances = account.Balances
	if err := p.listPast(ctx, data, person); err != nil {
		return err
	}
	if err := p.listLent(ctx, data, person); err != nil {
		return err
	}
	if data.PIN, err = p.pinState(ctx, person); err != nil {
		return err
	}
	p.title(ctx, data.Jobs, data.Past)
	return nil
}

// listPast finds the newest jobs of a person that are no longer held.
func (p *Pages) listPast(ctx context.Context, data *myPage, person string) error {
	all, err := p.Jobs.List(ctx, "owner", apiclient.JobFilter{Owner: person}, maxOwn)
	if err != nil {
		return err
	}
	for _, e := range all.Jobs {
		if e.State == job.Held || len(data.Past) == maxPast {
			continue
		}
		switch rec, err := p.Jobs.Record(ctx, e.Ref); {
		case errors.Is(err, release.ErrNoJob): // removed meanwhile
		case err != nil:
			return err
		default:
			data.Past = append(data.Past, myJob{Quote: release.Quote{Record: rec}, Place: p.placeOf(&rec)})
		}
	}
	return nil
}

// placeOf is what people call the device at which a job was released.
func (p *Pages) placeOf(rec *job.Record) string {
	if rec.Release == nil {
		return ""
	}
	return p.place(rec.Release.Device)
}

// title names jobs by their titles, in full: their owner looks at them.
func (p *Pages) title(ctx context.Context, lists ...[]myJob) {
	var jobs []view.Owned
	for _, list := range lists {
		for i := range list {
			jobs = append(jobs, view.Owned{Ref: list[i].Ref, Owner: list[i].Owner})
		}
	}
	titles := p.Site.Titles(ctx, display.Full, jobs)
	for _, list := range lists {
		for i := range list {
			list[i].Title = titles[list[i].Ref]
		}
	}
}

// ownHeld is a job that the path names, if it is the person's own and waits.
func (p *Pages) ownHeld(ctx context.Context, req *http.Request, person string) (job.Record, error) {
	rec, err := p.Jobs.Record(ctx, view.Ref(req))
	switch {
	case err != nil:
		return rec, err
	case rec.Owner != person: // as if it were not there
		return job.Record{}, release.ErrNoJob
	case rec.State != job.Held:
		return rec, release.NotHeld(&rec)
	}
	return rec, nil
}

// showCancel asks before a job is deleted.
func (p *Pages) showCancel(rw http.ResponseWriter, req *http.Request) {
	who, ok := p.enter(rw, req)
	if !ok {
		return
	}
	rec, err := p.ownHeld(req.Context(), req, who.Person)
	if err != nil {
		p.failMe(rw, who, err)
		return
	}
	one := []myJob{{Quote: release.Quote{Record: rec}}}
	p.title(req.Context(), one)
	shown := p.page(req.Context(), who, who.in.Text("Delete this job?"), one[0])
	p.Site.Show(rw, http.StatusOK, "mecancel", shown)
}

func (p *Pages) cancelOwn(rw http.ResponseWriter, req *http.Request) {
	who, ok := p.enter(rw, req)
	if !ok {
		return
	}
	rec, err := p.ownHeld(req.Context(), req, who.Person)
	if err == nil {
		_, err = p.Jobs.Cancel(req.Context(), release.Cancellation{
			Key: rec.Key(), Owner: who.Person, Asked: decision.AskedBySignIn,
		})
	}
	if err != nil {
		p.failMe(rw, who, err)
		return
	}
	http.Redirect(rw, req, signin.OwnHome+"?canceled=1", http.StatusSeeOther)
}

// failMe shows on a person's own pages what an error means, and leads back. What it means elsewhere is in
// English, and is told in general in other languages.
func (p *Pages) failMe(rw http.ResponseWriter, who visitor, err error) {
	in := who.in
	status, title, text := p.Site.Problem(in, err)
	switch {
	case errors.Is(err, release.ErrNoJob), errors.Is(err, release.ErrNotHeld):
		title = in.Text("This job is no longer waiting")
		text = in.Text("It is being printed, or has ended: your page says what became of it.")
	case errors.Is(err, release.ErrNoDevice):
		title = in.Text("No printer was chosen")
		text = in.Text("Nothing was printed: choose a printer on the page before.")
	case errors.Is(err, tap.ErrTooOften):
		title = in.Text("You have asked to print very often")
		text = in.Text("Nothing was printed: wait for ten minutes, or show your badge at a printer.")
	}
	p.Site.Show(rw, status, "message", view.Page{Title: title, Data: text, Home: signin.OwnHome, In: in})
}
