// Package teams is the channel teams: notices in people's activity feeds in Microsoft Teams, sent by
// Microsoft Graph in the name of the Teams app that deploy/teams makes.
//
// A message that is sent again takes the place of the one before in the feed. Only Teams
// knows whether a person has the app: people without it are not reached by this channel.
package teams

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf16"

	"pullprint/connector/catalog"
	"pullprint/connector/notify"
	"pullprint/trigger/graph"
)

// What the manifest of the Teams app and this package have in common.
const (
	// Tab is the id of the app's personal tab, and Page the path of what it shows, which leads to Home.
	Tab  = "jobs"
	Page = "/teams"
	Home = "/me"
	// Title is the title of an entry, with Subject as its only parameter besides the name of the app: the
	// words are ours, in the language of the person, and no text of the manifest.
	Title   = "{actor}: {" + Subject + "}"
	Subject = "subject"
	// Topic is what an entry is about; in other languages the catalog has it.
	Topic = "Your print jobs"
)

const (
	// maxPreview is how long the text of an entry may be, in UTF-16 code units. Teams shows 150 characters
	// (https://learn.microsoft.com/graph/api/userteamwork-sendactivitynotification); a list of entries in
	// which the rest can be read has room for a paragraph.
	maxPreview = 1024
	// maxSubject is for what is put into the title. Microsoft documents no limit; Teams shows one line.
	maxSubject = 150
)

// ActivityType is the name of a kind of notice in the manifest of the Teams app, as jobAborted.
func ActivityType(kind string) string {
	var b strings.Builder
	upper := false
	for _, r := range kind {
		switch {
		case r == '.' || r == '-':
			upper = true
			continue
		case upper:
			r, upper = unicode.ToUpper(r), false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Graph adds entries to activity feeds; *graph.Client is one.
type Graph interface {
	SendActivity(ctx context.Context, user string, a graph.Activity) error
}

// Sender is the channel teams. It may be used concurrently.
type Sender struct {
	appID, home string
	graph       Graph
	catalog     *catalog.Catalog
}

// New makes a Sender. appID is the id of the Teams app in the organisation's catalog, and publicURL is
// where browsers reach the pages for people.
func New(appID, publicURL string, g Graph) (*Sender, error) {
	words, err := catalog.Load()
	if err != nil {
		return nil, err
	}
	return &Sender{appID, strings.TrimSuffix(publicURL, "/") + Home, g, words}, nil
}

// Name implements notify.Channel.
func (s *Sender) Name() string { return "teams" }

// Send implements notify.Channel.
func (s *Sender) Send(ctx context.Context, m notify.Message) error {
	topic := s.catalog.Choose(m.Language).Text(Topic)
	return classify(s.graph.SendActivity(ctx, m.Owner, graph.Activity{
		Type: ActivityType(m.Kind), Topic: topic, Link: s.link(topic), Chain: chainOf(m.ID),
		Preview: preview(m.Text, maxPreview), Parameters: map[string]string{Subject: preview(m.Subject, maxSubject)},
	}))
}

// Deliver is Send that returns what was answered.
func (s *Sender) Deliver(ctx context.Context, m notify.Message) (answer string, err error) {
	return "204 No Content", s.Send(ctx, m)
}

// link opens the tab of the app, and the person's own page where Teams can't show the tab
// (https://learn.microsoft.com/microsoftteams/platform/concepts/build-and-test/deep-link-application). Teams
// does not read a plus sign in it as a space.
func (s *Sender) link(label string) string {
	escape := func(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
	return "https://teams.microsoft.com/l/entity/" + url.PathEscape(s.appID) + "/" + Tab +
		"?webUrl=" + escape(s.home) + "&label=" + escape(label)
}

// chainOf is what Graph calls a message by: 53 bits, which are exact also where a program on the way reads
// the number as a double.
func chainOf(id string) int64 {
	sum := sha256.Sum256([]byte(id))
	return int64(binary.BigEndian.Uint64(sum[:8]) >> 11)
}

// preview is a text in one line of at most so many UTF-16 code units, as Microsoft counts characters. It is
// cut between two runes.
func preview(text string, most int) string {
	text = strings.Join(strings.Fields(text), " ")
	length, cut := 0, 0
	for i, r := range text {
		if length < most { // the ellipsis fits behind what is before this rune
			cut = i
		}
		if length += utf16.RuneLen(r); length > most {
			return text[:cut] + "…"
		}
	}
	return text
}

// classify says what an error of sending means for others and for another try. 403, 404 and 409 are about the
// person: the app is not installed for them, they have not consented, they are gone, or two apps of ours are
// installed. Graph answers 403 also when the app registration lacks the right for everybody: no code tells
// one from the other, and with consent by each person there is no such thing.
func classify(err error) error {
	failed, ok := errors.AsType[*graph.Error](err)
	switch {
	case err == nil:
		return nil
	case !ok:
		return &notify.Down{Why: "Microsoft Graph could not be asked", Err: err}
	case failed.Status == http.StatusForbidden, failed.Status == http.StatusNotFound, failed.Status == http.StatusConflict:
		return fmt.Errorf("%w in Teams: Microsoft Graph answered %d %s", notify.ErrNoAddress, failed.Status, failed.Code)
	case failed.Status == http.StatusBadRequest:
		return &notify.Refused{Why: fmt.Sprintf("Microsoft Graph answered 400 %s to the message", failed.Code)}
	}
	return &notify.Down{Why: "Microsoft Teams has not taken the message", Err: err, After: failed.RetryAfter}
}
