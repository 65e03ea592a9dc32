package own

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"

	"go.uber.org/zap"

	"pullprint/connector/admin"
	"pullprint/connector/console/signin"
	"pullprint/connector/console/view"
	"pullprint/connector/decision"
	"pullprint/connector/evaluate"
	"pullprint/connector/job"
	"pullprint/connector/job/paper"
	"pullprint/connector/release"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
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
	// Notices is set when a person can choose what they are told by mail.
	Notices bool
	// Canceled is set when a job was just deleted, NowLent and Ended when jobs were lent or are no longer.
	Canceled, NowLent, Ended bool
	// Enrol is set where people enrol their own badges.
	Enrol bool
	// Remote is set when jobs can be printed from here.
	Remote bool
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
func (j myJob) Outcome() string {
	switch {
	case j.LetGo():
		return j.paper()
	case j.State == job.Aborted:
		return "not printed"
	case j.State == job.Gone:
		return "no longer known"
	}
	return "on its way"
}

// paper is what became at its printer of a job that was let go on, as far as that is known.
func (j myJob) paper() string {
	var state paper.State
	if j.Paper != nil { // there is none where an earlier version let it go on
		state = j.Paper.State
	}
	switch state {
	case paper.Printed:
		return "printed" + j.at(" at ", "")
	case paper.Failed:
		return "not printed: it failed" + j.at(" at ", " at the printer")
	case paper.Canceled:
		return "not printed: it was canceled" + j.at(" at ", " at the printer")
	}
	return "sent to" + j.at(" ", " the printer")
}

// at is where the job was released, behind a word; otherwise it printed where it was sent.
func (j myJob) at(word, otherwise string) string {
	if j.Release == nil || j.Release.Device == "" {
		return otherwise
	}
	return word + cmp.Or(j.Place, j.Release.Device)
}

// Look is the state in whose colour the outcome is shown.
func (j myJob) Look() job.State {
	if j.Paper != nil && (j.Paper.State == paper.Failed || j.Paper.State == paper.Canceled) {
		return job.Aborted
	}
	return j.State
}

func (p *Pages) me(rw http.ResponseWriter, req *http.Request) {
	who, ok := p.Callers.Self(rw, req)
	if !ok {
		return
	}
	q := req.URL.Query()
	data := myPage{
		Canceled: q.Has("canceled"), NowLent: q.Has("lent"), Ended: q.Has("ended"), Remote: p.SignedIn.Remote(),
		Notices: p.Notices != nil,
		Enrol:   p.Badges != nil,
	}
	shown := p.Callers.PageFor(req.Context(), who, "Your print jobs")
	if err := p.listOwn(req.Context(), &data, who.Person); err != nil {
		p.Site.Fail(rw, err)
		return
	}
	shown.Data = data
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
	p.title(ctx, data.Jobs, data.Past)
	return nil
}

// listPast finds the newest jobs of a person that are no longer held.
func (p *Pages) listPast(ctx context.Context, data *myPage, person string) error {
	all, err := p.Jobs.List(ctx, "owner", admin.JobFilter{Owner: person}, maxOwn)
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
	var refs []graph.Ref
	for _, list := range lists {
		for i := range list {
			refs = append(refs, list[i].Ref)
		}
	}
	titles := p.Site.Titles(ctx, view.TitlesShown, refs)
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

// askCancel asks before a job is deleted.
func (p *Pages) askCancel(rw http.ResponseWriter, req *http.Request) {
	who, ok := p.Callers.Self(rw, req)
	if !ok {
		return
	}
	rec, err := p.ownHeld(req.Context(), req, who.Person)
	if err != nil {
		p.failMe(rw, err)
		return
	}
	one := []myJob{{Quote: release.Quote{Record: rec}}}
	p.title(req.Context(), one)
	shown := p.Callers.PageFor(req.Context(), who, "Delete this job?")
	shown.Data = one[0]
	p.Site.Show(rw, http.StatusOK, "mecancel", shown)
}

func (p *Pages) cancelOwn(rw http.ResponseWriter, req *http.Request) {
	who, ok := p.Callers.Self(rw, req)
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
		p.failMe(rw, err)
		return
	}
	http.Redirect(rw, req, signin.OwnHome+"?canceled=1", http.StatusSeeOther)
}

// failMe shows on a person's own pages what an error means, and leads back.
func (p *Pages) failMe(rw http.ResponseWriter, err error) {
	pr, logged := admin.ProblemOf(err)
	shown := view.Page{Title: pr.Title, Data: pr.Detail, Home: signin.OwnHome}
	switch {
	case errors.Is(err, release.ErrNoJob), errors.Is(err, release.ErrNotHeld):
		shown.Title, shown.Data = "This job is no longer waiting", "It is being printed, or has ended: your page says what became of it."
	case errors.Is(err, release.ErrNoDevice):
		shown.Title, shown.Data = "No printer was chosen", "Nothing was printed: choose a printer on the page before."
	case logged: // the detail is for who reads the log
		p.log.Warn("page failed", zap.Error(err))
		shown.Data = doWait
	}
	p.Site.Show(rw, pr.Status, "message", shown)
}

// doWait is what a person can do about an error that they did not cause.
const doWait = "Nothing is lost: try again in a few seconds. If that does not help, tell your administrator."
