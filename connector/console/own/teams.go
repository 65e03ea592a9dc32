package own

import (
	"net/http"
	"strings"

	"pullprint/connector/console/view"
	"pullprint/connector/notify/teams"
)

// teamsHosts are where Teams shows the tabs of apps
// (https://learn.microsoft.com/microsoftteams/platform/tabs/how-to/tab-requirements).
const teamsHosts = "https://teams.microsoft.com https://*.teams.microsoft.com https://*.cloud.microsoft"

// teamsPolicy is view.Policy for a page that Teams may show in a frame.
var teamsPolicy = strings.Replace(view.Policy, "frame-ancestors 'none'", "frame-ancestors "+teamsHosts, 1)

// teams is the tab of the Teams app: a link to one's own page, which opens in the browser. In a frame of
// another site a browser sends none of our cookies, and Entra shows no sign-in. The page is the same for
// everybody and has nothing that is anybody's.
func (p *Pages) teams(rw http.ResponseWriter, req *http.Request) {
	h := rw.Header()
	h.Set("Content-Security-Policy", teamsPolicy)
	h.Del("X-Frame-Options") // it knows no hosts
	in := p.Site.Words(req.URL.Query().Get("locale"), view.Wished(rw))
	p.Site.Show(rw, http.StatusOK, "teams", view.Page{Title: in.Text(teams.Topic), In: in, Data: teams.Home})
}

// withTeams adds the page, when people have the Teams app.
func (p *Pages) withTeams(routes map[string]http.HandlerFunc) {
	if p.Teams {
		routes["GET "+teams.Page] = p.teams
	}
}
