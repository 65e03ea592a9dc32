package own

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"pullprint/connector/console/signin"
	"pullprint/connector/console/view"
	"pullprint/connector/delegation"
	"pullprint/connector/directory"
	"pullprint/connector/display"
	"pullprint/connector/job"
	"pullprint/connector/privacy"
	"pullprint/connector/recovery"
	"pullprint/trigger/graph"
)

// lendPath is where a person lets a colleague print their jobs.
const lendPath = "/me/lend"

// The limits of lending.
const (
	// maxLent is how many people may print for one person at a time: a team. As many are named on the page of
	// who may print for others.
	maxLent = 10
	// minName is how long a name is that is searched for, in characters: a shorter one begins the names of
	// half a company.
	minName = 3
	// maxFound is how many people are shown for a name. Of more none of the rest is told.
	maxFound = 8
	// maxSearches in searchesIn is how many searches one person may make: more than anybody needs to find a
	// few colleagues. With maxFound it bounds how much of the directory comes out here; each is a request to Graph.
	maxSearches = 30
	searchesIn  = time.Hour
)

// lendFor are the times, in hours, for which people lend their jobs: a day of work, a day, a week, and the
// longest that there is.
var lendFor = []int{8, 24, 7 * 24, int(delegation.MaxLength / time.Hour)}

// Self does for who is signed in what they ask for about themselves, and audits it; *admin.API is one.
type Self interface {
	Lend(ctx context.Context, owner, to string, until time.Time) error
	EndLending(ctx context.Context, owner, to string) error
	ExportOwn(ctx context.Context, person string, most int) (privacy.Person, error)
}

// lent is a delegation from or to a person, with the other one's names.
type lent struct {
	ID, Name, UserName string
	Until              time.Time
}

// lendPage is where a person finds a colleague.
type lendPage struct {
	Name  string
	Found []graph.Named
	// More is set when there are people who are not shown, None when there are none.
	More, None bool
	Hours      []int
}

// listLent finds who may print for a person, and for whom the person may print.
func (p *Pages) listLent(ctx context.Context, data *myPage, person string) error {
	by, to, err := p.Releaser.Delegations().With(ctx, person, time.Now())
	if err != nil {
		return err
	}
	for _, d := range by {
		data.Lent = append(data.Lent, lent{ID: d.To, Until: d.Expires})
	}
	for _, d := range to {
		data.Lends = append(data.Lends, lent{ID: d.Owner, Until: d.Expires})
	}
	ctx, cancel := context.WithTimeout(ctx, view.Within)
	defer cancel()
	var named []*lent
	for _, list := range [][]lent{data.Lent, data.Lends} {
		slices.SortFunc(list, func(a, b lent) int { return strings.Compare(a.ID, b.ID) })
		for i := range list[:min(len(list), maxLent)] {
			named = append(named, &list[i])
		}
	}
	_ = recovery.Each(len(named), view.ReadsAtOnce, func(i int) {
		l := named[i]
		l.Name = p.Site.Person(ctx, l.ID).Display
		if u, ok, err := p.Users.User(ctx, l.ID); err == nil && ok {
			l.UserName = display.Plain(u.UserPrincipalName)
		}
	})
	return nil
}

// beginLend shows where a person finds a colleague.
func (p *Pages) beginLend(rw http.ResponseWriter, req *http.Request) {
	if who, ok := p.enter(rw, req); ok {
		p.showLend(rw, req, who, lendPage{}, "")
	}
}

func (p *Pages) showLend(rw http.ResponseWriter, req *http.Request, who visitor, data lendPage, wrong string) {
	data.Hours = lendFor
	shown := p.page(req.Context(), who, who.in.Text("Let a colleague print for you"), data)
	if wrong != "" {
		shown.Wrong = who.in.Text(wrong)
	}
	p.Site.Show(rw, http.StatusOK, "melend", shown)
}

// findColleague shows the people whose names begin as the form says. The name is in no address, which would be
// logged on the way.
func (p *Pages) findColleague(rw http.ResponseWriter, req *http.Request) {
	who, ok := p.enter(rw, req)
	if !ok {
		return
	}
	data := lendPage{Name: strings.TrimSpace(req.PostFormValue("name"))}
	switch {
	case utf8.RuneCountInString(data.Name) < minName:
		p.showLend(rw, req, who, data, "Type at least three letters of the name.")
		return
	case !p.searches.Allows(who.Person, time.Now()):
		p.showLend(rw, req, who, data, "You have searched too often: try again in an hour.")
		return
	}
	ctx, cancel := context.WithTimeout(req.Context(), directory.LookupWithin)
	defer cancel()
	found, err := view.Found(ctx, p.Search, data.Name, maxFound+2) // one more, and the person
	if err != nil {
		p.log.Warn("people not searched for", zap.Error(err))
		p.showLend(rw, req, who, data, "The directory does not answer at the moment: try again in a minute.")
		return
	}
	found = slices.DeleteFunc(found, func(n graph.Named) bool { return n.ID == who.Person })
	data.More, data.None = len(found) > maxFound, len(found) == 0
	data.Found = found[:min(len(found), maxFound)]
	p.showLend(rw, req, who, data, "")
}

// lend lets the colleague whom the form names print for the person.
func (p *Pages) lend(rw http.ResponseWriter, req *http.Request) {
	who, ok := p.enter(rw, req)
	if !ok {
		return
	}
	hours, _ := strconv.Atoi(req.PostFormValue("hours"))
	to, valid := graph.CanonicalGUID(req.PostFormValue("to"))
	if !valid || !slices.Contains(lendFor, hours) {
		p.showLend(rw, req, who, lendPage{}, "Find your colleague, and choose for how long.")
		return
	}
	if wrong, err := p.lendTo(req.Context(), who.Person, to, time.Duration(hours)*time.Hour); err != nil {
		p.failMe(rw, who, err)
	} else if wrong != "" {
		p.showLend(rw, req, who, lendPage{}, wrong)
	} else {
		http.Redirect(rw, req, signin.OwnHome+"?lent=1", http.StatusSeeOther)
	}
}

// lendTo stores that a colleague may print for a person, unless something speaks against it that the person is
// told.
func (p *Pages) lendTo(ctx context.Context, person, to string, long time.Duration) (wrong string, err error) {
	if !p.searches.Allows(person, time.Now()) { // an id may be a guess, and each is looked up
		return "You have searched too often: try again in an hour.", nil
	}
	by, _, err := p.Releaser.Delegations().With(ctx, person, time.Now())
	if err != nil {
		return "", err
	}
	already := slices.ContainsFunc(by, func(d delegation.Delegation) bool { return d.To == to })
	if len(by) >= maxLent && !already {
		return tooManyLent, nil
	}
	if _, _, err := directory.NewOwnerID(ctx, p.Users, "to", to); errors.Is(err, job.ErrInvalid) {
		return "Find your colleague, and choose for how long.", nil
	} else if err != nil {
		return "", err
	}
	// A second less than was asked: Put takes its own time, and MaxLength is the longest.
	err = p.Self.Lend(ctx, person, to, time.Now().Add(long-time.Second))
	if errors.Is(err, job.ErrInvalid) { // to oneself
		return "Find your colleague, and choose for how long.", nil
	}
	if err != nil || already {
		return "", err
	}
	return p.takeBack(ctx, person, to)
}

const tooManyLent = "Ten people may print for you already: end it for one of them first."

// takeBack ends what was just lent when forms that were sent at once, at any replicas, let more people print than
// may: the last of them reads all. When several see too many, each takes its own back.
func (p *Pages) takeBack(ctx context.Context, person, to string) (wrong string, err error) {
	by, _, err := p.Releaser.Delegations().With(ctx, person, time.Now())
	if err == nil && len(by) <= maxLent {
		return "", nil
	}
	return tooManyLent, errors.Join(err, p.Self.EndLending(ctx, person, to))
}

// endLending ends that a colleague may print for the person.
func (p *Pages) endLending(rw http.ResponseWriter, req *http.Request) {
	who, ok := p.enter(rw, req)
	if !ok {
		return
	}
	to, valid := graph.CanonicalGUID(req.PostFormValue("to"))
	if valid {
		if err := p.Self.EndLending(req.Context(), who.Person, to); err != nil {
			p.failMe(rw, who, err)
			return
		}
	}
	http.Redirect(rw, req, signin.OwnHome+"?ended=1", http.StatusSeeOther)
}
