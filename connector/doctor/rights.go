package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"pullprint/connector/printer"
	"pullprint/connector/terminal"
	"pullprint/policy"
	"pullprint/trigger/graph"
)

// right is a permission that something needs; any of its names will do.
type right struct {
	names []string
	why   string
}

// wanted are permissions that no configuration needs, but what people do with it: a
// person is named by user name in badges and by the verbs.
var wanted = []string{"User.ReadBasic.All"}

// needs are what decisions about the jobs of all queues need; pages only if they are counted.
func (ds *diagnostics) needs() (needs policy.Needs) {
	for _, q := range ds.Config.Queues {
		needs = needs.And(ds.Policy.Needs(policy.Arrival, q.Mode)).And(ds.Policy.Needs(policy.Release, q.Mode))
	}
	needs.Pages = needs.Pages && ds.Policy.Counts()
	return needs
}

// needed are the application permissions that the configuration needs.
func (ds *diagnostics) needed() []right {
	list := []right{
		{[]string{"PrintTaskDefinition.ReadWrite.All"}, "hearing of jobs"},
		{[]string{
			"PrintJob.ReadBasic.All", "PrintJob.Read.All", "PrintJob.ReadWriteBasic.All", "PrintJob.ReadWrite.All",
			"PrintJob.Manage.All",
		}, "reading jobs"},
		{[]string{"PrintJob.ReadWriteBasic.All", "PrintJob.ReadWrite.All", "PrintJob.Manage.All"}, "aborting jobs"},
		{[]string{"Printer.Read.All", "Printer.ReadWrite.All"}, "reading printers"},
	}
	needs := ds.needs()
	for _, q := range ds.Config.Queues {
		if q.Mode == printer.ModePull {
			list = append(list, right{[]string{"PrintJob.Manage.All"}, "releasing jobs of " + q.Name})
		}
		if q.Create {
			list = append(list,
				right{[]string{"Printer.ReadWrite.All"}, "saying what the virtual printer " + q.Name + " can do"})
		}
	}
	if needs.Pages {
		list = append(list,
			right{[]string{"PrintJob.Read.All", "PrintJob.ReadWrite.All"}, "counting pages, which the policy needs"})
	}
	if needs.Groups {
		list = append(list,
			right{[]string{"GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"}, "groups, which the policy looks at"},
			right{[]string{"User.ReadBasic.All", "User.Read.All", "Directory.Read.All"}, "groups, which the policy looks at"})
	}
	if needs.Language {
		list = append(list,
			right{[]string{"User.Read.All", "Directory.Read.All"}, "the language of owners, for texts in several"})
	}
	if ds.Config.SignIn.Roles.Groups() {
		list = append(list,
			right{[]string{"GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"}, "groups in sign_in.roles"})
	}
	if ds.Config.SignIn.Configured() {
		list = append(list,
			right{[]string{"User.ReadBasic.All", "User.Read.All", "Directory.Read.All"}, "people who sign in"})
	}
	if ds.Config.Notices.Mail.Configured() {
		list = append(list,
			right{[]string{"User.ReadBasic.All", "User.Read.All", "Directory.Read.All"}, "the mail addresses of owners"})
	}
	if ds.Config.Badges.EntraAttribute != "" {
		list = append(list, right{[]string{"User.Read.All", "Directory.Read.All"}, "badges.entra_attribute"})
	}
	if slices.ContainsFunc(ds.Config.Devices, func(d printer.Device) bool { return d.Takes(printer.ByPIN) }) {
		list = append(list, right{[]string{"User.Read.All", "Directory.Read.All"}, "employee ids that people type at devices"})
	}
	return list
}

const grantAdvice = "add it under API permissions of the app registration, as an application permission of " +
	"Microsoft Graph, and grant admin consent"

func (ds *diagnostics) rights(ctx context.Context, c *graph.Client) {
	roles, told, err := c.Roles(ctx)
	switch {
	case err != nil:
		ds.say("rights", Failed, err.Error(), permissionAdvice(err))
		return
	case !told:
		ds.say("rights", Warning, "the token does not tell its permissions",
			"compare them with deploy/docs/entra.md in the app registration")
		return
	}
	used, missing := map[string]bool{}, false
	for _, n := range ds.needed() {
		has := false
		for _, name := range n.names {
			if slices.Contains(roles, name) {
				has, used[name] = true, true
			}
		}
		if !has && !used["missing "+n.names[0]] {
			missing, used["missing "+n.names[0]] = true, true
			ds.say("rights", Failed, fmt.Sprintf("%s is missing, for %s", n.names[0], n.why), grantAdvice)
		}
	}
	if !missing {
		ds.say("rights", OK, "all that the configuration needs", "")
	}
	if ds.Config.Notices.Mail.Graph {
		used["Mail.Send"] = true // it is not missing without: Exchange may grant it for the one mailbox
	}
	if ds.Config.Notices.Teams.Configured() {
		used[activityRight] = true // people may consent instead
		used[catalogRights[0]], used[catalogRights[1]] = true, true
	}
	var extra []string
	for _, r := range roles {
		if !used[r] && !slices.Contains(wanted, r) {
			extra = append(extra, r)
		}
	}
	if len(extra) > 0 {
		ds.say("rights", Warning, "granted and not needed: "+strings.Join(extra, ", "),
			"take away what nothing else of this app needs")
	}
}

func (ds *diagnostics) groups(ctx context.Context, c *graph.Client, user string) {
	const name = "--user with an Entra object id or a user name"
	if user == "" {
		ds.say("groups", Warning, "the policy looks at groups, and there is nobody to try it on",
			"name a person: "+name+"; or print something to a queue")
		return
	}
	list, known, err := groupsOf(ctx, c, user)
	switch {
	case err != nil:
		ds.say("groups", Failed, "the groups of a person can't be read: "+err.Error(), permissionAdvice(err))
	case !known:
		ds.say("groups", Warning, "Entra knows no such person", "name another: "+name)
	default:
		ds.say("groups", OK, fmt.Sprintf("%s of a person read", terminal.Counted(len(list), "group")), "")
	}
}

// groupsOf are the groups of a person, who may be named by a user name.
func groupsOf(ctx context.Context, c *graph.Client, user string) (list []graph.Group, known bool, err error) {
	if !graph.ValidID(user) {
		found, ok, err := c.User(ctx, user)
		if err != nil || !ok {
			return nil, false, err
		}
		user = found.ID
	}
	if list, err = c.Groups(ctx, user); graph.IsNotFound(err) {
		return nil, false, nil
	}
	return list, err == nil, err
}
