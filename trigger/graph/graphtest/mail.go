package graphtest

import (
	"slices"
	"strings"
	"time"
)

// Message is mail that was sent to somebody, or an entry of their activity feed in Teams.
type Message struct {
	At time.Time
	// By is how it came: Microsoft Graph, SMTP, or Microsoft Teams.
	By               string
	From, To         string
	Subject, Text    string
	ID               string            // Message-ID, or the chain of an entry, when the sender gave one
	Headers          map[string]string // those that the sender gave
	SavedToSentItems bool
	// Activity and Link are of an entry of the feed: its type, and what it opens.
	Activity, Link string
}

// maxMessages is how many messages are kept, the newest.
const maxMessages = 500

// Messages returns the newest messages, newest last.
func (s *Sim) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mail)
}

func (s *Sim) keepMessage(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.At = time.Now()
	s.mail = append(s.mail, m)
	s.mail = s.mail[max(0, len(s.mail)-maxMessages):]
}

// sendMail takes a message, as Exchange does: 202 says that it was accepted. Errors are those of Exchange,
// which has its own names for them.
func (s *Sim) sendMail(c *call) reply {
	var in struct {
		Message struct {
			Subject string `json:"subject"`
			Body    struct {
				Type string `json:"contentType"`
				Text string `json:"content"`
			} `json:"body"`
			To []struct {
				Address struct {
					Address string `json:"address"`
				} `json:"emailAddress"`
			} `json:"toRecipients"`
			ID      string `json:"internetMessageId"`
			Headers []struct {
				Name  string `json:"name"`
				Value string `json:"value"`
			} `json:"internetMessageHeaders"`
		} `json:"message"`
		Save *bool `json:"saveToSentItems"`
	}
	if !c.decode(&in) {
		return c.badRequest("The body is malformed.")
	}
	s.mu.Lock()
	u := s.findUser(c.User)
	s.mu.Unlock()
	if u == nil {
		return c.fail(404, "ErrorInvalidUser", "The requested user '"+c.User+"' is invalid.")
	}
	m := Message{By: "Microsoft Graph", From: u.UPN, Subject: in.Message.Subject, Text: in.Message.Body.Text, ID: in.Message.ID}
	m.Headers, m.SavedToSentItems = map[string]string{}, in.Save == nil || *in.Save
	for _, h := range in.Message.Headers {
		if !strings.HasPrefix(strings.ToLower(h.Name), "x-") {
			return c.fail(400, "InvalidInternetMessageHeader", "The internet message header name should start with 'x-' or 'X-'.")
		}
		m.Headers[h.Name] = h.Value
	}
	if len(in.Message.To) != 1 || !strings.Contains(in.Message.To[0].Address.Address, "@") {
		return c.fail(400, "ErrorInvalidRecipients", "At least one recipient isn't valid.")
	}
	m.To = in.Message.To[0].Address.Address
	s.keepMessage(m)
	return reply{status: 202}
}
