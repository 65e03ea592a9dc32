package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"pullprint/trigger/graph"
)

const (
	// activityRight lets us send to everybody for whom the Teams app is installed.
	activityRight = "TeamsActivity.Send"
	// onlySending tells what no check can.
	onlySending = "`pullprint notices test USER` finds out for one person"
)

// catalogRights let us read the organisation's catalog of Teams apps; any of them will do.
var catalogRights = []string{"AppCatalog.Read.All", "AppCatalog.ReadWrite.All"}

// teams looks whether the Teams app is in the catalog, if we may, and says what can't be known: for whom it
// is installed, and who has consented, of which no token tells.
func (ds *diagnostics) teams(ctx context.Context, c *graph.Client) {
	if !ds.Config.Notices.Teams.Configured() {
		return
	}
	roles, told, err := c.Roles(ctx)
	if err != nil || !told {
		ds.say("teams", Warning, "the token does not tell whether we may send; "+onlySending, "")
		return
	}
	who := "the token has no " + activityRight + ": only people whose Teams app consents to TeamsActivity.Send.User are told"
	if slices.Contains(roles, activityRight) {
		who = "people who have the Teams app are told"
	}
	if !slices.ContainsFunc(catalogRights, func(right string) bool { return slices.Contains(roles, right) }) {
		ds.say("teams", OK,
			fmt.Sprintf("%s; whether it is in the catalog can't be seen without %s; %s", who, catalogRights[0], onlySending), "")
		return
	}
	id := ds.Config.Notices.Teams.AppID
	app, ok, err := c.FindTeamsApp(ctx, id)
	switch {
	case err != nil:
		ds.say("teams", Failed, "the catalog of Teams apps can't be read: "+err.Error(), permissionAdvice(err))
	case !ok:
		ds.say("teams", Failed, "there is no app with the id notices.teams.app_id in the catalog of Teams",
			"upload the package that deploy/teams makes, in the Teams admin center under Manage apps")
	case !strings.EqualFold(app.ID, id):
		ds.say("teams", Failed, "notices.teams.app_id is the id in the manifest: links of notices would lead nowhere",
			"write the one that Teams has given the app: "+app.ID)
	default:
		ds.say("teams", OK, who+"; the app is in the catalog; who has installed it, "+onlySending, "")
	}
}
