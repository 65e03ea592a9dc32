package console

import (
	"net/http"
	"net/url"
	"slices"

	"pullprint/connector/admin"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/console/view"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// auditRows is how many actions a page lists: the most that the API gives at once.
const auditRows = 500

// span is how far back from now the audit is shown.
type span struct{ Back, Text string }

var spans = []span{
	{Back: "1h", Text: "the last hour"},
	{Back: "24h", Text: "the last day"},
	{Back: "168h", Text: "the last week"},
	{Back: "720h", Text: "the last 30 days"},
}

// auditPage is what was asked for, newest first.
type auditPage struct {
	Since   string
	Spans   []span
	Actions []apiclient.Action
	// Later leads to what was asked for after what is listed, if anything.
	Later string
	Names view.Names
}

// audit shows what was asked for, by whom and why.
func (p *Pages) audit(rw http.ResponseWriter, req *http.Request) {
	c, ok := p.Callers.Administrator(rw, req)
	if !ok {
		return
	}
	data := auditPage{Since: req.URL.Query().Get("since"), Spans: spans}
	if data.Since == "" {
		data.Since = "24h"
	}
	list, err := p.API(c).ActionPage(req.Context(), data.Since, auditRows)
	data.Actions = list.Actions
	slices.Reverse(data.Actions)
	if list.Next != "" {
		data.Later = "/audit?since=" + url.QueryEscape(list.Next)
	}
	var people []string
	for i := range data.Actions {
		people = append(people, data.Actions[i].Actor, data.Actions[i].Owner, data.Actions[i].To)
	}
	data.Names = p.Site.NamesFor(req.Context(), c, people)
	shown := p.page(rw, req, c, "Audit")
	shown.Data = data
	wrong(&shown, err)
	p.Site.Show(rw, statusOf(err), "audit", shown)
}

// statusOf is that of a page about which an error was told.
func statusOf(err error) int {
	if err == nil {
		return http.StatusOK
	}
	pr, _ := admin.ProblemOf(err)
	return pr.Status
}

// accountPath is where an account is shown; that of a person is on their page.
func accountPath(key string) string {
	if acc, err := quota.ParseAccount(key); err == nil && acc.Kind != quota.User {
		return "/accounts/" + url.PathEscape(key)
	}
	if id, ok := graph.CanonicalGUID(key); ok {
		return personPath(id)
	}
	return ""
}
