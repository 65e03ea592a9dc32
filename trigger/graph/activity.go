package graph

import (
	"context"
	"net/url"
)

// Activity is an entry of a person's activity feed in Teams.
type Activity struct {
	// Type is one that the manifest of the Teams app declares.
	Type string
	// Topic is what the entry is about, in a few words, and Link the Teams deep link that it opens.
	Topic, Link string
	// Preview is the text below the title, of which Teams shows 150 characters.
	Preview string
	// Parameters are those of the title that the manifest has for the type, by name.
	Parameters map[string]string
	// Chain is the same for what takes the place of an earlier entry.
	Chain int64
}

type activityBody struct {
	Topic      activityTopic       `json:"topic"`
	Type       string              `json:"activityType"`
	Chain      int64               `json:"chainId"`
	Preview    activityPreview     `json:"previewText"`
	Parameters []activityParameter `json:"templateParameters"`
}

type activityTopic struct {
	Source string `json:"source"`
	Value  string `json:"value"`
	WebURL string `json:"webUrl"`
}

type activityPreview struct {
	Content string `json:"content"`
}

type activityParameter struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// SendActivity adds an entry to the activity feed of a user, by object id
// (https://learn.microsoft.com/graph/api/userteamwork-sendactivitynotification, permission
// TeamsActivity.Send, or TeamsActivity.Send.User, to which whoever installs the app consents and of which
// no token tells). 403 is also the answer when the Teams app is not installed for the user, and 409 when
// several with our app registration are.
func (c *Client) SendActivity(ctx context.Context, user string, a Activity) error {
	body := activityBody{
		Topic: activityTopic{"text", a.Topic, a.Link}, Type: a.Type, Chain: a.Chain, Preview: activityPreview{a.Preview},
		Parameters: []activityParameter{},
	}
	for name, value := range a.Parameters {
		body.Parameters = append(body.Parameters, activityParameter{name, value})
	}
	return c.do(ctx, c.on(sendActivity, user).with(body))
}

// TeamsApp is an app in the organisation's catalog of Teams.
type TeamsApp struct {
	ID string `json:"id"`
	// ManifestID is the id in its manifest. Deep links take ID.
	ManifestID string `json:"externalId"`
}

// FindTeamsApp returns the app with an id, which may be that of its manifest
// (https://learn.microsoft.com/graph/api/appcatalogs-list-teamsapps, permission AppCatalog.Read.All). ok is
// false if there is none.
func (c *Client) FindTeamsApp(ctx context.Context, id string) (app TeamsApp, ok bool, err error) {
	filter := url.QueryEscape("id eq '" + id + "' or externalId eq '" + id + "'")
	find := c.on(findTeamsApp, id).query("$filter=" + filter)
	err = each(ctx, c, find, func(found TeamsApp) bool {
		if sameID(found.ID, id) || sameID(found.ManifestID, id) {
			app, ok = found, true
		}
		return !ok
	})
	return app, ok, err
}
