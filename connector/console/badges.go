package console

import (
	"net/http"
	"net/url"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/console/view"
)

// badgesPage is a page of badges, in the order in which they last changed.
type badgesPage struct {
	apiclient.BadgeList
	// More leads to the next page.
	More  string
	Names view.Names
}

// badges lists badges; those of one person are on their page.
func (p *Pages) badges(rw http.ResponseWriter, req *http.Request) {
	c, ok := p.Callers.Reader(rw, req)
	if !ok {
		return
	}
	var data badgesPage
	var err error
	data.BadgeList, err = p.API(c).BadgePage(req.Context(), "", req.URL.Query().Get("cursor"), badgeRows)
	data.More = "/badges?cursor=" + url.QueryEscape(data.Next)
	owners := make([]string, len(data.Badges))
	for i := range data.Badges {
		owners[i] = data.Badges[i].Owner
	}
	data.Names = p.Site.NamesFor(req.Context(), c, owners)
	shown := p.page(rw, req, c, "Badges")
	shown.Data = data
	wrong(&shown, err)
	p.Site.Show(rw, statusOf(err), "badges", shown)
}
