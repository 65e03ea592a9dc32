package doctor

import (
	"strings"
	"testing"

	"pullprint/trigger/graph/graphtest"
)

// What can be known about the Teams app is told, and what only a message proves.
func TestTeams(t *testing.T) {
	send, catalog := "TeamsActivity.Send", "AppCatalog.Read.All"
	for name, c := range map[string]struct {
		roles        []string
		id           func(graphtest.TeamsApp) string
		result, text string
	}{
		"no right at all": {[]string{}, nil, OK, "only people whose Teams app consents"},
		"sends":           {[]string{send}, nil, OK, "can't be seen without AppCatalog.Read.All"},
		"in the catalog":  {[]string{send, catalog}, nil, OK, "the app is in the catalog"},
		"not there": {
			[]string{catalog}, func(graphtest.TeamsApp) string { return nobodyID }, Failed, "there is no app with the id",
		},
		"id of the manifest": {
			[]string{catalog}, func(a graphtest.TeamsApp) string { return a.ManifestID }, Failed, "is the id in the manifest",
		},
	} {
		n := newTenant(t)
		n.sim.AddApp(graphtest.App{ClientID: appID, Secret: "secret", Roles: c.roles})
		app := n.sim.AddTeamsApp(graphtest.TeamsApp{ClientID: appID})
		client := n.client()
		if n.teams(t.Context(), client); len(n.all) > 0 {
			t.Errorf("%s: not configured: %+v", name, n.all)
		}
		n.Config.Notices.Teams.AppID = app.ID
		if c.id != nil {
			n.Config.Notices.Teams.AppID = c.id(app)
		}
		n.teams(t.Context(), client)
		if len(n.all) != 1 || n.all[0].Result != c.result || !strings.Contains(n.all[0].Text, c.text) {
			t.Errorf("%s: %+v", name, n.all)
		}
		if c.text == "is the id in the manifest" && !strings.Contains(n.all[0].Do, app.ID) {
			t.Errorf("%s: it does not say which id is right: %+v", name, n.all)
		}
	}
}
