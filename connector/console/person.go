package console

import (
	"cmp"
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"time"

	"pullprint/connector/access"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/console/view"
	"pullprint/connector/decision"
	"pullprint/connector/directory"
	"pullprint/connector/display"
	"pullprint/connector/evaluate"
	"pullprint/policy/badge"
	"pullprint/trigger/graph"
)

const (
	// jobRows is how many jobs a page lists with their titles, each of which is a request to Graph.
	jobRows = 10
	// badgeRows is how many badges of a person are listed: nobody has more in use.
	badgeRows = 50
	// foundPeople is how many people a search lists; a longer name finds fewer.
	foundPeople = 20
)

// peoplePage is a search for a person.
type peoplePage struct {
	Text  string
	Found []graph.Named
	// More is set when there are more than are listed.
	More bool
}

// personPage is a person at the console. What could not be read is empty, and Wrong of the page says
// why.
type personPage struct {
	ID, Name, UserName string
	Admin              bool
	Account            evaluate.AccountStatus
	Badges             []badge.Badge
	Jobs               jobsPage
	Decisions          []decision.Decision
	Names              view.Names
	// Done is what was just done.
	Done string
	// Form tells the form for a code from those of other pages, and Codes are what one can be for.
	Form  string
	Codes map[badge.Purpose]string
}

// jobsPage is a page of jobs with their titles, behind which there may be another.
type jobsPage struct {
	apiclient.JobList
	Titles map[graph.Ref]string
	// More leads to the next page.
	More string
}

// people searches for a person, and leads to the page of the only one that fits.
func (p *Pages) people(rw http.ResponseWriter, req *http.Request) {
	c, ok := p.Callers.Reader(rw, req)
	if !ok {
		return
	}
	data := peoplePage{Text: strings.TrimSpace(req.URL.Query().Get("q"))}
	id, err := p.search(req.Context(), c, &data)
	if id != "" {
		http.Redirect(rw, req, personPath(id), http.StatusSeeOther)
		return
	}
	shown := p.page(rw, req, c, "People")
	shown.Data = data
	wrong(&shown, err)
	p.Site.Show(rw, http.StatusOK, "people", shown)
}

// search finds whom a text means: one person by an object id, a user name or as the only one of that
// name, or else those whose names begin with it.
func (p *Pages) search(ctx context.Context, c access.Caller, data *peoplePage) (id string, err error) {
	_, byID := graph.CanonicalGUID(data.Text)
	switch {
	case data.Text == "":
		return "", nil
	case byID || graph.ValidUserName(data.Text):
		return directory.OwnerID(ctx, p.Users, "the name", data.Text)
	case !c.May(access.RoleOperate) || p.Search == nil:
		return "", errNameTyped
	}
	ctx, cancel := context.WithTimeout(ctx, directory.LookupWithin)
	defer cancel()
	data.Found, err = view.Found(ctx, p.Search, data.Text, foundPeople+1)
	if len(data.Found) == 1 {
		return data.Found[0].ID, nil
	}
	data.More = len(data.Found) > foundPeople
	data.Found = data.Found[:min(len(data.Found), foundPeople)]
	return "", err
}

// errNameTyped is the answer to a name of who may not see those of people.
var errNameTyped = &apiclient.Problem{
	Title: "Names of people are not searched with this role", Status: http.StatusForbidden,
	Detail: "Type the whole user name, as anna@contoso.com, or the Entra object id.",
}

func personPath(id string) string { return "/people/" + url.PathEscape(id) }

func (p *Pages) person(rw http.ResponseWriter, req *http.Request) {
	if c, ok := p.Callers.Reader(rw, req); ok {
		p.showPerson(rw, req, c, nil)
	}
}

// showPerson shows a person, and why what was asked for was not done.
func (p *Pages) showPerson(rw http.ResponseWriter, req *http.Request, c access.Caller, failed error) {
	id, ok := graph.CanonicalGUID(req.PathValue("person"))
	if !ok {
		p.noSuch(rw, req, c, "There is no such person", "The address ends in an Entra object id; search at /people.")
		return
	}
	data := personPage{ID: id, Admin: c.May(access.RoleAdmin), Form: rand.Text(), Codes: codeTitles}
	errs := []error{failed}
	keep := func(err error) { errs = append(errs, err) }
	ctx, api := req.Context(), p.API(c)
	badges, err := api.BadgePage(ctx, id, "", badgeRows)
	if keep(err); p.NoBadges {
		errs = errs[:1]
	}
	data.Badges = badges.Badges
	data.Account, err = api.Quota(ctx, id)
	keep(err)
	data.Jobs, err = p.jobsOf(ctx, c, apiclient.JobFilter{Owner: id}, req.URL.Query().Get("cursor"))
	keep(err)
	data.Jobs.More = personPath(id) + "?cursor=" + url.QueryEscape(data.Jobs.Next)
	for _, d := range p.Recent.Newest() {
		if strings.EqualFold(d.Owner, id) {
			data.Decisions = append(data.Decisions, d)
		}
	}
	p.nameOf(ctx, c, &data)
	shown := p.page(rw, req, c, "Person")
	data.Done = shown.In.Text(doneTo[req.URL.Query().Get("done")])
	if data.Name != "" {
		shown.Title = data.Name
	}
	err = cmp.Or(errs...)
	shown.Data = data
	wrong(&shown, err)
	p.Site.Show(rw, statusOf(err), "person", shown)
}

// nameOf finds what a person is called, for who may see it.
func (p *Pages) nameOf(ctx context.Context, c access.Caller, data *personPage) {
	data.Names = p.Site.NamesFor(ctx, c, []string{data.ID})
	data.Name = data.Names[data.ID]
	if !c.May(access.RoleOperate) || p.Users == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, view.Within)
	defer cancel()
	if u, ok, err := p.Users.User(ctx, data.ID); err == nil && ok {
		data.UserName = display.Plain(u.UserPrincipalName)
	}
}

// jobsOf is a page of jobs, with their titles for who may see them.
func (p *Pages) jobsOf(ctx context.Context, c access.Caller, f apiclient.JobFilter, cursor string) (page jobsPage, err error) {
	page.JobList, err = p.Jobs.ListPage(ctx, "Owner", f, cursor, jobRows)
	if err != nil || !c.May(access.RoleOperate) {
		return page, err
	}
	ctx, cancel := context.WithTimeout(ctx, view.Within)
	defer cancel()
	jobs := make([]view.Owned, len(page.Jobs))
	for i := range page.Jobs {
		jobs[i] = view.Owned{Ref: page.Jobs[i].Ref, Owner: page.Jobs[i].Owner}
	}
	how := display.Full
	if p.Titles == display.Hidden {
		how = p.Titles
	}
	page.Titles = p.Site.Titles(ctx, how, jobs)
	return page, nil
}

// codeLife is how long a one-time code is valid: until the person comes to a reader.
const codeLife = 24 * time.Hour
