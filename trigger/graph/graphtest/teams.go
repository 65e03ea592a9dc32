package graphtest

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// TeamsApp is an app in the organisation's catalog of Teams. Empty ids are filled in.
type TeamsApp struct {
	ID         string // in the catalog
	ManifestID string
	ClientID   string   // its app registration, webApplicationInfo.id
	Activities []string // the types of activities that its manifest declares
	// Consent is set when its manifest asks for TeamsActivity.Send.User, so that whoever installs it consents.
	Consent bool
}

type teamsApp struct {
	TeamsApp
	users map[*User]bool // for whom it is installed
}

// AddTeamsApp adds an app to the catalog and returns it with all fields.
func (s *Sim) AddTeamsApp(a TeamsApp) TeamsApp {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := strconv.Itoa(len(s.teams))
	orString(&a.ID, s.dice.guid("teams app", n))
	orString(&a.ManifestID, s.dice.guid("manifest", n))
	s.teams = append(s.teams, &teamsApp{a, map[*User]bool{}})
	return a
}

// InstallTeamsApp installs an app for a user; both are ids.
func (s *Sim) InstallTeamsApp(app, user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.teams {
		if u := s.findUser(user); a.ID == app && u != nil {
			a.users[u] = true
		}
	}
}

// teamsAppByID is the only filter that is understood.
var teamsAppByID = regexp.MustCompile(`^id eq '([0-9a-f-]{36})' or externalId eq '([0-9a-f-]{36})'$`)

// listTeamsApps lists the catalog (https://learn.microsoft.com/graph/api/appcatalogs-list-teamsapps).
func (s *Sim) listTeamsApps(c *call) reply {
	if r, bad := c.refuseOptions("$filter", "$select", "$expand"); bad {
		return r
	}
	asked := teamsAppByID.FindStringSubmatch(c.query.Get("$filter"))
	if asked == nil {
		return c.badRequest("Invalid filter clause.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []map[string]any{}
	for _, a := range s.teams {
		if a.ID == asked[1] || a.ManifestID == asked[2] {
			found = append(found, map[string]any{
				"id": a.ID, "externalId": a.ManifestID, "displayName": "Print jobs", "distributionMethod": "organization",
			})
		}
	}
	return reply{status: 200, body: map[string]any{"value": found}}
}

// activity is the body of sendActivityNotification. A number with a fraction, or a text, is no chainId: it is an
// Int64.
type activity struct {
	Topic struct {
		Source string `json:"source"`
		Value  string `json:"value"`
		WebURL string `json:"webUrl"`
	} `json:"topic"`
	Type    string `json:"activityType"`
	Chain   *int64 `json:"chainId"`
	Preview struct {
		Content string `json:"content"`
	} `json:"previewText"`
	Parameters []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"templateParameters"`
}

// longestActivity is the longest text of an activity that is taken, in UTF-16 code units.
const longestActivity = 1024

// sendActivity adds an entry to a person's activity feed, in place of the one with its chain
// (https://learn.microsoft.com/graph/api/userteamwork-sendactivitynotification).
func (s *Sim) sendActivity(c *call) reply {
	var in activity
	if !c.decode(&in) {
		return c.badRequest("Invalid request body was sent.")
	}
	s.mu.Lock()
	u := s.findUser(c.User)
	app, r := s.sendingApp(c, u, in.Topic.Source)
	s.mu.Unlock()
	switch {
	case app == nil:
		return r
	case in.Topic.Source != "text" || in.Topic.Value == "":
		return c.badRequest("Topic must have a value.")
	case !strings.HasPrefix(in.Topic.WebURL, "https://teams.microsoft.com/l/"):
		return c.badRequest("'webUrl' must be a Microsoft Teams deep link.")
	case !slices.Contains(app.Activities, in.Type):
		return c.badRequest("Activity type must be declared in Teams app manifest.")
	case in.Preview.Content == "":
		return c.badRequest("Preview text must not be empty.")
	}
	m := Message{By: "Microsoft Teams", From: app.ID, To: u.UPN, Text: in.Preview.Content, Link: in.Topic.WebURL, Activity: in.Type}
	texts := []string{in.Topic.Value, in.Preview.Content}
	for _, p := range in.Parameters {
		texts = append(texts, p.Value)
		if p.Name == "subject" {
			m.Subject = p.Value
		}
	}
	for _, text := range texts {
		if len(utf16.Encode([]rune(text))) > longestActivity {
			return c.badRequest("A text is too long.")
		}
	}
	if in.Chain != nil {
		m.ID = strconv.FormatInt(*in.Chain, 10)
	}
	s.keepInPlace(m)
	return reply{status: 204}
}

// sendingApp is the Teams app of the caller that is installed for a person; nil with the refusal. All refusals
// have one code. The caller holds the lock.
func (s *Sim) sendingApp(c *call, u *User, topic string) (*teamsApp, reply) {
	if u == nil {
		return nil, c.fail(404, "NotFound", "User not found.")
	}
	var mine []*teamsApp
	for _, a := range s.teams {
		if a.ClientID == c.token.app.ClientID && a.users[u] {
			mine = append(mine, a)
		}
	}
	switch {
	case !c.token.hasRole(activityRoles) && !slices.ContainsFunc(mine, func(a *teamsApp) bool { return a.Consent }):
		return nil, c.fail(403, "Forbidden", "Missing role permissions on the request. API requires one of "+
			"'TeamsActivity.Send, TeamsActivity.Send.User'. Resource specific consent grants on the request ''.")
	case len(mine) == 0:
		return nil, c.fail(403, "Forbidden", "Application with AAD App Id '"+c.token.app.ClientID+"' is not authorized to "+
			"generate custom text notifications about '"+topic+"' to the recipient. Ensure that the expected Teams app is "+
			"installed in the target scope (user, team, or chat).")
	case len(mine) > 1:
		return nil, c.fail(409, "Conflict", "Found multiple applications with the same Microsoft Entra App ID '"+
			c.token.app.ClientID+"'.")
	}
	return mine[0], reply{}
}

// keepInPlace keeps a message, in place of the one to the same person with the same id.
func (s *Sim) keepInPlace(m Message) {
	s.mu.Lock()
	s.mail = slices.DeleteFunc(s.mail, func(had Message) bool {
		return m.ID != "" && had.By == m.By && had.To == m.To && had.ID == m.ID
	})
	s.mu.Unlock()
	s.keepMessage(m)
}
